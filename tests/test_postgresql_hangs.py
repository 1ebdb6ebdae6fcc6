"""PostgreSQL that takes connections and says nothing more; and how many connections one process ever has."""

from __future__ import annotations

import threading
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import psycopg
import pytest
from journal_world import ANN, ROOMY, a_draft, begun
from organisation_world import BALANCE, ERRAND, Host, organisation
from postgres_world import GRACE, PATIENCE
from shared_world import ANN as PERSON
from shared_world import a_pair, ring, session
from stalling_proxy import StallingProxy, stalling

from kallyai_mcp.journal import Journal, postgresql, postgresql_patience, postgresql_pool
from kallyai_mcp.journal.postgresql import Busy, PostgreSQL
from kallyai_mcp.journal.storage import CommitUnknown, StorageAway
from kallyai_mcp.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from postgres_world import Cluster

pytestmark = pytest.mark.anyio

LONG = 20.0
"""Seconds that nothing here may take, even on a busy machine; without a bound it would last as long as the hang."""


@pytest.fixture
def proxy(cluster: Cluster) -> Generator[StallingProxy]:
    with stalling(cluster.port) as made:
        yield made


@pytest.fixture
def through(proxy: StallingProxy, database: str) -> str:
    """The address of the database behind the proxy."""
    return f"postgresql://owner@127.0.0.1:{proxy.port}/{database}"


async def test_a_database_that_hangs_is_given_up_and_used_again_once_it_answers(
    proxy: StallingProxy, through: str, tmp_path: Path
) -> None:
    async with Shared.open(through, ring()) as shared:
        person = session(shared, PERSON, tmp_path)
        assert await person.adopt(a_pair("1"))
        await begun(shared.journal, a_draft())
        proxy.stall()
        waited: list[float] = []

        async def refused() -> None:
            start = time.monotonic()
            with pytest.raises(StorageAway) as caught:
                await shared.journal.begin(ANN, a_draft(), ROOMY)
            waited.append(time.monotonic() - start)
            assert caught.value.error_code == "storage_away"

        with anyio.fail_after(3 * LONG):
            async with anyio.create_task_group() as group:
                for _ in range(12):  # more than there are turns
                    group.start_soon(refused)
            assert await person.token() == "at-1", "what was read before goes on"
            assert [problem.error_code for problem in await shared.problems()] == ["storage_away"]
        print(f"refused after {max(waited):.1f} s")  # noqa: T201 - a figure for whoever asks
        assert max(waited) < LONG
        proxy.go_on()
        start = time.monotonic()
        with anyio.fail_after(LONG):
            while True:
                try:
                    await shared.journal.stop(ANN, "a person")
                    break
                except StorageAway:
                    await anyio.sleep(0.1)
        print(f"well after {time.monotonic() - start:.1f} s")  # noqa: T201 - a figure for whoever asks
        assert await shared.journal.resume(ANN)


async def test_people_of_a_server_whose_database_hangs_read_on_and_act_again_once_it_answers(
    proxy: StallingProxy, through: str, tmp_path: Path
) -> None:
    with organisation(tmp_path, through, replicas=1, more={"KALLYAI_APPROVAL": "off"}) as us:
        await us.link("ann")
        async with Host(us, us.token("ann")) as ann:
            assert (await ann.call(0, BALANCE))["structuredContent"]["owner"] == "ann"
            proxy.stall()
            slowest = 0.0
            for number in range(6):
                start = time.monotonic()
                if number % 3 == 2:
                    error = (await ann.call(0, ERRAND, description="Fetch the parcel"))["structuredContent"]["error"]
                    assert error["code"] == "storage_away"
                    assert "127.0.0.1" not in str(error)
                else:
                    assert (await ann.call(0, BALANCE))["structuredContent"]["owner"] == "ann"
                slowest = max(slowest, time.monotonic() - start)
            proxy.go_on()
            start = time.monotonic()
            while (done := await ann.call(0, ERRAND, description="Fetch the parcel"))["isError"]:
                assert done["structuredContent"]["error"]["code"] == "storage_away"
                assert time.monotonic() - start < PATIENCE
                await anyio.sleep(0.2)
            print(f"slowest {slowest:.1f} s, well after {time.monotonic() - start:.1f} s")  # noqa: T201 - figures for whoever asks
        assert [one["path"].endswith("/errand") for one in us.requests()].count(True) == 1
        assert "nor does it take connections" in us.log()
        assert "The PostgreSQL database" in us.log()


