"""Signing in and out as commands: one implementation for the tools and the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.auth.flow import Done, Pending
from kallyai_mcp.errors import SignInRequired

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.auth.session import Session
    from kallyai_mcp.auth.sign_in import SignIn
    from kallyai_mcp.engine.run import LocalCommand

_AUTHENTICATED = "authenticated"


class Account:
    """The commands `login`, `logout` and `auth-status` as a model runs them: each answers at once.

    Args:
        session: The tokens at hand.
        sign_in: Runs the flow that gets new ones.
    """

    def __init__(self, session: Session, sign_in: SignIn) -> None:
        self._session = session
        self._sign_in = sign_in

    def commands(self) -> Mapping[str, LocalCommand]:
        """Return the commands by name, for the engine."""
        return {"login": self.login, "logout": self.logout, "auth-status": self.status}

    async def login(self) -> dict[str, Any]:
        """Begin a sign-in, or go on with the one that waits; who is signed in stays so."""
        if self._sign_in.pending is not None:
            return _state(await self._sign_in.poll())
        if await self._is_signed_in():
            return {"status": _AUTHENTICATED, "message": "Already signed in. To change the account, sign out first."}
        return _state(await self._sign_in.begin())

    async def logout(self) -> dict[str, Any]:
        """Forget the tokens on this machine; the service documents no way to revoke them."""
        removed = await self._sign_in.sign_out()
        message = (
            "The tokens on this machine were removed. The service offers no revocation: an access token already handed "
            "out stays valid until it expires."
            if removed
            else "Nobody was signed in on this machine."
        )
        return {"status": "logged_out", "message": message}

    async def status(self) -> dict[str, Any]:
        """Tell whether somebody is signed in, refreshing a token that has run out and completing a sign-in."""
        if self._sign_in.pending is not None:
            state = _state(await self._sign_in.poll())
            if state["status"] != _AUTHENTICATED:
                return {_AUTHENTICATED: False, "pending": state}
        signed_in = await self._is_signed_in()
        facts = self._session.status()
        answer: dict[str, Any] = {_AUTHENTICATED: signed_in}
        if signed_in:
            answer |= {"source": facts.source, "expires_at": facts.expires_at}
        return {key: value for key, value in answer.items() if value is not None}

    async def _is_signed_in(self) -> bool:
        try:
            return await self._session.token() is not None
        except SignInRequired:
            return False


def _state(state: Pending | Done) -> dict[str, Any]:
    if isinstance(state, Done):
        return {"status": _AUTHENTICATED, "message": state.message}
    facts = {
        "status": "pending",
        "verification_uri": state.verification_uri,
        "verification_uri_complete": state.verification_uri_complete,
        "user_code": state.user_code,
        "expires_in": state.expires_in,
        "message": state.message,
    }
    return {key: value for key, value in facts.items() if value is not None}
