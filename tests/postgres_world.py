"""A PostgreSQL cluster for the tests of this run: its own folder, loopback and a socket only, gone afterwards.

Each test gets a database of its own, copied from one that has the tables.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from ports import free_port
from psycopg.rows import dict_row

from kallyai_mcp.journal.postgresql import PostgreSQL
from kallyai_mcp.journal.postgresql_schema import migrate
from kallyai_mcp.journal.postgresql_trouble import Place

if TYPE_CHECKING:
    from collections.abc import Generator

TEMPLATE = "tables"
PATIENCE = 60
GRACE = 1.0
"""Seconds after which a process that is not seen counts as dead."""

_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=120",
    "shared_buffers=16MB",
    "autovacuum=off",
    "jit=off",
    "log_min_messages=fatal",
)
_ALONE = """
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_EMPTY = """
SET session_replication_role = replica; SET lock_timeout = '60s'; SET search_path = kallyai;
DELETE FROM recipient; DELETE FROM act; DELETE FROM approval; DELETE FROM mandate; DELETE FROM stop;
DELETE FROM taint; DELETE FROM distrust; DELETE FROM receipt; DELETE FROM receipt_head; DELETE FROM token;
DELETE FROM pending; DELETE FROM outstanding; DELETE FROM rate; DELETE FROM life;
INSERT INTO receipt_head (one, number, hash) VALUES (1, 0, '')
"""
_USERS = ("postgres", "nobody")


def binaries() -> Path | None:
    """Where initdb is; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return places[-1].parent if places else None


class Cluster:
    """One server, that may be stopped and started.

    Args:
        binaries: Where its programs are.
        folder: Where it keeps everything.
    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._data = folder / "data"
        self._folder = folder
        self._runs_as: tuple[int, int] | None = None
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            other = next(pwd.getpwnam(name) for name in _USERS if _has_user(name))
            os.chown(folder, other.pw_uid, other.pw_gid)
            self._runs_as = other.pw_uid, other.pw_gid
        self.port = free_port()
        self._do("initdb", "-D", self._data, "-U", "owner", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")
        with (self._data / "postgresql.conf").open("a", encoding="ascii") as file:
            file.write(f"listen_addresses='127.0.0.1'\nport={self.port}\nunix_socket_directories='{folder}'\n")
            file.writelines(f"{setting}\n" for setting in _SETTINGS)

    def start(self) -> None:
        """Start it, and wait until it can be used."""
        self._do("pg_ctl", "-D", self._data, "-w", "-t", PATIENCE, "-l", self._folder / "log", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it, without any farewell by default."""
        self._do("pg_ctl", "-D", self._data, "-w", "-t", PATIENCE, "-m", mode, "stop")

    def url(self, database: str, user: str = "owner") -> str:
        """The address of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}?connect_timeout={PATIENCE}"

    def connection(self, database: str = "postgres") -> psycopg.Connection[dict[str, Any]]:
        """A connection of the owner."""
        return psycopg.Connection[dict[str, Any]].connect(self.url(database), autocommit=True, row_factory=dict_row)

    def sql(self, database: str, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Run a statement as the owner; return its rows."""
        with self.connection(database) as connection:
            cursor = connection.execute(statement, values)  # pyright: ignore[reportCallIssue, reportArgumentType]  # the tests' own
            return cursor.fetchall() if cursor.description else []

    def new(self, template: str = TEMPLATE) -> str:
        """Make a database; return its name."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        self._without_others(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def clean(self, name: str) -> None:
        """Empty the tables of a database, and end whoever is still connected."""
        with self.connection(name) as connection:
            connection.execute(_ALONE)
            # Receipts are kept by triggers, which only a superuser can pass by.
            connection.execute(_EMPTY)

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        self._without_others(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _without_others(self, statement: str) -> None:
        """Run a statement for which nobody may be connected: who has left counts until its process is gone."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.sql("postgres", statement)
            except psycopg.errors.ObjectInUse:
                if time.monotonic() >= deadline:
                    raise
            else:
                return

    def _do(self, program: str, *arguments: object) -> None:
        with (self._folder / "said").open("w+", encoding="utf-8") as said:  # a server keeps what it is given open
            done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
                [str(self._binaries / program), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                check=False,
                cwd=self._folder,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
                timeout=2 * PATIENCE,
                user=None if self._runs_as is None else self._runs_as[0],
                group=None if self._runs_as is None else self._runs_as[1],
                extra_groups=None if self._runs_as is None else (),
            )
            said.seek(0)
            assert done.returncode == 0, said.read()


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@contextlib.contextmanager
def running() -> Generator[Cluster]:
    """A cluster for as long as the block lasts."""
    where = binaries()
    if where is None:
        reason = "PostgreSQL is not installed (.ci/postgres installs it)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="kallyai-pg-", dir="/tmp"))  # a socket's path must be short
    cluster = Cluster(where, folder)
    try:
        cluster.start()
        try:
            cluster.sql("postgres", f"CREATE DATABASE {TEMPLATE}")
            with cluster.connection(TEMPLATE) as connection:
                migrate(connection, Place({"dbname": TEMPLATE}))
            yield cluster
        finally:
            with contextlib.suppress(AssertionError):
                cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def storage(cluster: Cluster, name: str, **options: Any) -> PostgreSQL:
    """A database as a server uses it."""
    given: dict[str, Any] = {"grace": GRACE} | options
    return PostgreSQL(cluster.url(name), **given)
