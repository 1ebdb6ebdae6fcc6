"""Where a world is kept: one SQLite database, in memory or in a file.

A document table for the areas, a queue of things that will happen, and a few counters. It knows nothing of calls,
goals or credits.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kallyai_mcp.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_VERSION = 1
"""Of the layout below; a file of another version is refused."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE TABLE IF NOT EXISTS event (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    due TEXT NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS event_due ON event (due, position);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Due:
    """Something that will happen: `due` is ISO 8601 with microseconds, so that text order is time order."""

    position: int
    due: str
    name: str
    data: dict[str, Any]


class Store:
    """The database of one world. Not for several threads at once."""

    def __init__(self, file: Path | None = None) -> None:
        """Open a file, made if it is not there, or a database in memory.

        Raises:
            InvalidSettings: The file cannot be used.
        """
        try:
            self._db = _open(file)
        except (sqlite3.Error, OSError) as error:
            raise InvalidSettings(
                f"The sandbox cannot keep its world in {file}: {error}.",
                next_step="Name a file that this program made, or one that is not there yet, in your own folder.",
            ) from None

    def close(self) -> None:
        """Close the database; a file keeps its contents."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Keep all that the block writes, or nothing of it if it raises. The block must not wait."""
        if self._db.in_transaction:
            yield
            return
        # IMMEDIATE: two processes may share a file, and a transaction that begins by reading could not write any more.
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def insert(self, kind: str, key: str, data: dict[str, Any]) -> None:
        """Add a document.

        Raises:
            ValueError: The kind has one of this id already.
        """
        try:
            self._db.execute("INSERT INTO document (kind, id, data) VALUES (?, ?, ?)", (kind, key, _text(data)))
        except sqlite3.IntegrityError:
            raise ValueError(f"there is a {kind} with this id already") from None

    def replace(self, kind: str, key: str, data: dict[str, Any]) -> None:
        """Write a document that keeps its place in the order of creation; add it if there is none."""
        self._db.execute(
            "INSERT INTO document (kind, id, data) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET data = excluded.data",
            (kind, key, _text(data)),
        )

    def find(self, kind: str, key: str) -> dict[str, Any] | None:
        """Return a document, or None."""
        row = self._db.execute("SELECT data FROM document WHERE kind = ? AND id = ?", (kind, key)).fetchone()
        return None if row is None else json.loads(row[0])

    def remove(self, kind: str, key: str) -> bool:
        """Remove a document; say whether there was one."""
        return self._db.execute("DELETE FROM document WHERE kind = ? AND id = ?", (kind, key)).rowcount > 0

    def list(self, kind: str) -> list[dict[str, Any]]:
        """Return the documents of a kind in the order in which they were added."""
        rows = self._db.execute("SELECT data FROM document WHERE kind = ? ORDER BY position", (kind,))
        return [json.loads(row[0]) for row in rows]

    def counts(self) -> dict[str, int]:
        """Return how many documents there are of each kind."""
        return dict(self._db.execute("SELECT kind, count(*) FROM document GROUP BY kind ORDER BY kind").fetchall())

    def push(self, due: str, name: str, data: dict[str, Any]) -> None:
        """Put something into the queue."""
        self._db.execute("INSERT INTO event (due, name, data) VALUES (?, ?, ?)", (due, name, _text(data)))

    def next(self) -> Due | None:
        """Return what will happen next; of things due together, what was queued first."""
        row = self._db.execute("SELECT position, due, name, data FROM event ORDER BY due, position LIMIT 1").fetchone()
        return None if row is None else Due(row[0], row[1], row[2], json.loads(row[3]))

    def drop(self, position: int) -> bool:
        """Take something out of the queue; say whether it was still there."""
        return self._db.execute("DELETE FROM event WHERE position = ?", (position,)).rowcount > 0

    def count(self, name: str) -> int:
        """Count a number up, beginning at 1, and return it."""
        statement = (
            "INSERT INTO fact (name, value) VALUES (?, 1)"
            " ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING value"
        )
        return int(self._db.execute(statement, (name,)).fetchone()[0])

    def fact(self, name: str) -> str | None:
        """Return a fact about the world as a whole."""
        row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def state(self, name: str, value: str) -> None:
        """Keep a fact about the world as a whole."""
        self._db.execute(
            "INSERT INTO fact (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def clear(self) -> None:
        """Empty the database."""
        with self.transaction():
            for table in ("document", "event", "fact"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names stand in the line above


def _open(file: Path | None) -> sqlite3.Connection:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # it holds tokens, if only of a sandbox; SQLite's own files take over its mode
    database = sqlite3.connect(file or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        if file is not None:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("it is of another version")
        database.executescript(_SCHEMA)
        database.execute(f"PRAGMA user_version={_VERSION}")
    except sqlite3.Error:
        database.close()
        raise
    return database


def _text(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"))
