"""Changes: who is told of what, how often the service is asked, and that it ends when nobody listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from extras_world import PATIENCE, until, world
from hosts import LEGACY, MODERN, hosting
from http_world import START
from mcp import MCPError
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp_types import (
    EmptyResult,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)
from recorder import answer, recording

from kallyai_mcp.server.resources import watching
from kallyai_mcp.server.resources.watching import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from extras_world import World
    from mcp import Client
    from mcp_types import ServerNotification

CALL = "kallyai://calls/c"
PATH = "/v1/calls/c"
RINGING = {"call_id": "c", "status": "in_progress"}
OVER = {"call_id": "c", "status": "success"}


def watches(shared: World) -> int:
    """How many resources are watched."""
    handler = shared.server.get_request_handler("subscriptions/listen")
    assert handler is not None
    return len(handler.handler.__self__._watching)  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess] - a bound method


async def change(shared: World, path: str = PATH, data: Any = OVER, token: str | None = None) -> None:
    """Change an answer once the service was asked for it."""
    await until(lambda: shared.service.count(path))
    shared.service.data[path if token is None else (token, path)] = data


async def subscribe(client: Client, uri: str) -> None:
    """Subscribe as a host of a handshake version; the SDK's own method warns."""
    await client.session.send_request(SubscribeRequest(params=SubscribeRequestParams(uri=uri)), EmptyResult)


async def unsubscribe(client: Client, uri: str) -> None:
    """Unsubscribe likewise."""
    await client.session.send_request(UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri)), EmptyResult)


async def event_of(stream: AsyncIterator[Any]) -> Any:
    """Return the next event of a stream."""
    with anyio.fail_after(PATIENCE):
        return await anext(stream)


def test_a_stream_is_told_once_of_each_change() -> None:
    async def session() -> None:
        async with world() as shared, shared.client() as client:
            shared.service.data[PATH] = RINGING
            async with client.listen(resource_subscriptions=[CALL]) as stream:
                assert stream.honored.resource_subscriptions == [CALL]
                events = aiter(stream)
                await change(shared)
                assert (await event_of(events)).uri == CALL
                asked = shared.service.count(PATH)
                await until(lambda: shared.service.count(PATH) > asked + 3)
                with anyio.move_on_after(0.1):
                    raise AssertionError(await anext(events))
            await until(lambda: watches(shared) == 0)

    anyio.run(session)


def test_an_event_reaches_the_streams_of_its_person_alone() -> None:
    """Both watch an address that is the same; only what one of them has changes."""

    async def session() -> None:
        async with (
            world("ann", "ben") as shared,
            shared.client("ann") as ann,
            shared.client("ben") as ben,
            shared.client("ben", "legacy", message_handler=(heard := Heard())) as old,
        ):
            shared.service.data[PATH] = RINGING
            await subscribe(old, CALL)
            async with (
                ann.listen(resource_subscriptions=[CALL]) as hers,
                ben.listen(resource_subscriptions=[CALL]) as his,
            ):
                await until(lambda: {token for token, _ in shared.service.seen} == {"token-of-ann", "token-of-ben"})
                await change(shared, token="token-of-ann")
                assert (await event_of(aiter(hers))).uri == CALL
                asked = shared.service.seen.count(("token-of-ben", PATH))
                await until(lambda: shared.service.seen.count(("token-of-ben", PATH)) > asked + 3)
                with anyio.move_on_after(0.1):
                    raise AssertionError(await anext(aiter(his)))
                assert heard.uris == []

    anyio.run(session)


class Heard:
    """Takes the notifications of a client of a handshake version."""

    def __init__(self) -> None:
        self.uris: list[str] = []

    async def __call__(self, message: ServerNotification | Exception) -> None:
        params = getattr(message, "params", None)
        if (uri := getattr(params, "uri", None)) is not None:
            self.uris.append(str(uri))


def test_a_bus_of_all_never_carries_a_bare_address() -> None:
    """What other processes publish for somebody else must not match; so the account stands in the address."""

    async def session() -> None:
        bus, seen = InMemorySubscriptionBus(), list[Any]()
        own = watching.OwnBus(bus, "ann")
        own.subscribe(seen.append)
        await bus.publish(ResourceUpdated(uri=CALL))
        await watching.OwnBus(bus, "ben").publish(ResourceUpdated(uri=CALL))
        await watching.OwnBus(bus, "an").publish(ResourceUpdated(uri=f"n{CALL}"))
        assert seen == []
        await own.publish(ResourceUpdated(uri=CALL))
        assert [event.uri for event in seen] == [CALL]

    anyio.run(session)


