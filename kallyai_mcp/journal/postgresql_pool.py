"""The connections of one process to PostgreSQL: how many there are, and how nobody waits for one in vain."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from kallyai_mcp.journal import postgresql_trouble as trouble
from kallyai_mcp.journal.postgresql_patience import ANSWERS, LONGEST, PatientConnection, Pulse
from kallyai_mcp.journal.postgresql_schema import require_current
from kallyai_mcp.journal.postgresql_transaction import WAIT, Connection, configure, execute

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

ARRIVES = 3
"""Seconds that a connection may take; and in which a lost one is tried again."""

REST = 1.0
"""Seconds after a failed connection in which nobody tries again, so that nobody waits for nothing."""

IDLES = 300.0
"""Seconds after which a connection that nobody uses is closed."""


class Busy(trouble.StorageAway):
    """A lock was held by somebody else all the time."""


class Pool:
    """Connections to one database.

    Args:
        facts: How it is reached.
        place: How errors name it.
        most_idle: Connections that are kept while nobody uses them.
    """

    def __init__(self, facts: Mapping[str, Any], place: trouble.Place, most_idle: int) -> None:
        self._facts = facts
        self._place = place
        self._most_idle = most_idle
        self._idle: deque[tuple[Connection, float]] = deque()
        self._is_closed = False
        self._is_current = False
        self._away_until = 0.0
        self._away: psycopg.Error | None = None
        self._trying = threading.Lock()
        self._pulse = Pulse(self._ask, self._is_silent)

    def connect(self, longest: float = LONGEST) -> Connection:
        """Return a connection of its own, which the caller closes.

        Args:
            longest: Seconds that one statement may take.

        Raises:
            psycopg.Error: There is none.
        """
        connection = PatientConnection.connect(make_conninfo("", **self._facts), autocommit=True, row_factory=dict_row)
        connection.pulse, connection.longest = self._pulse, longest
        try:
            configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def took(self) -> Connection:
        """Take an idle connection, or make one; whoever takes it puts it back. Turns bound how many there are.

        Raises:
            StorageAway: There is none to be had; for a moment afterwards nobody tries again, then one at a time.
        """
        if self._away is None:
            with suppress(IndexError):
                return self._idle.pop()[0]
            return self._made()
        self.require_hope()
        if not self._trying.acquire(blocking=False):
            raise trouble.unreachable(self._place, self._away)
        try:
            self._drop()  # what was idle before may hang, and would be one connection too many
            return self._made()
        finally:
            self._trying.release()

    def require_hope(self) -> None:
        """Check that the database was not found to be away just now.

        Raises:
            StorageAway: It was.
        """
        away = self._away
        if away is not None and time.monotonic() < self._away_until:
            raise trouble.unreachable(self._place, away)

    def is_away(self, error: psycopg.Error) -> None:
        """Note that it cannot be reached."""
        self._away_until = time.monotonic() + REST
        self._away = error

    def put_back(self, connection: Connection) -> None:
        """Put a connection back. One in a transaction is closed, since nobody knows what is in it."""
        is_idle = not connection.closed and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        if is_idle and not self._is_closed and len(self._idle) < self._most_idle:
            self._idle.append((connection, time.monotonic()))
        else:
            connection.close()
        self._drop(before=time.monotonic() - IDLES)

    @contextmanager
    def opened(self, opening: str) -> Generator[tuple[Connection, dict[str, Any]]]:
        """Open a transaction; on another connection, where the database had closed the first behind our back."""
        deadline = time.monotonic() + ARRIVES
        with self.explained():
            while True:
                connection = self.took()
                try:
                    first = _begun(connection, opening)
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

    @contextmanager
    def explained(self) -> Generator[None]:
        """Turn the errors of PostgreSQL into those of this program."""
        try:
            yield
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            raise trouble.busy(self._place, WAIT, Busy) from None
        except psycopg.IntegrityError as error:
            if isinstance(error, psycopg.errors.UniqueViolation | psycopg.errors.CheckViolation):
                raise  # a mistake of this program
            raise trouble.explained(self._place, error) from None
        except psycopg.Error as error:
            raise trouble.explained(self._place, error) from None

    def close(self) -> None:
        """Close all that nobody uses, and whatever is put back from now on."""
        self._is_closed = True
        self._drop()

    def _made(self) -> Connection:
        try:
            connection = self.connect()
        except psycopg.OperationalError as error:
            self.is_away(error)
            raise trouble.unreachable(self._place, error) from None
        self._away = None
        if not self._is_current:
            try:
                require_current(connection, self._place)
            except BaseException:
                connection.close()
                raise
            self._is_current = True
        return connection

    def _ask(self) -> None:
        facts = {**self._facts, "connect_timeout": ANSWERS}
        psycopg.connect(make_conninfo("", **facts), autocommit=True).close()

    def _is_silent(self, error: psycopg.Error) -> None:
        self.is_away(error)
        self._drop()

    def _drop(self, *, before: float = float("inf")) -> None:
        """Close what was idle since then or longer; the one that was used last is at the end."""
        with suppress(IndexError):
            while self._idle[0][1] <= before:
                connection, since = self._idle.popleft()
                if since > before:  # another thread was faster
                    self._idle.appendleft((connection, since))
                    return
                connection.close()

    def _undone(self, connection: Connection) -> None:
        if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")
        self.put_back(connection)


def _begun(connection: Connection, opening: str) -> dict[str, Any]:
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
