"""Why the journal cannot be used, for people: as one error with one code, and never with what is in it."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kallyai_mcp.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CODE = "journal_unusable"
ELSEWHERE = "Name a folder of your own on a local disk with --state-dir; it is made if it is missing."
_ASIDE = (
    "Look with KallyAI what was done lately, then move the file away, those with -wal and -shm at the end of their "
    "names too. A new one is made: limits, approvals and receipts begin anew."
)
_RESTORE = "Look with KallyAI what was done lately, then have the operator restore the database from its backup."
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH}


def unusable(path: Path | str, fact: str, remedy: str = ELSEWHERE, *, retryable: bool = False) -> InvalidSettings:
    """Make the error of a journal that cannot be used; `fact` goes on after its path."""
    return InvalidSettings(
        f"The journal {path} {fact}.",
        code=CODE,
        next_step=remedy,
        retryable=retryable,
    )


def damaged(path: Path | str, fact: str = "is damaged") -> InvalidSettings:
    """Make the error of a journal whose contents make no sense."""
    return unusable(path, fact, _RESTORE if isinstance(path, str) else _ASIDE)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process is in the way for the moment."""
    return _primary(error) in _BUSY


def explained(path: Path, error: sqlite3.Error | OSError, waited: float) -> InvalidSettings:
    """Make the error of a journal that SQLite or the system refused."""
    if isinstance(error, OSError):
        return unusable(path, f"cannot be used ({error.strerror or type(error).__name__})")
    code = _primary(error)
    if code in _BUSY:
        return unusable(
            path,
            f"was held by another program for {waited:g} seconds",
            "Try again; if it stays so, end the program that holds it.",
            retryable=True,
        )
    if code in _READ_ONLY:
        remedy = f"Give yourself the right to write it and its folder. {ELSEWHERE}"
        return unusable(path, "cannot be written to", remedy)
    if code == sqlite3.SQLITE_FULL:
        return unusable(path, "cannot grow, for the disk is full", "Free some space.", retryable=True)
    if code in _DAMAGED:
        return damaged(path)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return unusable(path, f"cannot be read or written ({name})", f"See whether its disk is well. {ELSEWHERE}")


@contextmanager
def understood(path: Path | str) -> Generator[None]:
    """Turn what was written by somebody else, or half, into an error that says so.

    Raises:
        InvalidSettings: A value in the database is none that this program writes ("journal_unusable").
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise damaged(path, "holds what this program does not write") from None


def _primary(error: sqlite3.Error) -> int:
    """The result code without its extension (sqlite.org/rescode.html)."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_INTERNAL) & 0xFF
