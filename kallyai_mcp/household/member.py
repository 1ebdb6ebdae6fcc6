"""One person out of many: their tokens, their engine, what they are asked."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.auth.linking import LinkedSignIn
from kallyai_mcp.auth.owner import Owner
from kallyai_mcp.auth.session import Session
from kallyai_mcp.engine.account import Account
from kallyai_mcp.engine.more import Continued
from kallyai_mcp.engine.parts import Parts
from kallyai_mcp.errors import KallyError
from kallyai_mcp.household.guarded import Guard, GuardedEngine
from kallyai_mcp.model import Defaults
from kallyai_mcp.server.people import Person
from kallyai_mcp.server.seal import CursorSeal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from mcp.server.request_state import RequestStateCodec

    from kallyai_mcp.api import ApiClient
    from kallyai_mcp.auth.callers.principal import Principal
    from kallyai_mcp.auth.http import Http
    from kallyai_mcp.engine import LocalCommand
    from kallyai_mcp.engine.consents import Consents
    from kallyai_mcp.model.records import Stopped
    from kallyai_mcp.server.consent import Pages
    from kallyai_mcp.server.organisation.scopes import Scopes
    from kallyai_mcp.settings import Settings
    from kallyai_mcp.shared import Shared

logger = logging.getLogger(__name__)

PAUSE = 1.0
LONGEST_PAUSE = 5.0
"""Seconds between two tries to save tokens that could not be saved."""

AT_ONCE = 8
"""Requests to the API that one person may have under way at once, on one replica."""


@dataclass(frozen=True, slots=True)
class Common:
    """What all people use.

    Attributes:
        shared: What the replicas have in common.
        codec: Seals what is handed out to come back, with keys of all replicas.
        scopes: What tokens must allow.
        start: Runs something in the background for as long as the server lives.
        pages: Where people answer what their host cannot ask.
        link_page: Gives the address of our page in front of the service's, from the name of a flow; None without pages.
        where: Where the server is, for people.
        allows: Whether a tool may be run.
        resuming: How a person goes on who has stopped all their acts.
    """

    shared: Shared
    codec: RequestStateCodec
    scopes: Scopes
    start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
    pages: Pages
    link_page: Callable[[str], str] | None
    where: str
    allows: Callable[[str], bool] = lambda _: True
    resuming: str = "Only the operator of this server can go on for the user."


@dataclass(frozen=True)
class _PersonsOwner(Owner):
    """The account of a person, by who they are instead of by where tokens are kept."""

    account: str
    of_world: str

    @cached_property
    def key(self) -> str:
        """The account's key."""
        return self.account

    @cached_property
    def world(self) -> str:
        """What an act is done to."""
        return self.of_world


