"""Tell hosts that what they watch has changed, by asking the service now and then while somebody listens.

    2026-07-28   `subscriptions/listen`: the stream is the answer, and it is watched for as long as it stays open
    up to 2025   `resources/subscribe`: watched until the host unsubscribes or leaves

However many streams of a person watch one resource, it is looked at once: whichever of them wakes first looks for all.
An event on the bus bears the account in its address, so that a stream gets those of its own person and no other. What
was looked at is compared and forgotten; an event carries no content.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.subscriptions import ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, EmptyResult

from kallyai_mcp.errors import ApiError, KallyError
from kallyai_mcp.server.extras import GROUP
from kallyai_mcp.server.resources.kinds import find, tool_of
from kallyai_mcp.server.resources.reading import unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup
    from mcp.server.context import ServerRequestContext
    from mcp.server.subscriptions import ServerEvent, SubscriptionBus
    from mcp_types import (
        SubscribeRequestParams,
        SubscriptionsListenRequestParams,
        SubscriptionsListenResult,
        UnsubscribeRequestParams,
    )

    from kallyai_mcp.server.people import People, Person
    from kallyai_mcp.server.resources.kinds import Address

logger = logging.getLogger(__name__)

MOST_OF_A_PERSON = 32
"""Resources that one account may watch at a time; further ones are not acknowledged."""

MOST = 1024
"""Resources that are watched in all."""

MOST_STREAMS = 8
"""Streams that one account may have open."""

_VOLATILE = frozenset({"generated_at"})
"""Fields that change though nothing has happened."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the service is asked.

    Attributes:
        first: Seconds until the second look, and until the next one after a change.
        growth: Factor by which the time grows while nothing changes.
        longest: Seconds between two looks at most.
        after_error: Seconds after a look that failed at first; it doubles up to `longest_error`.
        longest_error: Seconds after a look that failed at most.
    """

    first: float = 3.0
    growth: float = 1.5
    longest: float = 60.0
    after_error: float = 10.0
    longest_error: float = 300.0


@dataclass(eq=False, slots=True)
class _Watch:
    """One resource of one person.

    Attributes:
        listeners: How many streams watch it.
        due: When to look again, by the event loop's clock.
        seen: Digest of what was there; None before the first look.
        wait: Seconds until the next look.
        failures: Looks that failed in a row.
        looking: Held while somebody looks.
        hurried: Set where something was done that may have changed it.
    """

    listeners: int = 0
    due: float = 0.0
    seen: str | None = None
    wait: float = 0.0
    failures: int = 0
    looking: anyio.Lock = field(default_factory=anyio.Lock)
    hurried: anyio.Event = field(default_factory=anyio.Event)


class Watching:
    """Watches resources for streams.

    Args:
        people: Tells whose call it is.
        is_exposed: Whether a tool may be run.
        bus: Carries the events to all streams, perhaps of several processes.
        pace: How often the service is asked.
    """

    def __init__(
        self, people: People, is_exposed: Callable[[str], bool], bus: SubscriptionBus, pace: Pace | None = None
    ) -> None:
        self._people = people
        self._is_exposed = is_exposed
        self._bus = bus
        self._pace = pace or Pace()
        self._watches: dict[tuple[str, str], _Watch] = {}
        self._streams: dict[str, int] = {}
        self._subscribed: dict[object, dict[str, anyio.CancelScope]] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def hurry(self, concerns: Callable[[str], bool]) -> None:
        """Look at once at all that people of such an account watch: something was done in their name."""
        for (whose, _), watch in self._watches.items():
            if concerns(whose):
                watch.hurried.set()

    async def listen(
        self, ctx: ServerRequestContext[Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Serve one stream until the host ends it, or its token ends. What is watched, the acknowledgement names.

        Raises:
            MCPError: The caller has too many streams open.
        """
        account = self._people.account(ctx)
        if self._streams.get(account, 0) >= MOST_STREAMS:
            raise MCPError(INTERNAL_ERROR, f"At most {MOST_STREAMS} streams can be open; end one of the others first")
        asked = dict.fromkeys(params.notifications.resource_subscriptions or [])
        addresses = {uri: address for uri in asked if (address := self._watchable(uri)) is not None}
        async with AsyncExitStack() as stack:
            stack.enter_context(_counted(self._streams, account))
            watches = {uri: watch for uri in addresses if (watch := self._join(stack, account, uri)) is not None}
            honoured = params.notifications.model_copy(update={"resource_subscriptions": list(watches)})
            stream = ListenHandler(OwnBus(self._bus, account))
            person = await self._people.person(ctx) if watches else None
            outcome: SubscriptionsListenResult | Exception | None = None
            async with anyio.create_task_group() as group:
                if person is not None:
                    for uri, watch in watches.items():
                        group.start_soon(self._watch, account, addresses[uri], watch, person)
                if (left := _seconds_left(ctx)) < math.inf:
                    group.start_soon(_ended_after, left, stream)
                try:
                    outcome = await stream(ctx, params.model_copy(update={"notifications": honoured}))
                except Exception as error:  # noqa: BLE001 - carried out of the group as it is, which would wrap it
                    outcome = error
                group.cancel_scope.cancel()
        if isinstance(outcome, Exception):
            raise outcome
        assert outcome is not None  # noqa: S101 - either of the two is there, or this was cancelled
        return outcome

    async def subscribe(self, ctx: ServerRequestContext[Any], params: SubscribeRequestParams) -> EmptyResult:
        """Watch a resource for a host of a handshake version, until it unsubscribes or leaves.

        Raises:
            MCPError: There is no such resource, or the caller watches too many.
        """
        address = self._watchable(params.uri)
        if address is None:
            raise unknown(ctx, params.uri)
        account, person = self._people.account(ctx), await self._people.person(ctx)
        connection = _connection(ctx)
        # Nothing is awaited from here on: of two requests for the same resource the second finds what the first began.
        mine = self._subscribed.get(connection)
        if mine is None:
            mine = self._subscribed[connection] = {}
            connection.exit_stack.callback(self._leave, connection)
        if params.uri in mine:
            return EmptyResult()
        stack = AsyncExitStack()
        watch = self._join(stack, account, params.uri)
        if watch is None:
            raise MCPError(INTERNAL_ERROR, f"At most {MOST_OF_A_PERSON} resources can be watched")
        scope = mine[params.uri] = anyio.CancelScope()
        group: TaskGroup = ctx.lifespan_context[GROUP]
        group.start_soon(self._follow, ctx, account, address, person, watch, scope, stack)
        return EmptyResult()

    async def unsubscribe(self, ctx: ServerRequestContext[Any], params: UnsubscribeRequestParams) -> EmptyResult:
        """Watch a resource no longer; one that was not watched stays so."""
        scope = self._subscribed.get(_connection(ctx), {}).pop(params.uri, None)
        if scope is not None:
            scope.cancel()
        return EmptyResult()

    def _leave(self, connection: object) -> None:
        for scope in self._subscribed.pop(connection, {}).values():
            scope.cancel()

    async def _follow(
        self,
        ctx: ServerRequestContext[Any],
        account: str,
        address: Address,
        person: Person,
        watch: _Watch,
        scope: anyio.CancelScope,
        stack: AsyncExitStack,
    ) -> None:
        send, changes = anyio.create_memory_object_stream[None](1)

        def note(event: ServerEvent) -> None:
            if isinstance(event, ResourceUpdated) and event.uri == address.uri:
                with suppress(anyio.WouldBlock):  # one that was not sent yet says the same
                    send.send_nowait(None)

        async with stack:
            stack.callback(OwnBus(self._bus, account).subscribe(note))
            with scope, send, changes:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._watch, account, address, watch, person)
                    async for _ in changes:
                        await ctx.session.send_resource_updated(address.uri)

    def _watchable(self, uri: str) -> Address | None:
        address = find(uri)
        if address is None or address.kind.command is None or address.offset:
            return None
        return address if self._is_exposed(tool_of(address.kind.command)) else None

    def _join(self, stack: AsyncExitStack, account: str, uri: str) -> _Watch | None:
        """Watch one resource for as long as `stack` lasts; None where that would be too many."""
        key = account, uri
        watch = self._watches.get(key)
        if watch is None:
            own = sum(whose == account for whose, _ in self._watches)
            if own >= MOST_OF_A_PERSON or len(self._watches) >= MOST:
                return None
            watch = self._watches[key] = _Watch()
        watch.listeners += 1

        def end() -> None:
            watch.listeners -= 1
            if not watch.listeners and self._watches.get(key) is watch:
                del self._watches[key]

        stack.callback(end)
        return watch

    async def _watch(self, account: str, address: Address, watch: _Watch, person: Person) -> None:
        """Look whenever it is due and nobody else does, and say so where something has changed."""
        while True:
            async with watch.looking:
                if anyio.current_time() >= watch.due or watch.hurried.is_set():
                    watch.hurried = anyio.Event()
                    if await self._has_changed(address, watch, person):
                        await self._tell(account, address)
                hurried = watch.hurried
            with anyio.move_on_after(max(0.0, watch.due - anyio.current_time())):
                await hurried.wait()

    async def _tell(self, account: str, address: Address) -> None:
        try:
            await self._bus.publish(ResourceUpdated(uri=_marked(account, address.uri)))
        except Exception:
            logger.exception("That %s has changed could not be told", address.kind.name)

    async def _has_changed(self, address: Address, watch: _Watch, person: Person) -> bool:
        pace = self._pace
        try:
            seen = await _look(address, person)
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream goes on, and the next look comes later
            code = error.error_code if isinstance(error, KallyError) else type(error).__name__
            logger.info("%s could not be looked at: %s", address.kind.name, code)
            watch.due = anyio.current_time() + min(pace.after_error * 2**watch.failures, pace.longest_error)
            watch.failures = min(watch.failures + 1, 16)
            return False
        is_new = watch.seen is not None and watch.seen != seen
        watch.wait = pace.first if is_new or watch.seen is None else min(watch.wait * pace.growth, pace.longest)
        watch.seen, watch.failures = seen, 0
        watch.due = anyio.current_time() + watch.wait
        return is_new


