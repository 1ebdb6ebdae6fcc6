"""The tables, of both engines. A step is never changed once it was released; the next one is added to the end.

They are written for SQLite; `postgresql_schema` says what of it is another word in PostgreSQL. A step only adds, so
that programs of before it go on while it is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallyai_mcp.journal.trouble import unusable

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

MARK = 0x4B4C4C59
"""The file's `application_id` (sqlite.org/fileformat2.html, 1.3.13): "KLLY"."""

RECEIPT_UNCHANGED = """
    CREATE TRIGGER receipt_unchanged BEFORE UPDATE ON receipt
    BEGIN SELECT RAISE(ABORT, 'receipts are never changed'); END
"""
RECEIPT_KEPT = """
    CREATE TRIGGER receipt_kept BEFORE DELETE ON receipt
    BEGIN SELECT RAISE(ABORT, 'receipts are never removed'); END
"""

_FIRST = (
    """
    CREATE TABLE act (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        account TEXT NOT NULL,
        tool TEXT NOT NULL,
        digest TEXT NOT NULL,
        arguments TEXT NOT NULL,
        credits INTEGER NOT NULL CHECK (credits >= 0),
        places_call INTEGER NOT NULL,
        recipients TEXT NOT NULL,
        masked TEXT NOT NULL,
        consent TEXT NOT NULL,
        approval TEXT,
        mandate TEXT,
        repeat_of TEXT,
        is_harmless_twice INTEGER NOT NULL,
        before TEXT,
        approval_mode TEXT NOT NULL,
        owner TEXT NOT NULL,
        state TEXT NOT NULL
            CHECK (state IN ('prepared', 'sent', 'done', 'failed', 'not_sent', 'unknown', 'not_found')),
        created REAL NOT NULL,
        sent REAL,
        settled REAL,
        charged INTEGER CHECK (charged >= 0),
        answer TEXT,
        error TEXT,
        correlation_id TEXT,
        note TEXT,
        is_forgotten INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX act_equal ON act (account, digest)",
    "CREATE INDEX act_state ON act (account, state, created)",
    "CREATE INDEX act_created ON act (account, created)",
    "CREATE INDEX act_mandate ON act (account, mandate) WHERE mandate IS NOT NULL",
    "CREATE INDEX act_kept ON act (settled) WHERE is_forgotten = 0",
    """
    CREATE VIEW counted AS
    SELECT *, COALESCE(charged, credits) AS amount FROM act WHERE state IN ('prepared', 'sent', 'done', 'unknown')
    """,
    "CREATE VIEW under_way AS SELECT * FROM act WHERE state IN ('prepared', 'sent')",
    """
    CREATE TABLE recipient (
        account TEXT NOT NULL,
        recipient TEXT NOT NULL,
        act INTEGER NOT NULL REFERENCES act (number),
        PRIMARY KEY (account, recipient, act)
    )
    """,
    "CREATE INDEX recipient_act ON recipient (act)",
    """
    CREATE TABLE approval (
        id TEXT PRIMARY KEY,
        account TEXT NOT NULL,
        tool TEXT NOT NULL,
        digest TEXT NOT NULL,
        question TEXT NOT NULL,
        created REAL NOT NULL,
        expires REAL NOT NULL,
        decision INTEGER,
        decided REAL,
        consent TEXT NOT NULL,
        used REAL
    )
    """,
    "CREATE INDEX approval_act ON approval (account, tool, digest)",
    """
    CREATE TABLE mandate (
        account TEXT NOT NULL,
        id TEXT NOT NULL,
        purpose TEXT NOT NULL,
        tools TEXT NOT NULL,
        recipients TEXT NOT NULL,
        acts INTEGER NOT NULL,
        credits INTEGER NOT NULL,
        until REAL NOT NULL,
        is_trusted INTEGER NOT NULL,
        created REAL NOT NULL,
        consent TEXT NOT NULL,
        revoked REAL,
        PRIMARY KEY (account, id)
    )
    """,
    "CREATE TABLE stop (account TEXT PRIMARY KEY, since REAL NOT NULL, stopped_by TEXT NOT NULL)",
    "CREATE TABLE taint (account TEXT PRIMARY KEY, source TEXT NOT NULL, until REAL NOT NULL)",
    """
    CREATE TABLE distrust (
        account TEXT NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (account, kind, name)
    )
    """,
    """
    CREATE TABLE receipt (
        number INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        line TEXT NOT NULL,
        hash TEXT NOT NULL
    )
    """,
    "CREATE INDEX receipt_account ON receipt (account, number)",
    "CREATE TABLE receipt_head (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, hash TEXT NOT NULL)",
    "INSERT INTO receipt_head (one, number, hash) VALUES (1, 0, '')",
    RECEIPT_UNCHANGED,
    RECEIPT_KEPT,
)

_SHARED = (
    """
    CREATE TABLE token (
        account TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        key_id TEXT NOT NULL,
        sealed TEXT NOT NULL,
        changed REAL NOT NULL
    )
    """,
    """
    CREATE TABLE pending (
        account TEXT PRIMARY KEY,
        key_id TEXT NOT NULL,
        sealed TEXT NOT NULL,
        expires REAL NOT NULL
    )
    """,
    """
    CREATE TABLE outstanding (
        account TEXT NOT NULL,
        state TEXT NOT NULL,
        expires REAL NOT NULL,
        PRIMARY KEY (account, state)
    )
    """,
    "CREATE INDEX outstanding_end ON outstanding (expires)",
    """
    CREATE TABLE rate (
        account TEXT NOT NULL,
        name TEXT NOT NULL,
        due REAL NOT NULL,
        PRIMARY KEY (account, name)
    )
    """,
    "CREATE INDEX rate_due ON rate (due)",
)

_WHOSE = ("ALTER TABLE mandate ADD COLUMN person TEXT NOT NULL DEFAULT ''",)

STEPS = (_FIRST, _SHARED, _WHOSE)


def require_own(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the file is new, or this program's, and of no later version.

    Raises:
        InvalidSettings: It is something else ("journal_unusable").
    """
    version = _version(connection)
    is_used = bool(version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    mark = _mark(connection)  # last: another process may make the tables at this moment, and sets the mark with them
    if mark != MARK and (mark or is_used):
        raise unusable(path, "is a database of another program")
    if version > len(STEPS):
        raise unusable(
            path,
            "was written by a later version of kallyai-mcp",
            "Use that version, or name another folder with --state-dir.",
        )


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the tables up to date.

    Raises:
        InvalidSettings: Another process has brought them beyond what this program knows ("journal_unusable").
    """
    if _version(connection) == len(STEPS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        require_own(connection, path)  # once more, for another process may have been faster
        for step in STEPS[_version(connection) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {MARK}")
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]


def _mark(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA application_id").fetchone()[0]
