"""Whose call it is: one person's where a host started the program, the caller's where many people share it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from kallyai_mcp.server.consent import ConsentDesk
from kallyai_mcp.server.sign_in import SignInDesk, patience

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from mcp.server.context import ServerRequestContext

    from kallyai_mcp.auth.sign_in import SignIn
    from kallyai_mcp.engine import Engine
    from kallyai_mcp.server.consent import Consents, Pages
    from kallyai_mcp.server.states import Outstanding


class Person:
    """One account, as the server uses it.

    Args:
        engine: Gives the engine; called with the first run, so that a list needs none.
        sign_in: Gives the account's sign-in, for runs that miss one; without it they fail.
        consents: Gives what the account's people are asked, for runs that need consent; without it they fail.
        within: Seconds within which a call is answered; without it, as long as a run takes.
        states: Remembers the states of runs that wait for a sign-in; without it this object does.
        pages: Where people answer what a host cannot ask; without it, on a page of this machine.
    """

    def __init__(
        self,
        engine: Callable[[], Awaitable[Engine]],
        *,
        sign_in: Callable[[], Awaitable[SignIn]] | None = None,
        consents: Callable[[], Awaitable[Consents]] | None = None,
        within: float | None = None,
        states: Outstanding | None = None,
        pages: Pages | None = None,
    ) -> None:
        self.engine = engine
        self.within = within
        longest = None if within is None else patience(within)
        self.sign_in = None if sign_in is None else SignInDesk(sign_in, longest=longest, states=states)
        self.consent = None if consents is None else ConsentDesk(consents, longest=longest, pages=pages)


class People(Protocol):
    """Tells whose call it is."""

    def account(self, ctx: ServerRequestContext[Any], /) -> str:
        """Return the key of the caller's account, to which the state of a run that waits for a person is bound."""
        ...

    async def person(self, ctx: ServerRequestContext[Any], /) -> Person:
        """Return the caller.

        Raises:
            KallyError: The caller cannot be served.
        """
        ...

    def living(self, _: Any = None) -> AbstractAsyncContextManager[dict[str, Any]]:
        """Keep what people need for as long as somebody is served; the lifespan of the server."""
        ...


class OnePerson:
    """Every call is this person's.

    Args:
        person: Who.
        account: Gives the key of the account.
    """

    def __init__(self, person: Person, account: Callable[[], str] = lambda: "") -> None:
        self._person = person
        self._account = account

    def account(self, _: ServerRequestContext[Any], /) -> str:
        """Return the key of the one account."""
        return self._account()

    async def person(self, _: ServerRequestContext[Any], /) -> Person:
        """Return the one person."""
        return self._person

    @asynccontextmanager
    async def living(self, _: Any = None) -> AsyncGenerator[dict[str, Any]]:
        """Keep the person's pages for as long as somebody is served."""
        if self._person.consent is None:
            yield {}
            return
        async with self._person.consent.living() as kept:
            yield kept