async def _look(address: Address, person: Person) -> str:
    """Return a digest of what is there now; that there is nothing yet is a state, too."""
    from kallyai_mcp.catalog import by_words

    command = by_words()[tuple((address.kind.command or "").split())]
    try:
        data = await (await person.engine()).look(command, address.arguments)
    except ApiError as error:
        if error.http_status not in {404, 409, 410}:
            raise
        data = error.error_code
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key not in _VOLATILE}  # pyright: ignore[reportUnknownVariableType] - JSON
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()


def _seconds_left(ctx: ServerRequestContext[Any]) -> float:
    """Return for how long a stream may stay open: as long as the token with which its host came is good."""
    if ctx.request is None:
        return math.inf
    from kallyai_mcp.server.organisation.access import seconds_left

    return seconds_left(ctx.request)


async def _ended_after(seconds: float, stream: ListenHandler) -> None:
    await anyio.sleep(seconds)
    stream.close()  # with an answer: the host sees that it may come again


def _connection(ctx: ServerRequestContext[Any]) -> Any:
    # The SDK gives handlers no other way to tell connections apart, nor to learn that one has ended.
    return ctx.session._connection  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - see above


def _marked(account: str, uri: str) -> str:
    return f"{hashlib.sha256(account.encode()).hexdigest()} {uri}"