def test_many_streams_of_a_person_share_one_look() -> None:
    async def session() -> None:
        pace = Pace(first=60, growth=1, longest=60)
        async with world(pace=pace) as shared, shared.client() as one, shared.client() as two:
            shared.service.data[PATH] = RINGING
            async with (
                one.listen(resource_subscriptions=[CALL]),
                one.listen(resource_subscriptions=[CALL]),
                two.listen(resource_subscriptions=[CALL]),
            ):
                await until(lambda: shared.service.count(PATH))
                await anyio.sleep(0.2)
                assert (shared.service.count(PATH), watches(shared)) == (1, 1)

    anyio.run(session)


def test_an_act_of_the_person_has_their_resources_looked_at_at_once() -> None:
    async def session() -> None:
        pace = Pace(first=60, growth=1, longest=60)
        async with world("ann", "ben", pace=pace) as shared, shared.client() as ann, shared.client("ben") as ben:
            shared.service.data |= {PATH: RINGING, "/v1/messages/mark-read": {}}
            async with ann.listen(resource_subscriptions=[CALL]) as hers, ben.listen(resource_subscriptions=[CALL]):
                await until(lambda: shared.service.count(PATH) == 2)
                shared.service.data[PATH] = OVER
                await ann.call_tool("kallyai_messages_mark_read", {"message_ids": ["m"]})
                assert (await event_of(aiter(hers))).uri == CALL
                assert shared.service.seen.count(("token-of-ben", PATH)) == 1

    anyio.run(session)


def test_what_cannot_be_watched_is_not_acknowledged() -> None:
    async def session() -> None:
        asked = [
            CALL,
            "kallyai://commands",
            "kallyai://calls?offset=10",
            "kallyai://calls/..",
            "file:///x",
            "ui://kallyai/call",
        ]
        async with world(is_exposed=lambda tool: tool != "kallyai_coord_goals") as shared, shared.client() as client:
            async with client.listen(
                resource_subscriptions=[*asked, "kallyai://goals"], tools_list_changed=True
            ) as one:
                assert one.honored.resource_subscriptions == [CALL]
                assert one.honored.tools_list_changed
            await until(lambda: watches(shared) == 0)
            async with client.listen(resource_subscriptions=[f"kallyai://calls/{n}" for n in range(40)]) as many:
                honoured = many.honored.resource_subscriptions or []
                assert len(honoured) == watching.MOST_OF_A_PERSON
                async with client.listen(resource_subscriptions=[CALL]) as further:
                    assert not further.honored.resource_subscriptions
            await until(lambda: watches(shared) == 0)
            async with anyio.create_task_group() as group:
                for _ in range(watching.MOST_STREAMS):
                    group.start_soon(_stay, client)
                await until(lambda: _streams(shared) == watching.MOST_STREAMS)
                with pytest.raises(MCPError, match="At most"):
                    async with client.listen(resource_subscriptions=[CALL]):
                        pass
                group.cancel_scope.cancel()
            await until(lambda: _streams(shared) == 0)

    anyio.run(session)


async def _stay(client: Any) -> None:
    async with client.listen(resource_subscriptions=[CALL]):
        await anyio.sleep_forever()


def _streams(shared: World) -> int:
    handler: Any = shared.server.get_request_handler("subscriptions/listen")
    return sum(handler.handler.__self__._watching._streams.values())


def test_a_service_that_fails_is_left_in_peace_and_the_stream_goes_on() -> None:
    async def session() -> None:
        async with world() as shared, shared.client() as client:
            shared.service.data[PATH] = RINGING
            async with client.listen(resource_subscriptions=[CALL]) as stream:
                await change(shared, data=403)
                asked = shared.service.count(PATH)
                await until(lambda: shared.service.count(PATH) > asked + 2)
                shared.people.tokens["ann"].value = None  # nobody is asked to sign in for it
                await anyio.sleep(0.1)
                shared.people.tokens["ann"].value = "token-of-ann"
                shared.service.data[PATH] = OVER
                assert (await event_of(aiter(stream))).uri == CALL

    anyio.run(session)


