"""What people are told of a database that cannot be used, and what its operator finds in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest
from journal_world import ANN
from shared_world import ANN as PERSON
from shared_world import ring, session

from kallyai_mcp.errors import InvalidSettings, KallyError
from kallyai_mcp.journal import postgresql_trouble as trouble
from kallyai_mcp.journal.postgresql import Busy, PostgreSQL
from kallyai_mcp.journal.storage import CommitUnknown, StorageAway
from kallyai_mcp.journal.trouble import understood
from kallyai_mcp.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator
    from pathlib import Path

    from postgres_world import Cluster

pytestmark = pytest.mark.anyio

URL = "postgresql://the-user:the-password@the-host:6543/the-name"
NAMES = ("the-user", "the-host", "6543", "the-name", "the-password")
FACTS = trouble.facts_of(URL)


def told(error: KallyError) -> str:
    """All that anybody is shown of an error."""
    return f"{error} {error.as_dict()} {error.args}"


def every() -> Iterator[InvalidSettings]:
    """Every error that can be made of a database, at a place whose name is nobody's business."""
    place = trouble.Place(FACTS, is_hidden=True)
    kinds = {
        kind for kind in vars(psycopg.errors).values() if isinstance(kind, type) and issubclass(kind, psycopg.Error)
    }
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        error = kind(f"FATAL: no such thing as {' '.join(NAMES)}")
        yield trouble.explained(place, error)
        yield trouble.unreachable(place, error)
    for text in ("password authentication failed for user", "database the-name does not exist", "timeout"):
        yield trouble.unreachable(place, psycopg.OperationalError(text))
    yield trouble.busy(place, 15, Busy)
    yield trouble.commit_unknown(place)
    yield trouble.unusable(place, "has no tables of this program", trouble.MIGRATE)
    try:
        with understood(place.path):
            raise KeyError
    except InvalidSettings as error:
        yield error


def test_people_are_told_in_general_words_and_the_log_has_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: set[type] = set()
    for error in every():
        seen.add(type(error))
        assert not [name for name in NAMES if name in told(error)], told(error)
        assert "KALLYAI_" not in told(error)
        assert error.next_step
    assert seen == {Busy, CommitUnknown, StorageAway, InvalidSettings}
    assert "The PostgreSQL database the-name at the-host:6543 does not let the user the-user in." in caplog.text
    assert "the-password" not in caplog.text


def test_the_operator_is_told_where_it_is() -> None:
    error = trouble.unreachable(trouble.Place(FACTS), psycopg.OperationalError("timeout"))
    assert error.message == "The PostgreSQL database the-name at the-host:6543 cannot be reached."
    assert trouble.Place(FACTS).path == "in the PostgreSQL database the-name at the-host:6543"


@pytest.mark.parametrize(
    "text",
    [
        'FATAL: too many connections for role "the-user"',
        'FATAL: too many connections for database "the-name"',
        "FATAL: sorry, too many clients already",
        "FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute",
    ],
)
def test_the_operator_is_told_that_there_are_too_few_connections(text: str) -> None:
    error = trouble.unreachable(trouble.Place(FACTS), psycopg.OperationalError(text))
    assert error.message == "The PostgreSQL database the-name at the-host:6543 has no connection left to give."
    assert "max_connections" in error.next_step
    assert "CONNECTION LIMIT of the user the-user" in error.next_step
    assert isinstance(error, StorageAway)


async def test_a_full_database_says_so(cluster: Cluster, database: str) -> None:
    cluster.sql("postgres", "DROP ROLE IF EXISTS narrow")
    cluster.sql("postgres", "CREATE ROLE narrow LOGIN CONNECTION LIMIT 0")
    storage = PostgreSQL(cluster.url(database, "narrow"))
    with pytest.raises(StorageAway, match="has no connection left to give"):
        await storage.read(lambda tx: tx.one("SELECT 1 AS one"))
    await storage.aclose()
    cluster.sql("postgres", "DROP ROLE narrow")


def test_the_log_says_the_same_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    place = trouble.Place(FACTS, is_hidden=True)
    for _ in range(100):
        trouble.away(place, "cannot be reached")
    assert len(caplog.records) == 1


@pytest.fixture
def empty(cluster: Cluster) -> Generator[str]:
    """A database without any table."""
    name = cluster.new("template1")
    yield name
    cluster.drop(name)


async def test_no_part_of_a_server_tells_where_its_database_is(
    cluster: Cluster, empty: str, database: str, tmp_path: Path
) -> None:
    cluster.sql("postgres", "DROP ROLE IF EXISTS powerless")
    cluster.sql("postgres", "CREATE ROLE powerless LOGIN")
    urls = {cluster.url(empty): empty, cluster.url(database, "powerless"): "powerless"}
    for url, name in urls.items():
        async with Shared.open(url, ring()) as shared:
            person = session(shared, PERSON, tmp_path)
            works: list[Callable[[], Awaitable[Any]]] = [
                lambda shared=shared: shared.journal.stopped(ANN),
                lambda shared=shared: shared.journal.stop(ANN, "a person"),
                lambda shared=shared: shared.rates.take(ANN, "runs", 1, 60.0),
                lambda shared=shared: shared.states(ANN).give("a"),
                lambda shared=shared: shared.pending(ANN).load(),
                lambda person=person: person.token(),
                lambda person=person: person.forget(),
                lambda shared=shared: shared.changes.publish(ANN, "acts"),
            ]
            for number, work in enumerate(works):
                with anyio.fail_after(30):
                    if number == len(works) - 1 and name == "powerless":
                        continue  # everybody may notify
                    with pytest.raises(InvalidSettings) as caught:
                        await work()
                for one in (name, "127.0.0.1", str(cluster.port), "owner", database):
                    assert one not in told(caught.value), (url, number, told(caught.value))
    cluster.sql("postgres", "DROP ROLE powerless")


async def test_a_lock_that_is_held_is_told_without_names(cluster: Cluster, database: str) -> None:
    storage = PostgreSQL(cluster.url(database), for_people=True)
    row = "INSERT INTO stop (account, since, stopped_by) VALUES ('x', 0, '')"
    async with storage.held(lambda tx: tx.run(row), wait=5.0, idle=25.0):
        with pytest.raises(Busy) as caught:
            async with storage.held(lambda tx: tx.run(row), wait=0.2, idle=25.0):
                pass
        assert database not in told(caught.value)
    await storage.aclose()
