"""The log: lines that are only ever added, each with the hash of the one before, over all accounts.

A line tells who did what and what came of it. It holds no arguments, no texts and no tokens.
"""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kallyai_mcp.model.records import Receipt

if TYPE_CHECKING:
    from kallyai_mcp.journal.storage import Transaction
    from kallyai_mcp.model.records import Note

HEAD = "SELECT number, hash FROM receipt_head WHERE one = 1"
ALL = "SELECT number, account, line, hash FROM receipt ORDER BY number"
_LAST = "SELECT number, hash FROM receipt ORDER BY number DESC LIMIT 1"
_INSERT = "INSERT INTO receipt (number, account, line, hash) VALUES (:number, :account, :line, :hash)"
_SET_HEAD = """
INSERT INTO receipt_head (one, number, hash) VALUES (1, :number, :hash)
ON CONFLICT (one) DO UPDATE SET number = excluded.number, hash = excluded.hash
"""
_AFTER = "SELECT number, line, hash FROM receipt WHERE number > :after ORDER BY number LIMIT :most"
_AFTER_OF = """
SELECT number, line, hash FROM receipt WHERE account = :account AND number > :after ORDER BY number LIMIT :most
"""
_MOST = 2**62
LOST = "lost"
"""What a line names as the hash before it where the head was missing."""


def append(tx: Transaction, account: str, note: Note) -> Receipt:
    """Add a line to the log, and have the head name it.

    A log that was tampered with goes on: what is done now is written down all the same, and the gap stays visible.
    """
    tx.lock_log()
    head, last = tx.one(HEAD), tx.one(_LAST)
    previous = LOST if head is None else head["hash"]
    number = 1 + max(0 if row is None else row["number"] for row in (head, last))
    line = _line(number, tx.now, account, note, previous)
    receipt = Receipt(number, line, hash_of(line))
    tx.run(_INSERT, number=number, account=account, line=line, hash=receipt.hash)
    tx.run(_SET_HEAD, number=number, hash=receipt.hash)
    return receipt


def listed(tx: Transaction, account: str | None, after: int, limit: int | None) -> list[Receipt]:
    """Return lines in their order, of one account or of all."""
    given: dict[str, Any] = {"after": min(after, _MOST), "most": _MOST if limit is None else min(max(limit, 0), _MOST)}
    rows = tx.each(_AFTER, **given) if account is None else tx.each(_AFTER_OF, account=account, **given)
    return [Receipt(row["number"], row["line"], row["hash"]) for row in rows]


def hash_of(line: str) -> str:
    """Return the hash of a line."""
    return hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()


def _line(number: int, now: float, account: str, note: Note, previous: str) -> str:
    charged = note.charged if note.charged is not None and math.isfinite(note.charged) else None
    facts: dict[str, Any] = {
        "number": number,
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "account": account,
        "tool": note.tool,
        "digest": note.digest,
        "outcome": note.outcome,
        "agreed": str(note.consent),
        "approval": note.approval_mode,
        "act": note.act,
        "mandate": note.mandate,
        "destination": note.destination,
        "charged": charged,
        "correlation_id": note.correlation_id,
        "error": note.error,
        "previous": previous,
    }
    if note.details:
        facts["details"] = dict(note.details)
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