class Member:
    """One person's parts, all of them made of their account's key.

    Args:
        settings: What the program was told.
        principal: Who.
        api: Client of the API, whose connections are everybody's.
        http: How the service is reached for tokens.
        common: What all people use.
        world: What acts are done to.
    """

    def __init__(
        self, settings: Settings, principal: Principal, api: ApiClient, http: Http, common: Common, world: str
    ) -> None:
        account = principal.key
        self.account = account
        self._is_writing_down = False
        self._is_saving = False
        self.states = common.shared.states(account)
        self._start = common.start
        file = common.shared.tokens(account)
        session = self._session = Session(settings, http=http, file=file, unsaved=self._save_soon)
        self.sign_in = LinkedSignIn(
            session,
            account,
            common.shared.pending(account),
            common.shared.rates,
            where=common.where,
            page=common.link_page,
        )
        defaults = Defaults(settings.language, settings.zone, settings.credentials)
        bounded = api.bounded(AT_ONCE)
        owner = _PersonsOwner(settings, session, account, world)
        self._parts = Parts(
            settings, bounded, session, defaults, owner, common.start, common.shared.journal, common.allows
        )
        local = {**self._account(session), **self._control()}
        parts = self._parts
        self._engine = GuardedEngine(
            bounded,
            session,
            defaults,
            local,
            lambda: parts.acts,
            lambda: parts.reading,
            past=lambda: parts.past,
            start=common.start,
            continued=Continued(CursorSeal(common.codec), lambda: account),
            allows=common.allows,
        )
        per_minute = settings.organisation.max_runs_per_minute
        self.guard = Guard(account, common.scopes, common.shared.rates, per_minute, alone=common.shared.own_rates)
        self.guard.resuming = common.resuming
        self.guard.stopped = self.stopped
        self._engine.guard = self.guard
        self.person = Person(
            self._get_engine,
            sign_in=self._get_sign_in,
            consents=self.consents,
            within=settings.answer_within,
            states=self.states,
            pages=common.pages,
        )

    @property
    def is_busy(self) -> bool:
        """Whether anything would be lost with this object: a run under way, or what could not be written down yet."""
        return self._is_at_work or self.owes

    @property
    def owes(self) -> bool:
        """Whether only this object has something: tokens that could not be saved, the end of an act."""
        return self._session.has_unsaved or self._parts.owes

    @property
    def _is_at_work(self) -> bool:
        """Whether a run is under way, also one whose caller no longer waits."""
        return self.guard.running > 0 or self._engine.is_busy

    async def write_down(self) -> None:
        """Try once more to write down what only this object has, unless that is being done."""
        if self._is_writing_down:
            return
        self._is_writing_down = True
        try:
            if self._session.has_unsaved:
                await self._session.save()
            if self._parts.owes:
                await self._parts.settler.owed.write()
        except Exception as error:  # noqa: BLE001 - beside everything else: it is tried again, and others go on
            code = error.error_code if isinstance(error, KallyError) else type(error).__name__
            logger.warning("What is owed to an account cannot be written down yet: %s", code)
        finally:
            self._is_writing_down = False

    def _save_soon(self) -> None:
        """Save tokens as soon as that can be done: until then other replicas have none but those that were used up."""
        if not self._is_saving:
            self._is_saving = True
            self._start(self._save)

    async def _save(self) -> None:
        pause = PAUSE
        try:
            while self._session.has_unsaved:
                await anyio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                await self.write_down()
        finally:
            self._is_saving = False

    async def link(self, name: str) -> tuple[str, str] | None:
        """Return the service's page for the link of this name, and its code; None where this person has none such."""
        return await self.sign_in.link(name)

    async def stopped(self) -> Stopped | None:
        """Return the stop that holds, if one does."""
        return await self._parts.journal.stopped(self.account)

    async def resume(self) -> None:
        """Allow acts again."""
        await self._parts.journal.resume(self.account)

    async def consents(self) -> Consents:
        """Return what the person is asked."""
        return self._parts.consents

    async def _get_engine(self) -> GuardedEngine:
        return self._engine

    async def _get_sign_in(self) -> LinkedSignIn:
        return self.sign_in

    def _account(self, session: Session) -> Mapping[str, LocalCommand]:
        commands = Account(session, self.sign_in).commands()

        def in_step(run: LocalCommand) -> LocalCommand:
            async def synced(args: Any) -> dict[str, Any]:
                await self.sign_in.sync()
                return await run(args)

            return synced

        return {name: in_step(run) for name, run in commands.items()}

    def _control(self) -> Mapping[str, LocalCommand]:
        def run(name: str) -> LocalCommand:
            return lambda args: self._parts.control.commands()[name](args)

        async def stop(args: Any) -> dict[str, Any]:
            told = await run("stop")(args)
            return told | {"message": f"{told['message'].partition(' Only a person')[0]} {self.guard.resuming}"}

        return {name: run(name) for name in ("acts", "mandate", "mandate-revoke")} | {"stop": stop}


def settings_for_people(settings: Settings, origin: str) -> Settings:
    """Return the settings of everybody's parts: nothing in them is one account's own."""
    return replace(settings, api_url=origin, access_token=None, client_id=None, client_secret=None, no_browser=True)
