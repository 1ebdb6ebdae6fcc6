"""PostgreSQL as the journal's database: for several processes, on one machine or many.

Where SQLite has one writer at a time, writers here take locks that end with their transaction: one for the account,
shared with all others by a lock that only who writes for everybody takes for itself, and last the one of the log.
So the order is the same everywhere, and two accounts never wait for each other but at the log.

Whether a transaction is in force whose connection broke at its COMMIT is asked of the database afterwards
(postgresql.org/docs/current/functions-info.html, pg_xact_status).
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import psycopg

from kallyai_mcp.journal import postgresql_trouble as trouble
from kallyai_mcp.journal.postgresql_pool import ARRIVES, REST, Busy, Pool
from kallyai_mcp.journal.postgresql_transaction import Connection, PostgreSQLTransaction, TransactionLives, execute
from kallyai_mcp.journal.presence import GRACE, Presence, lock_number
from kallyai_mcp.journal.storage import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractContextManager

    from kallyai_mcp.journal.storage import Transaction

T = TypeVar("T")
CONNECTIONS = 8
"""Transactions at once, of one process; and as many refreshes of tokens beside them."""

_NOTIFY = "SELECT pg_notify('kallyai', %(payload)s)"
_CLOCK = "extract(epoch FROM clock_timestamp())::float8 AS now"
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT {_CLOCK}"


class PostgreSQL:
    """One database, as seen from this process. See `Storage`.

    Args:
        url: Where it is, as libpq has it.
        clock: Seconds since the epoch; the database's own without it, which all replicas share.
        connections: Transactions at once; and refreshes of tokens beside them.
        grace: Seconds for which a process counts as alive after its connection was last seen.
        for_people: Whether errors reach people whom it does not concern where the database is; the log has it then.
    """

    is_shared = True

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] | None = None,
        connections: int = CONNECTIONS,
        grace: float = GRACE,
        for_people: bool = False,
    ) -> None:
        facts = trouble.facts_of(url)
        self.place = trouble.Place(facts, is_hidden=for_people)
        self.path = self.place.path
        self._clock = clock
        self._grace = grace
        self._pool = Pool(facts, self.place, connections)
        self.presence = Presence(self._pool.connect)
        self._turns = anyio.CapacityLimiter(connections)
        self._holds = anyio.CapacityLimiter(connections)
        self._hold_threads = anyio.CapacityLimiter(connections)

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
            with self._pool.opened(_opening(None, durable=False)) as (connection, _):
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
            held = _Held(self, idle, self._hold_threads)
            await self._slot(held, deadline, wait)
            try:
                # A short time each, for a thread that waits cannot be called back.
                patience = min(0.5, max(0.001, deadline - time.monotonic()))
                claimed = await self._beside(partial(held.open, claim, patience))
                break
            except BaseException as error:
                self._holds.release_on_behalf_of(held)
                if not isinstance(error, Busy) or time.monotonic() >= deadline:
                    raise
            await anyio.sleep(0.01)
        try:
            yield claimed, held.finish
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    await self._beside(held.close)
            finally:
                self._holds.release_on_behalf_of(held)

    async def _slot(self, held: _Held, deadline: float, wait: float) -> None:
        """Take one of so many places for as long as something is held; whoever comes then waits for one to be free."""
        try:
            self._holds.acquire_on_behalf_of_nowait(held)
        except anyio.WouldBlock:
            with anyio.move_on_after(max(0.0, deadline - time.monotonic())) as waiting:
                await self._holds.acquire_on_behalf_of(held)
            if waiting.cancelled_caught:
                raise trouble.busy(self.place, wait, Busy) from None

    async def _beside(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._hold_threads)

    async def aclose(self) -> None:
        """Close it, and count as ended from here on."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    def connect(self, **options: float) -> Connection:
        """Return a connection of its own, which the caller closes. See `Pool`.

        Raises:
            psycopg.Error: There is none.
        """
        return self._pool.connect(**options)

    def explained(self) -> AbstractContextManager[None]:
        """Turn the errors of PostgreSQL into those of this program."""
        return self._pool.explained()

    def opened(self, opening: str) -> AbstractContextManager[tuple[Connection, dict[str, Any]]]:
        """Open a transaction. See `Pool`."""
        return self._pool.opened(opening)

    def transaction(self, connection: Connection, first: dict[str, Any]) -> Transaction:
        """Return what statements run in."""
        now = first["now"] if self._clock is None else self._clock()
        return PostgreSQLTransaction(
            connection, self.path, now, TransactionLives(connection, self.presence.instance, self._grace)
        )

    def _write(self, work: Callable[[Transaction], T], of: str | None, *, durable: bool) -> T:
        if of is not None:
            self._pool.require_hope()
            with self.explained():
                try:
                    self.presence.begin(ARRIVES)
                except psycopg.Error as error:
                    self._pool.is_away(error)
                    raise
        with self._pool.opened(_opening(of, durable=durable)) as (connection, first):
            done = work(self.transaction(connection, first))
            self.commit(connection, first["xid"])
            return done

    def _read(self, work: Callable[[Transaction], T]) -> T:
        with self._pool.opened(_READ) as (connection, first):
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
            raise trouble.away(self.place, "has undone what was to be written")

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
                raise trouble.commit_unknown(self.place)
            time.sleep(0.05)

    def _close(self) -> None:
        self.presence.end()
        self._pool.close()


class _Held:
    """A transaction that stays open while something else is done."""

    def __init__(self, database: PostgreSQL, idle: float, threads: anyio.CapacityLimiter) -> None:
        self._database = database
        self._threads = threads
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
        return await anyio.to_thread.run_sync(self._finish, work, limiter=self._threads)

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
