"""Sign-ins on their way: device codes (RFC 8628), authorization codes (RFC 6749 4.1), what a test scripts about them.

State only, kept in the world's store under hashes, so that the store holds no code that could be used. Time is the
clock's `wall`, since a client counts the life of a code in real seconds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Any

from kallyai_mcp.model.sandbox_marks import ID_PREFIX, TOKEN_PREFIX
from kallyai_mcp.sandbox.refusal import Refusal
from kallyai_mcp.sandbox.scopes import SCOPES

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""RFC 8628 6.1: consonants only, so that a code spells nothing and is typed without doubt."""

CLIENTS = {
    "kallyai-mcp": "KallyAI MCP server",
    "kallyai-cli": "KallyAI command line",
    "kallyai_sandbox_client": "Sandbox test client",
}
"""Clients that the sandbox knows, by their `client_id`."""

CODE_CLIENT = "kallyai_sandbox_client"
CODE_CLIENT_SECRET = "kallyai_sandbox_client_secret"  # noqa: S105 - published on purpose: it opens nothing but a sandbox
"""The one client of the authorization code flow."""

TOKEN_ANSWERS = (
    *("authorization_pending", "slow_down", "access_denied", "expired_token", "invalid_grant", "invalid_request"),
    *("invalid_client", "unsupported_grant_type", "approve", "html", "empty", "redirect", "429", "500", "503"),
)
"""What `next` may script for coming answers of the token endpoint."""

CODE_ANSWERS = ("html", "empty", "redirect", "404", "405", "429", "500", "503", "invalid_client", "invalid_scope")
"""What `next_code` may script for coming answers of the device authorization endpoint."""

MAX_WRONG_CODES = 5
"""Wrong user codes before typing has to wait, as RFC 8628 5.1 reckons with."""

CODE_LIFE = 600
_KEEP_EXPIRED = 3600
_OPTIONS: dict[str, Any] = {"device_endpoints": True, "interval": 5, "expires_in": 600, "next": [], "next_code": []}
_ME = f"{ID_PREFIX}oauth"


