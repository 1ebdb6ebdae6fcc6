"""The people of a server: each known by their token, each with parts of their own, made with their first request."""

from __future__ import annotations

import logging
import uuid
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import anyio

from kallyai_mcp import __version__
from kallyai_mcp.api import ApiClient
from kallyai_mcp.auth.http import Http
from kallyai_mcp.errors import SignInRequired
from kallyai_mcp.household.guarded import granted
from kallyai_mcp.household.member import Common, Member, settings_for_people
from kallyai_mcp.server.organisation.access import caller_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import TaskGroup, TaskStatus
    from mcp.server.context import ServerRequestContext

    from kallyai_mcp.api.observer import Observer
    from kallyai_mcp.auth.callers.principal import Caller, Principal
    from kallyai_mcp.server.people import Person
    from kallyai_mcp.settings import Settings

logger = logging.getLogger(__name__)

LAST_WORDS = 1.0
"""Seconds that writing down what is owed may take at the end."""

MOST_SANDBOXES = 32
"""People who get an embedded sandbox each; they are for trying it out."""


class Household:
    """Tells whose call it is, and gives each person what is theirs.

    Args:
        settings: What the program was told.
        common: What all people use.
        observer: Is told of every request to the API.
    """

    def __init__(self, settings: Settings, common: Common, observer: Observer | None = None) -> None:
        self._settings = settings
        self._common = common
        self._members: OrderedDict[str, Member] = OrderedDict()
        self._former: WeakValueDictionary[str, Member] = WeakValueDictionary()
        """Those that have made room and are still in use, by a stream: nobody gets a second one beside it."""
        self._making = anyio.Lock()
        self._group: TaskGroup | None = None
        self._api = ApiClient(settings.api_url, version=__version__, proxy=settings.proxy, observer=observer)
        self._apis: dict[str, tuple[ApiClient, str]] = {}

    def live_in(self, group: TaskGroup) -> None:
        """Take the task group in which embedded sandboxes run."""
        self._group = group

    def account(self, ctx: ServerRequestContext[Any], /) -> str:
        """Return the key of the caller's account, to which the states of their runs are bound."""
        return _caller(ctx).principal.key

    async def person(self, ctx: ServerRequestContext[Any], /) -> Person:
        """Return the caller, and note what their token allows for the run that follows.

        Raises:
            SignInRequired: The request has not passed the check of tokens.
        """
        caller = _caller(ctx)
        granted.set(caller.scopes)
        return (await self.member(caller.principal)).person

    @asynccontextmanager
    async def living(self, _: Any = None) -> AsyncGenerator[dict[str, Any]]:
        """Nothing is kept for the sake of connections."""
        yield {}

    async def member(self, principal: Principal) -> Member:
        """Return a person's parts; whoever was idle the longest makes room for them."""
        member = self._members.get(principal.key)
        if member is None:
            async with self._making:
                member = self._members.get(principal.key) or await self._make(principal)
        self._members.move_to_end(principal.key)
        return member

    def __len__(self) -> int:
        return len(self._members)

    async def aclose(self) -> None:
        """Write down what is owed, as far as that can be done in a moment, and close the connections to the API."""
        owing = [member for member in self._members.values() if member.owes]
        with anyio.move_on_after(LAST_WORDS):
            async with anyio.create_task_group() as group:
                for member in owing:
                    group.start_soon(member.write_down)
        self._members.clear()
        for api in (self._api, *(api for api, _ in self._apis.values())):
            await api.aclose()

    async def _make(self, principal: Principal) -> Member:
        self._make_room()
        if (former := self._former.pop(principal.key, None)) is not None:
            self._members[principal.key] = former
            return former
        settings, api, world = self._settings, self._api, self._settings.api_url
        if settings.sandbox:
            api, world = await self._sandbox(principal)
        told = settings_for_people(settings, world)
        if settings.sandbox:
            world = f"{world} {uuid.uuid5(uuid.NAMESPACE_URL, principal.key)}"
        member = Member(told, principal, api, Http.for_settings(told), self._common, world)
        self._members[principal.key] = member
        return member

    def _make_room(self) -> None:
        most = self._settings.organisation.max_people
        while len(self._members) >= most:
            idle = next((key for key, member in self._members.items() if not member.is_busy), None)
            if idle is None:
                # The number is exceeded until somebody is done; what could not be written down is tried once more.
                for member in self._members.values():
                    if member.owes:
                        self._common.start(member.write_down)
                return
            self._former[idle] = self._members.pop(idle)

    async def _sandbox(self, principal: Principal) -> tuple[ApiClient, str]:
        """Return the client and the origin of a person's own sandbox, which lasts as long as the server."""
        known = self._apis.get(principal.key)
        if known is not None:
            return known
        if self._group is None:
            raise RuntimeError("live_in comes first")
        if len(self._apis) >= MOST_SANDBOXES:
            raise SignInRequired(
                f"This server has an embedded sandbox for each of {MOST_SANDBOXES} people, and all are taken.",
                next_step="Have the operator serve without --sandbox, or start it anew.",
            )
        origin = await self._group.start(_embedded_sandbox)
        api = ApiClient(origin, version=__version__, sandbox=True)
        self._apis[principal.key] = api, origin
        return api, origin


async def _embedded_sandbox(*, task_status: TaskStatus[str]) -> None:
    from kallyai_mcp.sandbox.serve import SandboxOptions, serving

    async with serving(SandboxOptions()) as served:
        task_status.started(served.origin)
        await anyio.sleep_forever()


def _caller(ctx: ServerRequestContext[Any]) -> Caller:
    caller = caller_of(ctx.request)
    if caller is None:
        raise SignInRequired("Nobody knows who is calling.", next_step="Connect this server anew.")
    return caller
