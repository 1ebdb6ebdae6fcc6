"""What replicas share, in PostgreSQL and in a file: kept for one account, sealed, used once, counted exactly."""

from __future__ import annotations

import gc
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from shared_world import ANN, BOB, NEW, OLD, a_pair, ring, session

from kallyai_mcp.errors import InvalidSettings, TransportError
from kallyai_mcp.shared import GAP, Change, Shared, account_of, states, sweeping, tokens
from kallyai_mcp.shared.keys import KeyRing, VaultUnusable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import LiteralString

pytestmark = pytest.mark.anyio


class World:
    """Makes replicas, and reaches behind them."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder = folder
        self.url = url

    def replica(self, *keys: str, clock: Callable[[], float] | None = None) -> Shared:
        return Shared.open(self.url, ring(*keys), folder=self.folder, clock=clock)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        if self.url is None:
            with closing(sqlite3.connect(self.folder / "acts.db", isolation_level=None)) as db:
                return db.execute(statement).fetchall()
        import psycopg

        with psycopg.connect(self.url, autocommit=True, options="-c search_path=kallyai") as db:
            cursor = db.execute(cast("LiteralString", statement))
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(params=["file", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "file":
        return World(tmp_path / "state", None)
    cluster, database = request.getfixturevalue("cluster"), request.getfixturevalue("database")
    return World(tmp_path / "state", cluster.url(database))


async def test_tokens_are_kept_for_one_account_sealed_and_seen_by_every_replica(world: World) -> None:
    async with world.replica() as one, world.replica() as other:
        assert await session(one, ANN, world.folder).token() is None
        assert await session(one, ANN, world.folder).adopt(a_pair("1"))
        assert await session(other, ANN, world.folder).token() == "at-1"
        assert await session(other, BOB, world.folder).token() is None
        [(key, sealed)] = world.sql("SELECT key_id, sealed FROM token WHERE sealed <> ''")
        assert (key, "at-1" in sealed) == (ring().current, False)


async def test_a_sign_out_is_seen_by_every_replica_and_no_version_comes_again(world: World) -> None:
    async with world.replica() as one, world.replica() as other:
        assert await session(one, ANN, world.folder).adopt(a_pair("1"))
        assert await session(other, ANN, world.folder).token() == "at-1"
        assert await session(one, ANN, world.folder).forget()
        assert not await session(one, ANN, world.folder).forget()
        await anyio.sleep(tokens.FRESH)
        assert await session(other, ANN, world.folder).token() is None
        assert await session(one, ANN, world.folder).adopt(a_pair("2"))
        assert world.sql("SELECT version FROM token WHERE sealed <> ''") == [(3,)]


async def test_a_sign_out_waits_for_whoever_refreshes_and_says_so_where_that_takes_too_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as one, world.replica() as other, anyio.create_task_group() as group:
        assert await session(one, ANN, world.folder).adopt(a_pair("1"))
        held, enough = anyio.Event(), anyio.Event()

        async def hold() -> None:
            async with one.tokens(ANN).locked():
                held.set()
                await enough.wait()

        group.start_soon(hold)
        await held.wait()
        person = session(other, ANN, world.folder)
        monkeypatch.setattr(tokens, "LONGEST_WAIT", 0.3)
        with pytest.raises(TransportError) as caught:
            await person.forget()
        assert (caught.value.error_code, caught.value.retryable) == ("token_file_busy", True)
        assert await person.token() == "at-1", "nothing was removed"
        monkeypatch.setattr(tokens, "LONGEST_WAIT", 60.0)
        signed_out: list[bool] = []

        async def sign_out() -> None:
            signed_out.append(await person.forget())

        group.start_soon(sign_out)
        await anyio.sleep(0.2)
        assert signed_out == []
        enough.set()
        with anyio.fail_after(60):
            while not signed_out:  # noqa: ASYNC110 - whoever has got the lock tells nobody
                await anyio.sleep(0.01)
        assert signed_out == [True]
        assert world.sql("SELECT sealed FROM token") == [("",)]


async def test_only_tokens_in_use_are_kept_in_memory(world: World) -> None:
    async with world.replica() as shared:
        mine = shared.tokens(ANN)
        assert shared.tokens(ANN) is mine
        for number in range(50):
            await shared.tokens(account_of("i", str(number))).prepare()
        gc.collect()
        assert len(shared._tokens) == 1  # pyright: ignore[reportPrivateUsage]


async def test_what_is_over_is_swept_a_few_rows_at_a_time_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "MOST", 10)
    monkeypatch.setattr(sweeping, "AGAIN", 0.0)
    now = 1_000_000.0
    tables = ("outstanding", "pending", "rate")

    def rows() -> list[int]:
        return [world.sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables]  # noqa: S608 - names of ours

    async with world.replica(clock=lambda: now) as shared:
        for number in range(25):
            account = account_of("i", str(number))
            await shared.states(account).give("a")
            await shared.pending(account).store({"x": 1}, 60.0)
            await shared.rates.take(account, "runs", 1, 60.0)
        assert rows() == [25, 25, 25]
        now += states.LIFETIME + 60
        seen: list[list[int]] = []
        async with world.replica(clock=lambda: now) as other:
            for _ in range(3):
                await other.rates.take(ANN, "runs", 100, 60.0)
                seen.append(rows())
            assert seen == [[15, 15, 16], [5, 5, 6], [0, 0, 1]]
            await other.states(ANN).give("b")
            await other.pending(ANN).store({"x": 2}, 60.0)
            now += 1
            await other.rates.take(ANN, "runs", 100, 60.0)
            assert rows() == [1, 1, 1], "what is not over stays"
            assert await other.states(ANN).use("b")
            assert await other.pending(ANN).load() == {"x": 2}


KEY = "A" * 42 + "0="
"""32 bytes in base64."""


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE token SET account = 'x' WHERE account = 'ANN'; UPDATE token SET account = 'ANN' "
        "WHERE account = 'BOB'; UPDATE token SET account = 'BOB' WHERE account = 'x'",
        "UPDATE token SET version = version + 1",
        "UPDATE token SET sealed = 'AAAA' || substr(sealed, 5)",
        "UPDATE token SET sealed = 'x'",
        "UPDATE token SET key_id = 'unknown'",
    ],
    ids=["swapped", "another version", "altered", "no base64", "another key"],
)
async def test_rows_that_were_tampered_with_do_not_open(world: World, tamper: str) -> None:
    async with world.replica() as shared:
        for account, name in ((ANN, "ann"), (BOB, "bob")):
            assert await session(shared, account, world.folder).adopt(a_pair(name))
    for statement in tamper.replace("ANN", ANN).replace("BOB", BOB).split(";"):
        world.sql(statement)
    async with world.replica() as shared:
        for account in (ANN, BOB):
            with pytest.raises(VaultUnusable) as caught:
                await session(shared, account, world.folder).token()
            assert "at-" not in caught.value.message
            assert await session(shared, account, world.folder).adopt(a_pair("anew"))
            assert await session(shared, account, world.folder).token() == "at-anew"


async def test_who_lost_the_lock_meanwhile_writes_over_nothing(world: World) -> None:
    async with world.replica() as one:
        store = one.tokens(ANN)
        async with store.locked():
            await store.write(a_pair("1"))
        async with store.locked():
            if world.url is None:
                world.sql("UPDATE token SET version = 9")
            else:
                held = store._held  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
                assert await held(lambda tx: tx.run("UPDATE token SET version = 9")) == 1  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType]
            with pytest.raises(VaultUnusable, match="left as they are"):
                await store.write(a_pair("late"))
        assert world.sql("SELECT version FROM token") == [(9,)]


async def test_a_pending_sign_in_goes_on_wherever_and_ends_once(world: World) -> None:
    now = 1_000_000.0
    async with world.replica(clock=lambda: now) as one, world.replica(clock=lambda: now) as other:
        assert await one.pending(ANN).load() is None
        assert await one.pending(ANN).store({"device_code": "secret", "interval": 5}, 60.0)
        assert await other.pending(ANN).load() == {"device_code": "secret", "interval": 5}
        assert await other.pending(BOB).load() is None
        assert not await other.pending(ANN).store({"device_code": "2"}, 60.0, anyway=False)
        assert await other.pending(ANN).store({"device_code": "3"}, 60.0)
        assert "secret" not in str(world.sql("SELECT * FROM pending"))
        now += 60
        assert await one.pending(ANN).load() is None
        assert await other.pending(ANN).store({"device_code": "4"}, 60.0, anyway=False)
        assert await one.pending(ANN).clear()
        assert not await other.pending(ANN).clear()


async def test_a_state_is_good_once_for_its_account(world: World) -> None:
    now = 1_000_000.0
    async with world.replica(clock=lambda: now) as one, world.replica(clock=lambda: now) as other:
        for state in ("a", "b", "c"):
            assert await one.states(ANN).give(state) == state
        assert not await other.states(BOB).use("a")
        used: list[bool] = []

        async def use(shared: Shared) -> None:
            used.append(await shared.states(ANN).use("a"))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(use, (one, other)[number % 2])
        assert sorted(used) == [False] * 19 + [True]
        now += states.LIFETIME - 1
        assert await other.states(ANN).use("b")
        now += 1
        assert not await other.states(ANN).use("c")
        assert not await other.states(ANN).use("never given")


async def test_of_many_states_the_oldest_are_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "MOST", 3)
    now = 1_000_000.0
    async with world.replica(clock=lambda: now) as shared:
        for state in "abcde":
            now += 1
            await shared.states(ANN).give(state)
        assert [await shared.states(ANN).use(state) for state in "abcde"] == [False, False, True, True, True]


async def test_a_rate_is_exact_whoever_takes(world: World) -> None:
    now = 1_000_000.0
    async with world.replica(clock=lambda: now) as one, world.replica(clock=lambda: now) as other:
        waits: list[float] = []

        async def take(shared: Shared) -> None:
            waits.append(await shared.rates.take(ANN, "runs", 20, 60.0))

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(take, (one, other)[number % 2])
        assert waits.count(0.0) == 20
        assert max(waits) == pytest.approx(3.0)
        assert await one.rates.take(BOB, "runs", 20, 60.0) == 0
        assert await one.rates.take(ANN, "sign_ins", 1, 60.0) == 0
        assert await one.rates.take(ANN, "sign_ins", 1, 60.0) == pytest.approx(60.0)
        now += 3.0
        assert [await one.rates.take(ANN, "runs", 20, 60.0) for _ in range(2)] == [0, pytest.approx(3.0)]
        now += 3600
        assert [await one.rates.take(ANN, "runs", 2, 60.0) for _ in range(3)] == [0, 0, pytest.approx(30.0)]
        with pytest.raises(ValueError, match="ever"):
            await one.rates.take(ANN, "runs", 0, 60.0)


async def test_a_key_is_changed_without_a_pause(world: World) -> None:
    accounts = [account_of("i", str(number)) for number in range(12)]
    async with world.replica(OLD) as shared:
        for account in accounts:
            assert await session(shared, account, world.folder).adopt(a_pair(account))
        await shared.pending(ANN).store({"x": 1}, 600.0)
    is_over = False
    failed = 0

    async def use(shared: Shared) -> None:
        nonlocal failed
        rounds = 0
        while not is_over or rounds < 2:
            for account in accounts:
                store = shared.tokens(account)
                async with store.locked():
                    pair = store.read()
                    failed += pair is None or pair.access_token != f"at-{account}"
                    await store.write(a_pair(account))
            rounds += 1

    async with world.replica(OLD, NEW) as before, world.replica(NEW, OLD) as after:
        async with anyio.create_task_group() as group:
            group.start_soon(use, after)
            assert await session(before, accounts[0], world.folder).adopt(a_pair(accounts[0]))
            await after.rotate()
            is_over = True
        await after.rotate()
        assert await after.rotate() == 0
    assert failed == 0
    async with world.replica(NEW) as shared:
        for account in accounts:
            assert await session(shared, account, world.folder).token() == f"at-{account}"
        assert await shared.pending(ANN).load() == {"x": 1}


async def test_a_ring_without_the_key_says_which_is_missing(world: World) -> None:
    async with world.replica(OLD) as shared:
        assert await session(shared, ANN, world.folder).adopt(a_pair())
    async with world.replica(NEW) as shared:
        with pytest.raises(VaultUnusable, match=ring(OLD).current):
            await session(shared, ANN, world.folder).token()
        with pytest.raises(VaultUnusable):
            await shared.rotate()


async def test_changes_are_heard_of_one_account_and_of_all(world: World) -> None:
    async with world.replica() as one:
        async with one.changes.heard() as heard:
            with anyio.fail_after(60):
                if world.url is not None:  # what came before the connection may have been missed
                    assert await anext(heard) == Change("*", GAP)
                await one.changes.publish(ANN, "approvals")
                change = await anext(heard)
                assert (change.topic, change.concerns(ANN), change.concerns(BOB)) == ("approvals", True, False)
                assert ANN not in change.key
                await one.journal.stop("*", "somebody")
                change = await anext(heard)
                assert (change.topic, change.concerns(ANN), change.concerns(BOB)) == ("stop", True, True)
        for topic in ("", "Two Words", "x" * 200, "ann@example.org"):
            with pytest.raises(ValueError, match="short word"):
                await one.changes.publish(ANN, topic)


async def test_who_listens_too_slowly_is_told_so(world: World) -> None:
    async with world.replica() as shared, shared.changes.heard() as heard:
        for _ in range(300):
            shared.changes._tell(Change("*", "acts"))  # pyright: ignore[reportPrivateUsage]
        with anyio.fail_after(60):
            async for change in heard:
                if change.topic == GAP and not shared.changes._listeners[next(iter(shared.changes._listeners))]:  # pyright: ignore[reportPrivateUsage]
                    break


async def test_a_stop_elsewhere_wakes_who_waits_for_it(world: World) -> None:
    async with world.replica() as one, world.replica() as other:
        journal, changes = one.journal, one.changes
        with anyio.fail_after(60):
            async with changes.heard() as heard, anyio.create_task_group() as group:
                if world.url is not None:  # from then on changes arrive
                    assert await anext(heard) == Change("*", GAP)

                async def wait() -> None:
                    while await journal.stopped(ANN) is None:
                        await journal.await_stop(ANN, 600.0 if world.url else 0.05)

                group.start_soon(wait)
                # A change is a hint: whoever begins to listen after it does not hear it.
                while len(changes._listeners) < 2:  # noqa: ASYNC110  # pyright: ignore[reportPrivateUsage] - nobody tells
                    await anyio.sleep(0.01)
                await other.journal.stop(ANN, "a person")


async def test_nothing_is_wrong_with_a_replica_that_can_serve(world: World) -> None:
    async with world.replica() as shared:
        assert await shared.problems() == []


@pytest.mark.parametrize("text", ["", " , ", "short", "AAAA", KEY[:-4], f"{KEY},x"])
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        KeyRing.read(text)
    assert "new-key" in caught.value.next_step
    assert not text.strip(" ,") or text not in caught.value.message
