"""PostgreSQL under several replicas: processes that die, connections that break, a server that goes and comes back."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest
from journal_world import ANN, ROOMY, a_draft, begun
from postgres_world import GRACE, PATIENCE, storage
from shared_world import ANN as PERSON
from shared_world import a_pair, ring, session
from test_auth_processes import rotating
from test_journal_processes import RACES, Peer, peers, racing

from kallyai_mcp.errors import ActRefused, InvalidSettings
from kallyai_mcp.journal import ALL, Journal, postgresql_transaction
from kallyai_mcp.journal.postgresql import PostgreSQL
from kallyai_mcp.journal.storage import CommitUnknown, StorageAway
from kallyai_mcp.model.acts import State
from kallyai_mcp.shared import GAP, Shared

if TYPE_CHECKING:
    from collections.abc import Generator

    from postgres_world import Cluster

    from kallyai_mcp.journal.postgresql_transaction import Connection

pytestmark = pytest.mark.anyio

REPLICA = Path(__file__).with_name("shared_peer.py")


def replica_of(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(REPLICA), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)  # noqa: S603 - our own script


@pytest.fixture
def url(cluster: Cluster, database: str) -> str:
    return cluster.url(database)


@pytest.mark.parametrize(("draft", "limit", "most", "begun"), [RACES[0], RACES[2]])
async def test_two_replicas_never_exceed_a_limit(
    url: str, draft: dict[str, Any], limit: str, most: float, begun: int
) -> None:
    assert racing(url, draft, {limit: most}, processes=2) == {"begun": begun, limit: 200 - begun}
    async with Journal(PostgreSQL(url)) as journal:
        assert len(await journal.acts(ANN, limit=None)) == begun
        assert (await journal.verify()).broken is None


@pytest.mark.parametrize(("at", "state"), [("prepared", State.NOT_SENT), ("sent", State.UNKNOWN), ("done", State.DONE)])
async def test_what_a_killed_replica_left_is_settled_by_another(url: str, at: str, state: State) -> None:
    peer = Peer(url, "die", at)
    peer.ready()
    peer.go()
    peer.end()
    async with Journal(PostgreSQL(url, grace=GRACE)) as journal:
        with anyio.fail_after(60):
            await _settled(journal)
        assert [act.state for act in await journal.acts(ANN)] == [state]
        assert (await journal.usage(ANN)).in_flight == 0


async def _settled(journal: Journal) -> None:
    while (await journal.usage(ANN)).in_flight:  # noqa: ASYNC110 - a process that is gone tells nobody
        await anyio.sleep(0.1)
    await journal.recover(ANN, "ask")


async def test_what_a_living_replica_has_under_way_is_left_to_it(cluster: Cluster, database: str) -> None:
    async with (
        Journal(storage(cluster, database)) as one,
        Journal(storage(cluster, database, grace=0.0)) as other,
    ):
        act = await one.sending(ANN, (await begun(one, a_draft())).id)
        await anyio.sleep(0.2)
        assert await other.recover(ANN, "ask") == []
        with pytest.raises(ActRefused) as caught:
            await other.begin(ANN, a_draft(), ROOMY)
        assert caught.value.error_code == "act_under_way"
        assert (await one.settle(ANN, act.id, State.DONE)).state is State.DONE


async def test_a_replica_whose_connection_breaks_is_not_dead(cluster: Cluster, database: str) -> None:
    async with Journal(storage(cluster, database)) as one, Journal(storage(cluster, database, grace=30.0)) as other:
        act = await begun(one, a_draft())
        ended = cluster.sql(
            database,
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE locktype = 'advisory' AND mode = 'ShareLock'",
        )
        assert ended
        assert await other.recover(ANN, "ask") == []
        assert (await one.sending(ANN, act.id)).state is State.SENT


class Breaking(PostgreSQL):
    """Loses its connection at the end of the next transaction."""

    breaks: str = ""
    answers = True

    def commit(self, connection: Connection, xid: str) -> None:
        breaks, self.breaks = self.breaks, ""
        if not breaks:
            super().commit(connection, xid)
            return
        with self.connect() as other:
            if breaks == "after":
                connection.execute("COMMIT")
            other.execute("SELECT pg_terminate_backend(%(pid)s, 60000)", {"pid": connection.info.backend_pid})
        super().commit(connection, xid)

    def _is_final(self, xid: str) -> bool:
        if not self.answers:
            raise CommitUnknown("unknown", next_step="again", retryable=True)
        return super()._is_final(xid)


async def test_what_was_undone_with_its_connection_is_refused_and_not_there(url: str) -> None:
    database = Breaking(url)
    async with Journal(database) as journal:
        await journal.forget()
        journal._forgot = time.time()  # pyright: ignore[reportPrivateUsage]
        database.breaks = "before"
        with pytest.raises(StorageAway) as caught:
            await journal.begin(ANN, a_draft(), ROOMY)
        assert caught.value.retryable
        assert await journal.acts(ANN) == []
        await begun(journal, a_draft())


async def test_what_is_in_force_although_its_answer_was_lost_counts(url: str) -> None:
    database = Breaking(url)
    async with Journal(database) as journal:
        await journal.forget()
        journal._forgot = time.time()  # pyright: ignore[reportPrivateUsage]
        database.breaks = "after"
        act = await begun(journal, a_draft())
        database.breaks = "after"
        assert (await journal.sending(ANN, act.id)).state is State.SENT
        database.breaks = "after"
        assert (await journal.settle(ANN, act.id, State.DONE)).state is State.DONE
        assert [line.number for line in await journal.receipts(ANN)] == [1]


async def test_an_act_of_which_nobody_knows_whether_it_was_recorded_is_never_sent_and_stands_in_no_way(
    url: str,
) -> None:
    database = Breaking(url)
    async with Journal(database) as journal:
        await journal.forget()
        journal._forgot = time.time()  # pyright: ignore[reportPrivateUsage]
        database.breaks, database.answers = "after", False
        with pytest.raises(CommitUnknown):
            await journal.begin(ANN, a_draft(), ROOMY)
        assert [act.state for act in await journal.acts(ANN)] == [State.PREPARED]
        await begun(journal, a_draft())
        assert [act.state for act in await journal.acts(ANN)] == [State.PREPARED, State.NOT_SENT]


async def test_a_server_that_goes_and_comes_back_costs_a_few_seconds_and_loses_nothing(
    own_cluster: Cluster, tmp_path: Path
) -> None:
    cluster = own_cluster
    async with Shared.open(cluster.url("tables"), ring()) as shared:
        journal, person = shared.journal, session(shared, PERSON, tmp_path)
        assert await person.adopt(a_pair("1"))
        act = await begun(journal, a_draft())
        await journal.sending(ANN, act.id)
        async with shared.changes.heard() as heard:
            cluster.stop()
            for _ in range(2):
                start = time.monotonic()
                for work in (journal.stopped(ANN), journal.settle(ANN, act.id, State.DONE)):
                    with pytest.raises(StorageAway, match=r"cannot be reached|was lost") as caught:
                        await work
                    assert caught.value.error_code == "storage_away"
                assert time.monotonic() - start < 30
            with pytest.raises(StorageAway):
                await shared.rates.take(ANN, "runs", 1, 60)
            assert [problem.error_code for problem in await shared.problems()] == ["storage_away"]
            assert await person.token() == "at-1", "what was read before goes on"
            cluster.start()
            with anyio.fail_after(PATIENCE):
                while await shared.problems():  # noqa: ASYNC110 - the server tells nobody that it is back
                    await anyio.sleep(0.1)
                async for change in heard:
                    if change.topic == GAP and shared.changes.is_connected:
                        break
        assert await journal.recover(ANN, "ask") == []
        assert (await journal.settle(ANN, act.id, State.DONE)).state is State.DONE
        assert [line.number for line in await journal.receipts(ANN)] == [1]
        assert await person.token() == "at-1"


@pytest.fixture
def own_cluster(cluster: Cluster) -> Generator[Cluster]:
    """The cluster of the run, for a test that stops it; started again whatever happens."""
    yield cluster
    try:
        cluster.sql("postgres", "SELECT 1")
    except psycopg.Error:
        cluster.start()
    cluster.clean("tables")


async def test_a_replica_that_is_frozen_in_a_transaction_holds_nobody_for_long(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = PostgreSQL(url)
    async with Journal(PostgreSQL(url)) as journal, anyio.create_task_group() as group:
        await journal.taint(ANN, "x", 1.0)  # by a connection that may be idle for longer
        monkeypatch.setattr(postgresql_transaction, "IDLE", 1)
        thaw = threading.Event()
        began = anyio.Event()

        async def freeze() -> None:
            def work(tx: Any) -> None:
                anyio.from_thread.run_sync(began.set)
                thaw.wait(60)
                tx.run("DELETE FROM stop")

            with pytest.raises(StorageAway):
                await frozen.write(work, of=ANN)

        group.start_soon(freeze)
        await began.wait()
        with anyio.fail_after(60):
            await journal.stop(ALL, "a person")
        thaw.set()
    async with Journal(frozen) as journal:
        assert await journal.stopped(ANN) is not None


async def test_three_replicas_with_twenty_calls_each_refresh_once(url: str, tmp_path: Path) -> None:
    async with Shared.open(url, ring()) as shared:
        assert await session(shared, PERSON, tmp_path).adopt(a_pair("0", seconds=-10))
    with rotating() as service:
        command = ["refresh", url, f"http://127.0.0.1:{service.server_address[1]}", "20"]
        replicas = [replica_of(*command, folder=tmp_path) for _ in range(3)]
        try:
            for replica in replicas:
                assert replica.stdout is not None
                assert replica.stdout.readline() == "ready\n"
            found = [replica.communicate("go\n", timeout=120)[0] for replica in replicas]
        finally:
            for replica in replicas:
                replica.kill()
                replica.wait()
        assert [json.loads(line) for line in found] == [{"ok": 20, "tokens": ["at-1"]}] * 3
        assert (service.refreshes, service.revoked) == (1, False)


async def test_who_was_paused_while_holding_the_tokens_writes_over_nothing(url: str, tmp_path: Path) -> None:
    async with Shared.open(url, ring()) as shared:
        person = session(shared, PERSON, tmp_path)
        assert await person.adopt(a_pair("0"))
        paused = replica_of("pause", url, folder=tmp_path)
        try:
            assert paused.stdout is not None
            assert await anyio.to_thread.run_sync(paused.stdout.readline) == "held\n"
            assert await person.adopt(a_pair("newer")), "the lock of one that is paused ends"
            found, _ = await anyio.to_thread.run_sync(lambda: paused.communicate("go\n", timeout=60))
        finally:
            paused.kill()
            paused.wait()
        assert found == "vault_unusable\n"
    async with Shared.open(url, ring()) as shared:
        assert await session(shared, PERSON, tmp_path).token() == "at-newer"


async def test_a_holder_that_dies_frees_the_tokens_at_once(url: str, tmp_path: Path) -> None:
    async with Shared.open(url, ring()) as shared:
        holder = replica_of("pause", url, folder=tmp_path)
        try:
            assert holder.stdout is not None
            assert await anyio.to_thread.run_sync(holder.stdout.readline) == "held\n"
        finally:
            holder.kill()
            holder.communicate()
        assert await session(shared, PERSON, tmp_path).adopt(a_pair("1"))


async def test_replicas_killed_while_they_work_leave_every_act_told_of_and_the_log_whole(url: str) -> None:
    told: list[list[str]] = []
    with peers(url) as _:
        workers = [Peer(url, "work", f"w{number}") for number in range(2)]
        for worker in workers:
            worker.ready()
            worker.go()
        for worker in workers:
            told += [worker.line().split() for _ in range(40)]  # more than a dozen acts each
        for worker in workers:
            worker.process.kill()
            assert worker.process.stdout is not None
            told += [line.split() for line in worker.process.stdout.read().splitlines()]
            worker.kill()
    done = {words[1] for words in told if words[0] == "done"}
    async with Journal(PostgreSQL(url, grace=GRACE)) as journal:
        with anyio.fail_after(60):
            await _settled(journal)
        acts = {act.id: act.state for act in await journal.acts(ANN, limit=None)}
        assert done
        assert {acts[identifier] for identifier in done} == {State.DONE}
        assert not [state for state in acts.values() if state in (State.PREPARED, State.SENT)]
        assert (await journal.verify()).broken is None


async def test_an_address_is_shown_without_its_password(cluster: Cluster) -> None:
    address = f"postgresql://owner:a-long-password@127.0.0.1:{cluster.port}/nowhere"
    async with Journal(PostgreSQL(address)) as journal:
        with pytest.raises(StorageAway, match=f"nowhere at 127.0.0.1:{cluster.port} does not exist") as caught:
            await journal.stopped(ANN)
        assert "a-long-password" not in str(caught.value.as_dict())
    with pytest.raises(InvalidSettings) as refused:
        PostgreSQL("postgresql://a:very-secret-word@host:not-a-port/x?nonsense=1")
    assert "very-secret-word" not in str(refused.value.as_dict())