def test_what_is_not_there_yet_is_told_when_it_is() -> None:
    async def session() -> None:
        uri, path = f"{CALL}/transcript", f"{PATH}/transcript"
        async with world() as shared, shared.client() as client:
            async with client.listen(resource_subscriptions=[uri]) as stream:
                await change(shared, path, {"entries": []})
                assert (await event_of(aiter(stream))).uri == uri
            assert await shared.people.parts["ann"].journal.tainted(shared.people.parts["ann"].owner.key) is None

    anyio.run(session)


def test_a_host_of_a_handshake_version_subscribes_and_unsubscribes() -> None:
    async def session() -> None:
        heard = Heard()
        async with world() as shared:
            shared.service.data[PATH] = RINGING
            async with shared.client(mode="legacy", message_handler=heard) as client:
                await subscribe(client, CALL)
                await subscribe(client, CALL)
                await change(shared)
                await until(lambda: heard.uris == [CALL])
                await unsubscribe(client, CALL)
                await unsubscribe(client, CALL)
                await until(lambda: watches(shared) == 0)
                for uri in ("kallyai://calls/..", "kallyai://commands", "x"):
                    with pytest.raises(MCPError) as refused:
                        await subscribe(client, uri)
                    assert refused.value.error.code == -32002
                await subscribe(client, CALL)
                await until(lambda: watches(shared) == 1)
            await until(lambda: watches(shared) == 0)

    anyio.run(session)


def test_two_subscriptions_of_one_host_at_the_same_time_are_one() -> None:
    async def session() -> None:
        async with world() as shared, shared.client(mode="legacy") as client:
            shared.service.data[PATH] = RINGING
            found, met = shared.people.person, 0
            both = anyio.Event()

            async def slow(ctx: Any, /) -> Any:
                nonlocal met
                met += 1
                if met == 2:
                    both.set()
                with anyio.move_on_after(PATIENCE):  # neither goes on before both have come
                    await both.wait()
                return await found(ctx)

            shared.people.person = slow
            async with anyio.create_task_group() as group:
                group.start_soon(subscribe, client, CALL)
                group.start_soon(subscribe, client, CALL)
            assert met == 2
            await until(lambda: watches(shared) == 1)
            await unsubscribe(client, CALL)
            await until(lambda: watches(shared) == 0)

    anyio.run(session)


def test_a_stream_over_pipes_is_told_and_ends_with_the_host(tmp_path: Path) -> None:
    with recording() as recorder, hosting(tmp_path, recorder.origin, MODERN) as host:
        recorder.answers(answer(RINGING), answer(OVER))
        number = host.ask("subscriptions/listen", {"notifications": {"resourceSubscriptions": [CALL]}})
        told = host.next()
        assert told["method"] == "notifications/subscriptions/acknowledged"
        assert told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == number
        assert host.next()["params"]["uri"] == CALL
        host.end_input()
        assert host.leaves(START) == 0
    with recording() as recorder, hosting(tmp_path, recorder.origin, LEGACY[0]) as host:
        recorder.answers(answer(RINGING), answer(OVER))
        assert host.request("resources/subscribe", {"uri": CALL}) == {}
        told = host.next()
        assert (told["method"], told["params"]) == ("notifications/resources/updated", {"uri": CALL})
        host.end_input()
        assert host.leaves(START) == 0


def test_the_time_between_looks_grows_while_nothing_happens() -> None:
    async def session() -> None:
        async with world() as shared, shared.client() as client:
            shared.service.data[PATH] = RINGING
            async with client.listen(resource_subscriptions=[CALL]):
                await until(lambda: shared.service.count(PATH))
                handler: Any = shared.server.get_request_handler("subscriptions/listen")
                ours = handler.handler.__self__._watching
                ours._pace = Pace(first=0.01, growth=2.0, longest=0.08)
                (watch,) = ours._watches.values()
                waits: list[float] = []

                def grown() -> bool:
                    if not waits or waits[-1] != watch.wait:
                        waits.append(watch.wait)
                    return watch.wait == 0.08

                await until(grown)
                assert waits == sorted(waits)

    anyio.run(session)
