"""The database file: opened with the first use, written by one process at a time, checked before it is trusted.

Work runs in a worker thread, in a transaction of its own, and is never cut off: what has begun is finished or undone as
a whole. Reads have a connection of their own, so that none of them waits for a write (sqlite.org/wal.html).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from kallyai_mcp.journal import private, schema, trouble
from kallyai_mcp.journal.lives import Lives
from kallyai_mcp.journal.storage import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

T = TypeVar("T")
Row = sqlite3.Row
NAME = "acts.db"
LIVE = "live"
_PAUSE = 0.01
PRAGMAS = ("foreign_keys = ON", "trusted_schema = OFF", "secure_delete = ON", "synchronous = FULL", "fullfsync = ON")
_opening = threading.Lock()
"""The new file is closed once by its maker, which would take away the locks of another connection of this process."""


class Transaction:
    """What statements run in.

    Attributes:
        path: The database, for errors.
        now: Seconds since the epoch at its begin. In a write transaction nobody else writes at that time.
        lives: Tells which other processes are alive; to be asked in a write transaction only.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, now: float, lives: Lives) -> None:
        self._connection = connection
        self.path = path
        self.now = now
        self.lives = lives

    def run(self, statement: str, **values: Any) -> int:
        """Run a statement; return how many rows it changed."""
        return self._connection.execute(statement, _plain(values)).rowcount

    def one(self, statement: str, **values: Any) -> Row | None:
        """Return the first row."""
        return self._connection.execute(statement, _plain(values)).fetchone()

    def each(self, statement: str, **values: Any) -> sqlite3.Cursor:
        """Return the rows, one after another."""
        return self._connection.execute(statement, _plain(values))

    stream = each

    def lock_log(self) -> None:
        """Nothing: there is one writer at a time."""


class _Lane:
    """One connection, for one thread at a time."""

    def __init__(self) -> None:
        self.turn = anyio.CapacityLimiter(1)
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None
        self.file: tuple[int, int] | None = None

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        connection, self.connection, self.file = self.connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


class Database:
    """One database, as seen from this process. See `Storage`.

    Args:
        folder: Where it is; made with the first use.
        clock: Seconds since the epoch.
        busy: Seconds to wait for another process.
    """

    is_shared = False

    def __init__(self, folder: Path, *, clock: Callable[[], float], busy: float) -> None:
        self.path = folder / NAME
        self._clock = clock
        self._busy = busy
        self._lives = Lives(folder / LIVE)
        self._writing = _Lane()
        self._reading = _Lane()

    async def write(self, work: Callable[[Transaction], T], *, of: str | None = EVERYBODY, durable: bool = True) -> T:
        """Do work in a write transaction; whatever it raises undoes all of it.

        Args:
            work: What to do; it runs in another thread.
            of: Whose account; here whoever writes has all others wait.
            durable: Whether it is on the disk before this returns. Without it a power failure may undo the last
                such transactions, and a crash of the program none.

        Raises:
            InvalidSettings: The database cannot be used ("journal_unusable").
        """
        return await anyio.to_thread.run_sync(partial(self._write, work, durable=durable), limiter=self._writing.turn)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Do work on one state of the database, without changing it.

        Raises:
            InvalidSettings: The database cannot be used ("journal_unusable").
        """
        return await anyio.to_thread.run_sync(partial(self._read, work), limiter=self._reading.turn)

    async def aclose(self) -> None:
        """Close it, and count as ended from here on: what is still under way is then somebody else's to settle."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    def _write(self, work: Callable[[Transaction], T], *, durable: bool) -> T:
        with self._used(self._writing, read_only=False) as connection:
            self._lives.begin()
            if not durable:
                connection.execute("PRAGMA synchronous = NORMAL")
            try:
                return self._transact(connection, "BEGIN IMMEDIATE", work)
            finally:
                if not durable:
                    connection.execute("PRAGMA synchronous = FULL")

    def _read(self, work: Callable[[Transaction], T]) -> T:
        with self._used(self._reading, read_only=True) as connection:
            return self._transact(connection, "BEGIN", work)

    def _transact(self, connection: sqlite3.Connection, begin: str, work: Callable[[Transaction], T]) -> T:
        self._patiently(lambda: connection.execute(begin))
        try:
            done = work(Transaction(connection, self.path, self._clock(), self._lives))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return done

    @contextmanager
    def _used(self, lane: _Lane, *, read_only: bool) -> Generator[sqlite3.Connection]:
        with lane.lock:
            try:
                yield self._ready(lane, read_only=read_only)
            except sqlite3.IntegrityError:
                raise  # a mistake of this program
            except sqlite3.Error as error:
                if not trouble.is_busy(error):
                    lane.close()
                raise trouble.explained(self.path, error, self._busy) from None
            except OSError as error:
                raise trouble.explained(self.path, error, self._busy) from None

    def _ready(self, lane: _Lane, *, read_only: bool) -> sqlite3.Connection:
        """The lane's connection to the file that is there now: it may have been moved away since the last time."""
        if lane.connection is not None and lane.file == _identity(self.path):
            return lane.connection
        lane.close()
        with _opening:
            private.require_folder(self.path.parent)
            private.require_file(self.path)
            connection = self._open()
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        lane.connection, lane.file = connection, _identity(self.path)
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.row_factory = Row
            self._patiently(lambda: self._prepare(connection))
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        schema.require_own(connection, self.path)
        if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise trouble.unusable(self.path, "is on a file system that several processes cannot share")
        schema.migrate(connection, self.path)

    def _patiently(self, work: Callable[[], object]) -> None:
        """Try again for as long as another process is in the way: SQLite itself does not wait in every case."""
        deadline = time.monotonic() + self._busy
        while True:
            try:
                work()
            except sqlite3.OperationalError as error:
                if not trouble.is_busy(error) or time.monotonic() >= deadline:
                    raise
            else:
                return
            time.sleep(_PAUSE)

    def _close(self) -> None:
        for lane in (self._reading, self._writing):
            with lane.lock:
                lane.close()
        with self._writing.lock:
            self._lives.end()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Replace halves of characters, which no database takes, by a question mark."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value
        for name, value in values.items()
    }
