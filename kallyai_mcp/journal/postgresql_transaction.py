"""Statements in one transaction of PostgreSQL, and how a connection is prepared for them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import psycopg

from kallyai_mcp.journal.presence import lock_number

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import LiteralString

    from kallyai_mcp.journal.storage import Row

Connection = psycopg.Connection[dict[str, Any]]

SCHEMA = "kallyai"
"""Where the tables are."""

WAIT = 15
"""Seconds for which a lock of somebody else is waited for; a statement may take five more in all."""

IDLE = 10
"""Seconds after which a transaction in which nothing happens is ended: its process is frozen, and others wait."""

_NAMED = re.compile(r"(?<![:\w]):([a-z_]+)")
_ALIVE = """
SELECT 1 FROM life WHERE instance = %(instance)s
AND greatest(seen, pg_postmaster_start_time()) > clock_timestamp() - make_interval(secs => %(grace)s)
"""
_SWEEP = """
DELETE FROM life WHERE seen < clock_timestamp() - interval '1 day' AND NOT EXISTS (
    SELECT 1 FROM act WHERE act.owner = life.instance AND act.state IN ('prepared', 'sent')
)
"""


def execute(
    connection: Connection, statement: str, values: Mapping[str, Any] | None = None
) -> psycopg.Cursor[dict[str, Any]]:
    """Run a statement that was made of constants and numbers of this program; values come beside it."""
    return connection.execute(cast("LiteralString", statement), values)


class TransactionLives:
    """Who is alive, asked within one transaction: a lock is shared by its holder, and nobody's can be taken whole."""

    def __init__(self, connection: Connection, instance: str, grace: float) -> None:
        self._connection = connection
        self.instance = instance
        self._grace = grace

    def is_alive(self, instance: str) -> bool:
        if instance == self.instance:
            return True
        given = {"instance": instance, "grace": self._grace}
        if execute(self._connection, _ALIVE, given).fetchone() is not None:
            return True
        free = self._connection.execute(
            "SELECT pg_try_advisory_xact_lock(%(lock)s) AS free", {"lock": lock_number("life", instance)}
        ).fetchone()
        return free is None or not free["free"]

    def sweep(self) -> None:
        self._connection.execute(_SWEEP)


class PostgreSQLTransaction:
    """Statements in one transaction. See `Transaction`."""

    def __init__(self, connection: Connection, path: str, now: float, lives: TransactionLives) -> None:
        self._connection = connection
        self.path = path
        self.now = now
        self.lives = lives

    def run(self, statement: str, **values: Any) -> int:
        return execute(self._connection, translated(statement), _plain(values)).rowcount

    def one(self, statement: str, **values: Any) -> Row | None:
        return execute(self._connection, translated(statement), _plain(values)).fetchone()

    def each(self, statement: str, **values: Any) -> Iterable[Row]:
        return execute(self._connection, translated(statement), _plain(values))

    def stream(self, statement: str, **values: Any) -> Generator[Row]:
        with self._connection.cursor("streamed") as cursor:
            cursor.itersize = 1000
            cursor.execute(cast("LiteralString", translated(statement)), _plain(values))
            yield from cursor

    def lock_log(self) -> None:
        execute(self._connection, f"SELECT pg_advisory_xact_lock({lock_number('log', '')})")


def configure(connection: Connection) -> None:
    """Prepare a new connection: whose tables, and how long anything may take."""
    execute(
        connection,
        f"SET search_path = {SCHEMA}, pg_temp; SET lock_timeout = '{WAIT}s'; SET statement_timeout = '{WAIT + 5}s'; "
        f"SET idle_in_transaction_session_timeout = '{IDLE}s'; SET default_transaction_isolation = 'read committed'; "
        # A machine that vanishes is noticed within a minute, and with it whose acts are nobody's any more.
        "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4",
    )


@lru_cache(maxsize=512)
def translated(statement: str) -> str:
    """Write the values' names in psycopg's way."""
    return _NAMED.sub(r"%(\1)s", statement.replace("%", "%%"))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Replace what no text of PostgreSQL can hold by a question mark: halves of characters, and NUL."""
    return {
        name: value.encode("utf-8", "replace").decode().replace("\0", "?") if isinstance(value, str) else value
        for name, value in values.items()
    }