class OwnBus:
    """A bus that carries the events of one account, with the addresses as its hosts know them.

    Args:
        bus: The bus of all.
        account: Key of the account.
    """

    def __init__(self, bus: SubscriptionBus, account: str) -> None:
        self._bus = bus
        self._before = _marked(account, "")

    async def publish(self, event: ServerEvent) -> None:
        """Publish an event for this account."""
        if isinstance(event, ResourceUpdated):
            event = ResourceUpdated(uri=self._before + event.uri)
        await self._bus.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Have a listener called with what concerns this account."""

        def own(event: ServerEvent) -> None:
            if not isinstance(event, ResourceUpdated):
                listener(event)
            elif event.uri.startswith(self._before):
                listener(ResourceUpdated(uri=event.uri.removeprefix(self._before)))

        return self._bus.subscribe(own)


class _counted:  # noqa: N801 - used like a function
    """Count one more under a key for as long as the block lasts."""

    def __init__(self, counts: dict[str, int], key: str) -> None:
        self._counts = counts
        self._key = key

    def __enter__(self) -> None:
        self._counts[self._key] = self._counts.get(self._key, 0) + 1

    def __exit__(self, *_: object) -> None:
        self._counts[self._key] -= 1
        if not self._counts[self._key]:
            del self._counts[self._key]
