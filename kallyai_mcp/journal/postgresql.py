"""PostgreSQL as the journal's database: for several processes, on one machine or many.

Where SQLite has one writer at a time, writers here take locks that end with their transaction: one for the account,
shared with all others by a lock that only who writes for everybody takes for itself, and last the one of the log.
So the order is the same everywhere, and two accounts never wait for each other but at the log.

Whether a transaction is in force whose connection broke at its COMMIT is asked of the database afterwards
(postgresql.org/docs/current/functions-info.html, pg_xact_status).
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from kallyai_mcp.journal import postgresql_trouble as trouble
from kallyai_mcp.journal.postgresql_schema import require_current
from kallyai_mcp.journal.postgresql_transaction import (
    WAIT,
    Connection,
    PostgreSQLTransaction,
    TransactionLives,
    configure,
    execute,
)
from kallyai_mcp.journal.presence import GRACE, Presence, lock_number
from kallyai_mcp.journal.storage import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from kallyai_mcp.journal.storage import Transaction

T = TypeVar("T")
CONNECTIONS = 8
"""Transactions at once, of one process; and as many refreshes of tokens beside them."""

ARRIVES = 3
"""Seconds that a connection may take; and in which a lost one is tried again."""

REST = 1.0
"""Seconds after a failed connection in which nobody tries again, so that nobody waits for nothing."""

_NOTIFY = "SELECT pg_notify('kallyai', %(payload)s)"
_CLOCK = "extract(epoch FROM clock_timestamp())::float8 AS now"


class Busy(trouble.StorageAway):
    """A lock was held by somebody else all the time."""


class PostgreSQL:
    """One database, as seen from this process. See `Storage`.

    Args:
        url: Where it is, as libpq has it.
        clock: Seconds since the epoch; the database's own without it, which all replicas share.
        connections: Transactions at once.
        grace: Seconds for which a process counts as alive after its connection was last seen.
    """

    is_shared = True

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] | None = None,
        connections: int = CONNECTIONS,
        grace: float = GRACE,
    ) -> None:
        self._facts = trouble.facts_of(url)
        self.name = trouble.name_of(self._facts)
        self.path = f"in {self.name}"
        self._clock = clock
        self._grace = grace
        self.presence = Presence(self.connect)
        self._turns = anyio.CapacityLimiter(connections)
        self._holds = anyio.CapacityLimiter(connections)
        self._idle: deque[Connection] = deque()
        self._is_closed = False
        self._is_current = False
        self._away_until = 0.0
        self._away: psycopg.Error | None = None

    async def write(self, work: Callable[[Transaction], T], *, of: str | None = EVERYBODY, durable: bool = True) -> T:
        """Do work in a write transaction. See `Storage`."""
        return await anyio.to_thread.run_sync(partial(self._write, work, of, durable=durable), limiter=self._turns)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Do work on one state of the database. See `Storage`."""
        return await anyio.to_thread.run_sync(partial(self._read, work), limiter=self._turns)

    async def notify(self, payload: str) -> None:
        """Tell all who listen.

        Raises:
            StorageAway: It cannot be reached.
        """

        def tell() -> None:
            with self.opened(_opening(None, durable=False)) as (connection, _):
                connection.execute(_NOTIFY, {"payload": payload})
                connection.execute("COMMIT")

        await anyio.to_thread.run_sync(tell, limiter=self._turns)

    @asynccontextmanager
    async def held(
        self, claim: Callable[[Transaction], T], *, wait: float, idle: float
    ) -> AsyncGenerator[tuple[T, Callable[[Callable[[Transaction], int]], Awaitable[int]]]]:
        """Keep a transaction open, in which something is locked; give what `claim` returned, and what ends it.

        Args:
            claim: Takes the lock; it is run again while another holds it.
            wait: Seconds for which that is tried.
            idle: Seconds after which the database ends a transaction whose process is frozen.

        Raises:
            Busy: Another held it all the time.
            StorageAway: The database cannot be reached.
        """
        deadline = time.monotonic() + wait
        while True:
            # A short time each, for a thread that waits cannot be called back.
            patience = min(0.5, max(0.001, deadline - time.monotonic()))
            held = _Held(self, idle)
            try:
                claimed = await anyio.to_thread.run_sync(partial(held.open, claim, patience), limiter=self._holds)
                break
            except Busy:
                if time.monotonic() >= deadline:
                    raise
                await anyio.sleep(0.01)
        try:
            yield claimed, held.finish
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(held.close)

    async def aclose(self) -> None:
        """Close it, and count as ended from here on."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    def connect(self) -> Connection:
        """Return a connection of its own, which the caller closes.

        Raises:
            psycopg.Error: There is none.
        """
        connection = Connection.connect(make_conninfo("", **self._facts), autocommit=True, row_factory=dict_row)
        try:
            configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def explained(self) -> Generator[None]:
        """Turn the errors of PostgreSQL into those of this program."""
        try:
            yield
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            raise trouble.busy(self.name, WAIT, Busy) from None
        except psycopg.IntegrityError as error:
            if isinstance(error, psycopg.errors.UniqueViolation | psycopg.errors.CheckViolation):
                raise  # a mistake of this program
            raise trouble.explained(self.name, error) from None
        except psycopg.Error as error:
            raise trouble.explained(self.name, error) from None

    def took(self) -> Connection:
        """Take an idle connection, or make one; whoever takes it puts it back. Turns bound how many there are.

        Raises:
            StorageAway: There is none to be had; for a moment afterwards nobody tries again.
        """
        with suppress(IndexError):
            return self._idle.pop()
        if self._away is not None and time.monotonic() < self._away_until:
            raise trouble.unreachable(self.name, self._facts, self._away)
        try:
            connection = self.connect()
        except psycopg.OperationalError as error:
            self._away, self._away_until = error, time.monotonic() + REST
            raise trouble.unreachable(self.name, self._facts, error) from None
        self._away = None
        if not self._is_current:
            try:
                require_current(connection, self.name)
            except BaseException:
                connection.close()
                raise
            self._is_current = True
        return connection

    def put_back(self, connection: Connection) -> None:
        """Put a connection back. One in a transaction is closed, since nobody knows what is in it."""
        is_idle = not connection.closed and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        if is_idle and not self._is_closed:
            self._idle.append(connection)
        else:
            connection.close()

    def begun(self, connection: Connection, opening: str) -> dict[str, Any]:
        """Open a transaction by several statements at once; return the one row of the last.

        Raises:
            psycopg.Error: It was not opened.
        """
        cursor = execute(connection, opening)
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        assert row is not None  # noqa: S101 - it ends with a row
        return row

    @contextmanager
    def opened(self, opening: str) -> Generator[tuple[Connection, dict[str, Any]]]:
        """Open a transaction; on another connection, where the database had closed the first behind our back."""
        deadline = time.monotonic() + ARRIVES
        with self.explained():
            while True:
                connection = self.took()
                try:
                    first = self.begun(connection, opening)
                    break
                except BaseException as error:
                    was_lost = isinstance(error, psycopg.OperationalError) and connection.closed
                    self._undone(connection)
                    if not was_lost or time.monotonic() >= deadline:
                        raise
            try:
                yield connection, first
            finally:
                self._undone(connection)

    def _undone(self, connection: Connection) -> None:
        if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")
        self.put_back(connection)

    def transaction(self, connection: Connection, first: dict[str, Any]) -> Transaction:
        """Return what statements run in."""
        now = first["now"] if self._clock is None else self._clock()
        return PostgreSQLTransaction(
            connection, self.path, now, TransactionLives(connection, self.presence.instance, self._grace)
        )

    def _write(self, work: Callable[[Transaction], T], of: str | None, *, durable: bool) -> T:
        if of is not None:
            with self.explained():
                self.presence.begin(ARRIVES)
        with self.opened(_opening(of, durable=durable)) as (connection, first):
            done = work(self.transaction(connection, first))
            self.commit(connection, first["xid"])
            return done

    def _read(self, work: Callable[[Transaction], T]) -> T:
        with self.opened(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT {_CLOCK}") as (connection, first):
            done = work(self.transaction(connection, first))
            connection.execute("COMMIT")
            return done

    def commit(self, connection: Connection, xid: str) -> None:
        """Make a transaction final, or find out whether it is.

        Raises:
            psycopg.Error: It is not.
            CommitUnknown: That could not be found out.
        """
        try:
            ended = connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            if not connection.closed:
                raise
            if not self._is_final(xid):
                raise
            del error
            return
        if ended.statusmessage != "COMMIT":
            raise trouble.away(self.name, "has undone what was to be written")

    def _is_final(self, xid: str) -> bool:
        """Whether a transaction of a lost connection is in force; waits while the database ends it."""
        deadline = time.monotonic() + ARRIVES + REST
        while True:
            with suppress(psycopg.OperationalError):
                with self.connect() as connection:
                    row = connection.execute("SELECT pg_xact_status(%(xid)s::xid8) AS state", {"xid": xid}).fetchone()
                if row is not None and row["state"] != "in progress":
                    return row["state"] == "committed"
            if time.monotonic() >= deadline:
                raise trouble.commit_unknown(self.name)
            time.sleep(0.05)

    def _close(self) -> None:
        self.presence.end()
        self._is_closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


class _Held:
    """A transaction that stays open while something else is done."""

    def __init__(self, database: PostgreSQL, idle: float) -> None:
        self._database = database
        self._idle = int(idle * 1000)
        self._opened: Any = None
        self._connection: Connection | None = None
        self._xid = ""

    def open(self, claim: Callable[[Transaction], T], wait: float) -> T:
        database = self._database
        opened = database.opened(
            f"BEGIN; SET LOCAL lock_timeout = {max(1, int(wait * 1000))}; "
            f"SET LOCAL idle_in_transaction_session_timeout = {self._idle}; "
            f"SELECT pg_current_xact_id()::text AS xid, {_CLOCK}"
        )
        connection, first = opened.__enter__()
        try:
            with database.explained():
                claimed = claim(database.transaction(connection, first))
        except BaseException:
            opened.__exit__(None, None, None)
            raise
        self._opened, self._connection, self._xid = opened, connection, first["xid"]
        return claimed

    async def finish(self, work: Callable[[Transaction], int]) -> int:
        """Do the last work in the transaction, and make it final. What is locked is free from then on."""
        return await anyio.to_thread.run_sync(self._finish, work)

    def _finish(self, work: Callable[[Transaction], int]) -> int:
        connection, database = self._connection, self._database
        assert connection is not None  # noqa: S101 - it was opened
        with database.explained():
            row = execute(connection, f"SELECT {_CLOCK}").fetchone()
            assert row is not None  # noqa: S101 - one row
            done = work(database.transaction(connection, row))
            database.commit(connection, self._xid)
        return done

    def close(self) -> None:
        """Undo what was not made final, and give the connection back."""
        opened, self._opened, self._connection = self._opened, None, None
        if opened is not None:
            opened.__exit__(None, None, None)


def _opening(of: str | None, *, durable: bool) -> str:
    """The statements that open a write transaction: one journey for all of them."""
    parts = ["BEGIN"]
    if not durable:
        parts.append("SET LOCAL synchronous_commit = off")
    everybody = lock_number("account", EVERYBODY)
    if of == EVERYBODY:
        parts.append(f"SELECT pg_advisory_xact_lock({everybody})")
    elif of is not None:
        parts.append(f"SELECT pg_advisory_xact_lock_shared({everybody})")
        parts.append(f"SELECT pg_advisory_xact_lock({lock_number('account', of)})")
    parts.append(f"SELECT pg_current_xact_id()::text AS xid, {_CLOCK}")
    return "; ".join(parts)
