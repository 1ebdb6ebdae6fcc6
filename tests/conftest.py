"""Fixtures that every test may use."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator

    from postgres_world import Cluster

    from kallyai_mcp.journal.storage import Storage


# How long an example takes tells of the machine.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Have started programs take SIGINT also where it is ignored, as in a job in the background of a shell."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster]:
    """A PostgreSQL of this run; tests that need one are skipped where it is not installed, but not in CI."""
    from postgres_world import running

    with running() as started:
        yield started


@pytest.fixture(scope="session")
def one_database(cluster: Cluster) -> str:
    """A database with the tables, for all tests of a process."""
    return cluster.new()


@pytest.fixture
def database(cluster: Cluster, one_database: str) -> Generator[str]:
    """The name of a database with empty tables, which this test has for itself."""
    yield one_database
    cluster.clean(one_database)


@pytest.fixture(params=["file", "postgresql"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have `journal_in` make its journals in a file, or in PostgreSQL."""
    kind: str = request.param
    if kind == "postgresql":
        import journal_world
        from postgres_world import storage

        cluster, database = request.getfixturevalue("cluster"), request.getfixturevalue("database")

        def elsewhere(clock: journal_world.Clock) -> Storage:
            return storage(cluster, database, clock=clock)

        monkeypatch.setattr(journal_world, "elsewhere", elsewhere)
    return kind
