"""The tables in PostgreSQL: made by one command, beside running servers, with no more rights than are needed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest
from journal_world import ANN, a_draft, in_state

from kallyai_mcp.cli import storing
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.journal import Journal, postgresql_schema, schema
from kallyai_mcp.journal.postgresql import PostgreSQL
from kallyai_mcp.model.acts import State
from kallyai_mcp.settings import Settings
from kallyai_mcp.shared.operating import migrated

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from postgres_world import Cluster

pytestmark = pytest.mark.anyio

CURRENT = len(schema.STEPS)


@pytest.fixture
def empty(cluster: Cluster) -> Generator[str]:
    """A database without any table."""
    name = cluster.new("template1")
    yield name
    cluster.drop(name)


async def test_the_tables_are_made_once_whoever_makes_them(cluster: Cluster, empty: str) -> None:
    found: list[tuple[int, int]] = []
    threads = [threading.Thread(target=lambda: found.append(migrated(cluster.url(empty)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(0, CURRENT)] + [(CURRENT, CURRENT)] * 3


async def test_a_server_says_which_command_is_missing(cluster: Cluster, empty: str) -> None:
    async with Journal(PostgreSQL(cluster.url(empty))) as journal:
        with pytest.raises(InvalidSettings, match="has no tables") as caught:
            await journal.stopped(ANN)
        assert (caught.value.error_code, caught.value.retryable) == ("journal_unusable", False)
        assert "kallyai-mcp migrate" in caught.value.next_step
        migrated(cluster.url(empty))
        assert await journal.stopped(ANN) is None, "no restart is needed"


@pytest.mark.parametrize(
    ("version", "oldest", "words"),
    [(CURRENT - 1, 1, "needs"), (CURRENT + 1, CURRENT + 1, "knows"), (CURRENT + 1, CURRENT, None)],
    ids=["too old", "too new", "newer, and only added to"],
)
async def test_a_server_works_with_tables_that_it_knows(
    cluster: Cluster, empty: str, version: int, oldest: int, words: str | None
) -> None:
    url = cluster.url(empty)
    migrated(url)
    cluster.sql(empty, "DELETE FROM kallyai.migration")
    added = "INSERT INTO kallyai.migration (version, oldest) VALUES (%(version)s, %(oldest)s)"
    cluster.sql(empty, added, version=version, oldest=oldest)
    async with Journal(PostgreSQL(url)) as journal:
        if words is None:
            assert await journal.stopped(ANN) is None
        else:
            with pytest.raises(InvalidSettings, match=words):
                await journal.stopped(ANN)
    if version > CURRENT:
        with pytest.raises(InvalidSettings, match="knows"):
            migrated(url)


async def test_a_step_that_fails_leaves_the_version_before_it(
    cluster: Cluster, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = cluster.url(empty)
    monkeypatch.setattr(
        schema, "STEPS", (*schema.STEPS, ("CREATE TABLE added (x INTEGER)", "INSERT INTO nowhere DEFAULT VALUES"))
    )
    monkeypatch.setattr(postgresql_schema, "OLDEST", (*postgresql_schema.OLDEST, 1))
    with pytest.raises(InvalidSettings):
        migrated(url)
    monkeypatch.undo()
    assert migrated(url) == (CURRENT, CURRENT)
    assert cluster.sql(empty, "SELECT to_regclass('kallyai.added') AS found") == [{"found": None}]


async def test_a_servers_user_can_do_all_that_it_needs_and_change_no_receipt(cluster: Cluster, empty: str) -> None:
    role = f"server_{empty}"
    cluster.sql("postgres", f"CREATE ROLE {role} LOGIN")
    try:
        migrated(cluster.url(empty), role)
        async with Journal(PostgreSQL(cluster.url(empty, role))) as journal:
            await in_state(journal, a_draft(recipients=("a",)), State.DONE)
            await journal.forget()
            await journal.recover(ANN, "ask")
            await journal.taint(ANN, "x", 1.0)
            assert (await journal.verify()).broken is None
        with psycopg.connect(cluster.url(empty, role), autocommit=True) as db:
            for statement in (
                "UPDATE kallyai.receipt SET line = ''",
                "DELETE FROM kallyai.receipt",
                "DELETE FROM kallyai.act",
                "INSERT INTO kallyai.migration (version, oldest) VALUES (9, 9)",
                "CREATE TABLE kallyai.own (x int)",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    db.execute(statement)
    finally:
        cluster.sql(empty, f"DROP OWNED BY {role}")
        cluster.sql("postgres", f"DROP ROLE {role}")


def test_a_role_that_is_not_there_is_named(cluster: Cluster, empty: str) -> None:
    with pytest.raises(InvalidSettings, match="has no user server-of-nobody") as caught:
        migrated(cluster.url(empty), "server-of-nobody")
    assert "--grant" in caught.value.next_step
    assert migrated(cluster.url(empty)) == (CURRENT, CURRENT)


@pytest.mark.parametrize("what", ["TRUNCATE {}", "DELETE FROM {}", "UPDATE {} SET line = ''"])
async def test_not_even_the_owner_changes_a_receipt_by_mistake(cluster: Cluster, database: str, what: str) -> None:
    async with Journal(PostgreSQL(cluster.url(database))) as journal:
        await in_state(journal, a_draft(), State.DONE)
    with pytest.raises(psycopg.errors.RaiseException, match="never changed or removed"):
        cluster.sql(database, what.format("kallyai.receipt"))


def test_an_operator_migrates_and_makes_keys_by_typing(
    cluster: Cluster, empty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"HOME": str(tmp_path), "PATH": "", "KALLYAI_DATABASE_URL": cluster.url(empty)}
    done = subprocess.run(
        [sys.executable, "-m", "kallyai_mcp", "migrate", "--json"], env=given, capture_output=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, {"before": 0, "after": CURRENT})
    settings = Settings(database_url=cluster.url(empty), state_dir=tmp_path / "state")
    assert storing.migrate(settings, role=None, as_json=False) == 0
    assert capsys.readouterr().out == f"The tables are of version {CURRENT}, as they were.\n"
    assert storing.vault(Namespace(what="new-key"), settings, as_json=False) == 0
    key = capsys.readouterr().out.strip()
    for url in (settings.database_url, None):
        ready = replace(settings, database_url=url, vault_keys=key)
        assert storing.vault(Namespace(what="rotate"), ready, as_json=True) == 0
        assert json.loads(capsys.readouterr().out) == {"sealed_anew": 0}
    with pytest.raises(InvalidSettings, match="KALLYAI_VAULT_KEYS"):
        storing.vault(Namespace(what="rotate"), settings, as_json=True)
    with pytest.raises(InvalidSettings, match="KALLYAI_DATABASE_URL"):
        storing.migrate(replace(settings, database_url=None), role=None, as_json=True)


@pytest.mark.parametrize(
    "address", ["mysql://user:a-secret-word@host/x", "a-secret-word", "postgresql://a-secret-word x"]
)
def test_what_is_no_address_of_a_database_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.read({"KALLYAI_DATABASE_URL": address})
    assert "a-secret-word" not in str(caught.value.as_dict())
