"""Signing in and out. These run on this machine; the API has no request for them."""

from kallyai_mcp.model import Args, Domain, Effect

auth = Domain("auth", "Sign in and out, and see whether the user is signed in.", prefix=())


@auth.command(
    "login",
    None,
    Effect.WRITE,
    slow=True,
    public=True,
    answer={
        "status": "authenticated once signed in; otherwise the sign-in waits for the user.",
        "verification_uri": "Page that the user opens.",
        "verification_uri_complete": "The same page with the code filled in.",
        "user_code": "Code that the user enters or compares there.",
        "expires_in": "Seconds until the code lapses.",
    },
)
class SignIn(Args):
    """Sign in. Answers at once with an address and a code; the user opens it and agrees.

    Then run this again, or kallyai_auth_status, to complete it.
    """


@auth.command(
    "logout",
    None,
    Effect.DESTROY,
    idempotent=True,
    public=True,
    answer={"status": "logged_out, also if nobody was signed in.", "removed": "Where tokens were removed."},
)
class SignOut(Args):
    """Forget the tokens stored on this machine; the service is not told. Every other tool then needs kallyai_login."""


@auth.command(
    "auth-status",
    None,
    Effect.READ,
    idempotent=True,
    public=True,
    answer={
        "authenticated": "Whether the user is signed in.",
        "account": "What the token says about its owner; nobody has verified it.",
        "scopes": "What the token allows, or unknown.",
        "source": "Where the token comes from.",
        "expires_at": "When the token lapses; it is renewed before.",
        "profile": "Name of the account on this machine.",
        "service": "The service that is signed in to.",
        "pending": "The sign-in that waits for the user, if one does.",
    },
)
class CheckSignIn(Args):
    """Tell whether the user is signed in; completes a sign-in begun with kallyai_login."""