class OAuthError(Exception):
    """An error answer as in RFC 6749 5.2, with the codes that RFC 8628 3.5 adds."""

    def __init__(self, error: str, description: str, *, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


def now(world: World) -> float:
    """Return the time that codes live by, in Unix seconds."""
    return world.clock.wall().timestamp()


def options(world: World) -> dict[str, Any]:
    """Return what is set about signing in."""
    return {name: value for name, value in (_OPTIONS | (world.get("oauth", _ME) or {})).items() if name in _OPTIONS}


def set_options(world: World, changes: dict[str, Any]) -> dict[str, Any]:
    """Change options and return all of them.

    `interval` is sent as it is, however odd; null leaves it out of the answer.

    Raises:
        Refusal: An option that there is not, or a value that it cannot have.
    """
    for name, value in changes.items():
        match name:
            case "device_endpoints":
                fits = isinstance(value, bool)
            case "interval":
                fits = value is None or (isinstance(value, int | float | str) and not isinstance(value, bool))
            case "expires_in":
                fits = isinstance(value, int) and not isinstance(value, bool) and value > 0
            case "next":
                fits = _all_of(value, TOKEN_ANSWERS)
            case "next_code":
                fits = _all_of(value, CODE_ANSWERS)
            case _:
                raise Refusal(None, f"There is no such option; there are {', '.join(_OPTIONS)}.", status=422)
        if not fits:
            raise Refusal(None, f"{name} cannot have this value.", status=422)
    world.save("oauth", {"id": _ME} | options(world) | changes)
    return options(world)


def _all_of(value: object, known: tuple[str, ...]) -> bool:
    return isinstance(value, list) and all(entry in known for entry in value)  # pyright: ignore[reportUnknownVariableType] - JSON from outside


def scripted(world: World, name: str) -> str | None:
    """Take the next scripted answer off the list `next` or `next_code`."""
    coming: list[str] = options(world)[name]
    if not coming:
        return None
    set_options(world, {name: coming[1:]})
    return coming[0]


def read_scope(text: str | None) -> str:
    """Return the scopes asked for, each once; all of them when none is named.

    Raises:
        OAuthError: `invalid_scope`.
    """
    asked = list(dict.fromkeys((text or "").split()))
    if any(scope not in SCOPES for scope in asked):
        raise OAuthError("invalid_scope", "A scope is unknown; scopes look like calls:read.")
    return " ".join(asked or SCOPES)


def client_name(client_id: str) -> tuple[str, bool]:
    """Return how a client is called on a page, and whether the sandbox knows it."""
    if client_id in CLIENTS:
        return CLIENTS[client_id], True
    return client_id, False


# Device codes


def begin(world: World, client_id: str, scope: str) -> tuple[str, dict[str, Any]]:
    """Start a device grant; return the device code and the grant with its `user_code`."""
    at = now(world)
    set_up = options(world)
    active: set[str] = set()
    for grant in world.all("device_grant"):
        if grant["expires"] + _KEEP_EXPIRED < at:
            world.delete("device_grant", grant["id"])
        else:
            active.add(grant["user_code"])
    while True:
        letters = "".join(secrets.choice(ALPHABET) for _ in range(8))
        if (user_code := f"{letters[:4]}-{letters[4:]}") not in active:
            break
    device_code = f"{TOKEN_PREFIX}dc_{secrets.token_urlsafe(32)}"
    grant = {
        "user_code": user_code,
        "client_id": client_id,
        "scope": scope,
        "expires": at + set_up["expires_in"],
        "interval": _seconds(set_up["interval"]),
        "polled": None,
        "status": "pending",
    }
    return device_code, world.add("device_grant", grant, id=_key("device", device_code))


def _seconds(interval: float | str | None) -> float:
    # RFC 8628 3.2: five seconds where the answer names no interval.
    try:
        return 5.0 if interval is None else max(0.0, float(interval))
    except ValueError:
        return 5.0


def by_user_code(world: World, typed: str) -> dict[str, Any] | None:
    """Return the grant of a user code, whatever its case and punctuation (RFC 8628 6.1)."""
    letters = re.sub(r"[^0-9A-Z]", "", typed.upper())
    found = world.all("device_grant", user_code=f"{letters[:4]}-{letters[4:]}") if len(letters) == 8 else []
    return found[0] if found else None


def decide(world: World, grant: dict[str, Any], *, approve: bool) -> None:
    """Keep a person's answer. Only a pending grant takes one."""
    world.save("device_grant", grant | {"status": "approved" if approve else "denied"})


def poll(world: World, device_code: str, client_id: str, script: str | None = None) -> dict[str, Any]:
    """Return the approved grant, used up by this; `script` is the answer that a test wants now.

    Raises:
        OAuthError: Not approved yet, asked too early, denied, expired, or no such code.
    """
    at = now(world)
    grant = world.get("device_grant", _key("device", device_code))
    if grant is None or grant["client_id"] != client_id:
        raise OAuthError("invalid_grant", "The device code is unknown, or belongs to another client.")
    if script == "approve" and grant["status"] == "pending":
        grant["status"] = "approved"
    elif script == "access_denied":
        grant["status"] = "denied"
    elif script == "expired_token":
        grant["expires"] = at
    early = script == "slow_down" or (grant["polled"] is not None and at - grant["polled"] < grant["interval"])
    grant["polled"] = at
    if grant["status"] == "pending" and at < grant["expires"] and script != "authorization_pending" and early:
        grant["interval"] += 5
        world.save("device_grant", grant)
        raise OAuthError("slow_down", "Asked too early. Wait five seconds longer between requests from now on.")
    if grant["status"] == "approved" and at < grant["expires"] and script != "authorization_pending":
        world.save("device_grant", grant | {"status": "used"})
        return grant
    world.save("device_grant", grant)
    if grant["status"] == "used":
        raise OAuthError("invalid_grant", "The device code was used already.")
    if grant["status"] == "denied":
        raise OAuthError("access_denied", "The person said no.")
    if at >= grant["expires"]:
        raise OAuthError("expired_token", "The device code has expired. Begin anew.")
    raise OAuthError("authorization_pending", "Nobody has answered yet. Ask again after the interval.")


def may_try(world: World) -> float:
    """Return for how many seconds no user code may be typed; 0 when one may."""
    wrong = _wrong(world)
    return 0 if len(wrong) < MAX_WRONG_CODES else wrong[-MAX_WRONG_CODES] + CODE_LIFE - now(world)


def count_wrong(world: World) -> int:
    """Count a wrong user code and return how many more are left."""
    wrong = [*_wrong(world), now(world)]
    world.save("oauth_wrong", {"id": _ME, "times": wrong})
    return max(0, MAX_WRONG_CODES - len(wrong))


def _wrong(world: World) -> list[float]:
    since = now(world) - CODE_LIFE
    return [at for at in (world.get("oauth_wrong", _ME) or {}).get("times", []) if at > since]


# Authorization codes


def grant_code(world: World, *, client_id: str, redirect_uri: str, scope: str, challenge: str | None) -> str:
    """Return a new authorization code. `challenge` is the S256 code challenge (RFC 7636), when there was one."""
    code = f"{TOKEN_PREFIX}ac_{secrets.token_urlsafe(32)}"
    facts = {"client_id": client_id, "redirect_uri": redirect_uri, "scope": scope, "challenge": challenge}
    world.add("auth_code", facts | {"expires": now(world) + CODE_LIFE, "used": False}, id=_key("code", code))
    return code


def redeem(world: World, code: str, *, client_id: str, redirect_uri: str, verifier: str | None) -> dict[str, Any]:
    """Return the grant of an authorization code, used up by this.

    Raises:
        OAuthError: `invalid_grant`; `CodeReplayed` when the code was used before.
    """
    grant = world.get("auth_code", _key("code", code))
    if grant is None or now(world) >= grant["expires"]:
        raise OAuthError("invalid_grant", "The code is unknown or has expired.")
    if grant["client_id"] != client_id or grant["redirect_uri"] != redirect_uri:
        raise OAuthError("invalid_grant", "The code belongs to another client or redirect_uri.")
    if grant["used"]:
        raise CodeReplayed(grant.get("refresh_token"))
    if grant["challenge"] is not None or verifier is not None:
        digest = hashlib.sha256((verifier or "").encode()).digest()
        computed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not hmac.compare_digest(computed, grant["challenge"] or ""):
            raise OAuthError("invalid_grant", "The code_verifier does not fit the code_challenge.")
    used = grant | {"used": True}
    world.save("auth_code", used)
    return used


def note_issued(world: World, grant: dict[str, Any], refresh_token: str) -> None:
    """Remember which tokens a code was exchanged for, in case it comes again."""
    world.save("auth_code", grant | {"refresh_token": refresh_token})


class CodeReplayed(OAuthError):
    """An authorization code came a second time: what was issued for it is to be revoked (RFC 6749 4.1.2)."""

    def __init__(self, refresh_token: str | None) -> None:
        super().__init__("invalid_grant", "The code was used already; its tokens are revoked.")
        self.refresh_token = refresh_token


def _key(kind: str, secret: str) -> str:
    return f"{ID_PREFIX}{kind}_{hashlib.sha256(secret.encode()).hexdigest()[:32]}"
