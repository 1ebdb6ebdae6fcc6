"""Authorization code flow of a registered client: "authorization_code" of the API's facts, RFC 6749 section 4.1.

The browser brings a code to this machine, which is exchanged once, with the client's secret. PKCE (RFC 7636) is
offered: a service that does not know it leaves its parameters aside. Address and request are made by Authlib.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio

from kallyai_mcp.auth.browser import START_AGAIN, TIMEOUT, LoopbackFlow
from kallyai_mcp.auth.callback import CODE, PORTS
from kallyai_mcp.auth.http import oauth_error
from kallyai_mcp.auth.pair import pair_from_answer
from kallyai_mcp.auth.token_request import oauth_client, request_token
from kallyai_mcp.errors import SignInFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kallyai_mcp.auth.clock import Clock
    from kallyai_mcp.auth.http import Http
    from kallyai_mcp.auth.pair import TokenPair
    from kallyai_mcp.settings import Settings

AUTHORIZE_PATH = "/v1/auth/authorize"
TOKEN_PATH = "/v1/auth/gpt/token"  # noqa: S105 - a path, not a secret
DEADLINE = 20.0


class CodeFlow(LoopbackFlow):
    """One sign-in as a registered client.

    Args:
        http: How the service is reached.
        clock: For the timeout.
        settings: Client, secret and API.
        scopes: What is asked for.
        ports: Where to listen.
        seconds: How long to wait.
    """

    def __init__(
        self,
        http: Http,
        clock: Clock,
        settings: Settings,
        scopes: Sequence[str],
        ports: range = PORTS,
        *,
        seconds: float = TIMEOUT,
    ) -> None:
        super().__init__(clock, ports, fields=CODE, seconds=seconds)
        self._http = http
        self._settings = settings
        self._verifier = secrets.token_urlsafe(48)
        self._address = authorization_address(
            f"{settings.api_url}{AUTHORIZE_PATH}",
            client_id=settings.client_id or "",
            redirect_uri=self._redirect_uri,
            state=self._state,
            verifier=self._verifier,
            scopes=scopes,
        )

    longest_use = DEADLINE

    @property
    def address(self) -> str:
        """What a browser is sent to."""
        return self._address

    async def _tokens(self, answer: dict[str, str]) -> TokenPair:
        client = oauth_client(
            self._http,
            self._settings.client_id or "",
            client_secret=self._settings.client_secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
        )
        asked_at = self._clock.now()
        told: tuple[int, dict[str, Any]] | None = None
        with anyio.CancelScope(shield=True):  # a code is good for one exchange, which a cancelled run must not lose
            told = await request_token(
                client,
                f"{self._settings.api_url}{TOKEN_PATH}",
                DEADLINE,
                grant_type="authorization_code",
                code=answer["code"],
                redirect_uri=self._redirect_uri,
                code_verifier=self._verifier,
            )
        status, body = told or (0, None)
        try:
            if status == 200 and oauth_error(body) is None:
                return pair_from_answer(body, asked_at=asked_at)
        except ValueError:
            pass  # reported below: as good as an answer of another status
        raise _failed(status, oauth_error(body))


def authorization_address(
    endpoint: str, *, client_id: str, redirect_uri: str, state: str, verifier: str, scopes: Sequence[str]
) -> str:
    """Return the address of the consent page (RFC 6749 section 4.1.1, RFC 7636 section 4.3)."""
    from authlib.oauth2.client import OAuth2Client  # pyright: ignore[reportMissingTypeStubs]  # Authlib ships no types

    maker = cast(
        "_AddressMaker",
        OAuth2Client(None, client_id, redirect_uri=redirect_uri, scope=" ".join(scopes), code_challenge_method="S256"),
    )
    address, _ = maker.create_authorization_url(endpoint, state=state, code_verifier=verifier)
    return address


def _failed(status: int, error: str | None) -> SignInFailed:
    if error == "invalid_client":
        return SignInFailed(
            "The service does not know the client, or its secret is another.",
            next_step="Check KALLYAI_CLIENT_ID and KALLYAI_CLIENT_SECRET.",
        )
    if error == "invalid_grant":
        return SignInFailed("The service does not take the code that the browser brought.", next_step=START_AGAIN)
    fact = "gave no answer" if status == 0 else f"answered without tokens (status {status})"
    return SignInFailed(
        f"The sign-in was approved, but the service {fact}.",
        next_step=START_AGAIN,
        retryable=status in {0, 429} or status >= 500,
    )


class _AddressMaker(Protocol):
    """What is used of Authlib's client, which has no types."""

    def create_authorization_url(self, url: str, state: str, code_verifier: str) -> tuple[str, Any]: ...
