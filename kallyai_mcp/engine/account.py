"""Signing in and out and seeing how it stands: one implementation for the tools and the terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from kallyai_mcp.auth.flow import Done, Pending
from kallyai_mcp.auth.profiles import profiles
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.store import KeyringUnusable, UnreadableTokenFile
from kallyai_mcp.errors import KallyError, SignInRequired

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kallyai_mcp.auth.sign_in import SignIn
    from kallyai_mcp.engine.run import LocalCommand
    from kallyai_mcp.settings import Settings

_AUTHENTICATED = "authenticated"
NO_REVOCATION = (
    "The service documents no way to revoke tokens: one that was handed out before stays valid there until it expires."
)


class Account:
    """The commands `login`, `logout` and `auth-status`; each answers at once.

    Args:
        session: The tokens at hand.
        sign_in: Runs the flow that gets new ones.
    """

    def __init__(self, session: Session, sign_in: SignIn) -> None:
        self._session = session
        self._sign_in = sign_in

    def commands(self) -> Mapping[str, LocalCommand]:
        """Return the commands by name, for the engine."""
        own = {"login": self.login, "logout": self.logout, "auth-status": self.status}
        return {name: lambda _, run=run: run() for name, run in own.items()}  # none of them takes an argument

    async def login(self) -> dict[str, Any]:
        """Begin a sign-in, or go on with the one that waits; who is signed in stays so."""
        if self._sign_in.pending is not None:
            return _state(await self._sign_in.poll())
        try:
            signed_in = await self._is_signed_in()
        except KeyringUnusable:
            raise
        except UnreadableTokenFile:
            self._session.file.require_replaceable()  # a damaged file is replaced by a sign-in, anything else is not
            signed_in = False
        if signed_in:
            return {"status": _AUTHENTICATED, "message": "Already signed in. To change the account, sign out first."}
        return _state(await self._sign_in.begin())

    async def logout(self) -> dict[str, Any]:
        """Forget the tokens on this machine, and say what that does not do."""
        settings, place = self._session.settings, self._session.file.place
        removed = await self._sign_in.sign_out()
        sentences = [f"Nobody was signed in with profile {settings.profile} on this machine."]
        if removed:
            sentences = [f"Removed the tokens of profile {settings.profile} from {place}.", NO_REVOCATION]
        if settings.access_token:
            sentences.append("KALLYAI_ACCESS_TOKEN is set and stays in use; it can only be removed where it is set.")
        return {"status": "logged_out", "removed": [place] if removed else [], "message": " ".join(sentences)}

    async def status(self) -> dict[str, Any]:
        """Tell how the sign-in stands, refreshing a token that has run out and completing a sign-in that waits."""
        if self._sign_in.pending is not None:
            state = _state(await self._sign_in.poll())
            if state["status"] != _AUTHENTICATED:
                return {_AUTHENTICATED: False, "pending": state} | _where(self._session.settings)
        return _told(self._session, signed_in=await self._is_signed_in())

    async def _is_signed_in(self) -> bool:
        try:
            return await self._session.token() is not None
        except SignInRequired:
            return False


class Waiting(Protocol):
    """A sign-in that waits for a person."""

    @property
    def verification_uri(self) -> str: ...
    @property
    def verification_uri_complete(self) -> str | None: ...
    @property
    def user_code(self) -> str | None: ...
    @property
    def expires_in(self) -> int: ...
    @property
    def message(self) -> str: ...


def waiting_facts(state: Waiting) -> dict[str, Any]:
    """Return a sign-in that waits as the tools and `--json` tell it."""
    facts = {
        "status": "pending",
        "verification_uri": state.verification_uri,
        "verification_uri_complete": state.verification_uri_complete,
        "user_code": state.user_code,
        "expires_in": state.expires_in,
        "message": state.message,
    }
    return {key: value for key, value in facts.items() if value is not None}


async def check(facts: dict[str, Any], balance: Callable[[], Awaitable[Mapping[str, Any]]]) -> KallyError | None:
    """Add to a status whether the account works right now, and what the service tells of it.

    Args:
        facts: The status; changed.
        balance: Asks the service for the account's credits, the cheapest question that needs a sign-in.

    Returns:
        Why it does not work.
    """
    facts["works"] = False
    if not facts[_AUTHENTICATED]:
        return None
    try:
        told = await balance()
    except KallyError as problem:
        facts["problem"] = {"code": problem.error_code, "message": problem.message, "next_step": problem.next_step}
        return problem
    facts["works"] = True
    facts |= {key: told[key] for key in ("plan_type", "credits_remaining") if key in told}
    return None


def all_accounts(settings: Settings) -> list[dict[str, Any]]:
    """Return the status of every profile with tokens on this machine, without asking the service.

    A token from the environment is left aside: it belongs to no profile.
    """
    return [
        _told(Session(replace(settings, profile=name, access_token=None))) | {"profile": name}
        for name in profiles(settings)
    ]


def _told(session: Session, *, signed_in: bool | None = None) -> dict[str, Any]:
    known, about = session.status(), session.facts()
    authenticated = known.authenticated if signed_in is None else signed_in
    facts: dict[str, Any] = {_AUTHENTICATED: authenticated}
    if authenticated:
        facts |= {
            "account": {**dict(about.account), "verified": False} if about.account else None,
            "scopes": "unknown" if about.scopes is None else list(about.scopes),
            "expires_at": known.expires_at,
            "source": known.source,
        }
    elif known.problem is not None:
        facts["problem"] = {"code": known.problem.error_code, "message": known.problem.message}
    if known.source != "environment":
        facts["stored_in"] = session.file.place
    return {key: value for key, value in facts.items() if value is not None} | _where(session.settings)


def _where(settings: Settings) -> dict[str, Any]:
    service = "sandbox in this process" if settings.sandbox else settings.api_url
    return {"profile": settings.profile, "token_store": settings.store, "service": service}


def _state(state: Pending | Done) -> dict[str, Any]:
    return {"status": _AUTHENTICATED, "message": state.message} if isinstance(state, Done) else waiting_facts(state)