async def test_a_hang_while_something_is_made_final_leaves_that_open_and_sends_nothing(
    proxy: StallingProxy, through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stalled(PostgreSQL):
        def commit(self, connection: Any, xid: str) -> None:
            monkeypatch.setattr(postgresql_patience, "SILENCE", 0.3)
            monkeypatch.setattr(postgresql, "ARRIVES", 0.1)  # in which its end is asked for
            proxy.stall()
            super().commit(connection, xid)

    database = Stalled(through, grace=GRACE)
    async with Journal(database) as journal:
        with anyio.fail_after(2 * LONG):
            with pytest.raises(CommitUnknown):
                await database.write(lambda tx: tx.run("DELETE FROM stop"), of=ANN)
        proxy.go_on()
        with anyio.fail_after(LONG):
            while True:
                try:
                    await journal.stopped(ANN)
                    break
                except StorageAway:
                    await anyio.sleep(0.1)


async def test_a_connection_that_alone_hangs_is_given_up_too(proxy: StallingProxy, through: str) -> None:
    def work() -> None:
        connection = PostgreSQL(through).connect()
        assert isinstance(connection, postgresql_patience.PatientConnection)
        connection.longest = 0.5
        proxy.stall()
        with pytest.raises(psycopg.OperationalError, match="in time"):
            connection.execute("SELECT 1")
        assert connection.closed

    with anyio.fail_after(LONG):
        await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


async def test_who_waits_for_a_lock_is_not_taken_for_one_that_gets_no_answer(
    through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_patience, "SILENCE", 0.1)
    monkeypatch.setattr(postgresql_pool, "ARRIVES", 0.5)  # in which one that was lost is tried again
    monkeypatch.setattr(postgresql_pool, "ANSWERS", int(LONG))  # it is there, even if the machine is busy
    one, other = PostgreSQL(through), PostgreSQL(through)
    done: list[int] = []
    async with Journal(one), Journal(other), anyio.create_task_group() as group:
        locked, free = anyio.Event(), threading.Event()

        async def hold() -> None:
            def work(tx: Any) -> None:
                del tx
                anyio.from_thread.run_sync(locked.set)
                free.wait(LONG)

            await one.write(work, of=ANN)

        group.start_soon(hold)
        await locked.wait()

        async def wait() -> None:
            done.append(await other.write(lambda tx: tx.run("DELETE FROM stop"), of=ANN))

        group.start_soon(wait)
        await anyio.sleep(1.5)
        assert done == []
        free.set()
    assert done == [0]


def connections(cluster: Cluster, database: str) -> int:
    """How many connections the program has."""
    [row] = cluster.sql(
        "postgres",
        "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'kallyai-mcp' AND datname = %(name)s",
        name=database,
    )
    return row["n"]


async def left(cluster: Cluster, database: str, number: int) -> None:
    """Wait until there are so many connections: the database takes a moment to end one."""
    with anyio.fail_after(PATIENCE):
        while connections(cluster, database) != number:  # noqa: ASYNC110 - the database tells nobody
            await anyio.sleep(0.05)


async def together(storage: PostgreSQL, number: int) -> None:
    """Have so many reads under way at the same time."""
    gate = threading.Barrier(number)

    def work(_: Any) -> None:
        gate.wait(LONG)

    async with anyio.create_task_group() as group:
        for _ in range(number):
            group.start_soon(storage.read, work)


async def test_refreshes_have_so_many_connections_and_no_more(cluster: Cluster, database: str) -> None:
    storage = PostgreSQL(cluster.url(database), connections=3)
    async with Journal(storage):
        most = 0
        done = 0

        async def hold(number: int) -> None:
            nonlocal most, done
            row = "INSERT INTO stop (account, since, stopped_by) VALUES (:account, 0, '')"
            async with storage.held(lambda tx: tx.run(row, account=f"a{number}"), wait=LONG, idle=25.0):
                most = max(most, connections(cluster, database))
                await anyio.sleep(0.05)
                done += 1

        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(hold, number)
        assert (done, most) == (12, 3)
        async with AsyncExitStack() as holding:
            for _ in range(3):
                await holding.enter_async_context(storage.held(lambda _: None, wait=LONG, idle=25.0))
            await together(storage, 3)
            assert connections(cluster, database) == 6
        await left(cluster, database, 3)  # what is idle is bounded, too


async def test_who_finds_no_place_for_a_refresh_is_told_in_time(cluster: Cluster, database: str) -> None:
    storage = PostgreSQL(cluster.url(database), connections=1)
    async with Journal(storage), storage.held(lambda _: None, wait=LONG, idle=25.0):
        for wait in (0.0, 0.2):
            with pytest.raises(Busy):
                async with storage.held(lambda _: None, wait=wait, idle=25.0):
                    raise AssertionError("there was a place")
    async with Journal(storage), storage.held(lambda _: None, wait=0.0, idle=25.0):
        pass


async def test_connections_that_nobody_uses_are_closed(
    cluster: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = PostgreSQL(cluster.url(database), connections=6)
    async with Journal(storage):
        await together(storage, 6)
        assert connections(cluster, database) == 6
        monkeypatch.setattr(postgresql_pool, "IDLES", 0.0)
        await storage.read(lambda _: None)
        await left(cluster, database, 0)
