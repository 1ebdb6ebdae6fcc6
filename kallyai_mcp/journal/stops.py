"""The stop: one row for an account all of whose acts are frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallyai_mcp.errors import ActRefused
from kallyai_mcp.journal import receipts
from kallyai_mcp.journal.storage import EVERYBODY
from kallyai_mcp.model.records import Note, Stopped

if TYPE_CHECKING:
    from kallyai_mcp.journal.storage import Transaction

ALL = EVERYBODY
"""The account that stands for all of them: a person at a terminal stops whatever acts on this machine."""

_FIND = "SELECT since, stopped_by FROM stop WHERE account = :account"
_FIND_ANY = "SELECT account, since, stopped_by FROM stop WHERE account IN (:account, :all)"
_INSERT = "INSERT INTO stop (account, since, stopped_by) VALUES (:account, :since, :by)"
_DELETE = "DELETE FROM stop WHERE account = :account"
_DELETE_ALL = "DELETE FROM stop WHERE :account = '*'"


def stop(tx: Transaction, account: str, by: str) -> Stopped:
    """Freeze all acts; a stop that holds already is left as it is."""
    row = tx.one(_FIND, account=account)
    if row is not None:
        return Stopped(row["since"], row["stopped_by"], of_all=account == ALL)
    tx.run(_INSERT, account=account, since=tx.now, by=by)
    receipts.append(tx, account, Note(tool="stop", digest="", outcome="stopped", details={"by": by}))
    return Stopped(tx.now, by, of_all=account == ALL)


def resume(tx: Transaction, account: str) -> bool:
    """Allow acts again, of all accounts those of each; say whether they were stopped."""
    if not tx.run(_DELETE if account != ALL else _DELETE_ALL, account=account):
        return False
    receipts.append(tx, account, Note(tool="resume", digest="", outcome="resumed"))
    return True


def find(tx: Transaction, account: str) -> Stopped | None:
    """Return the stop that holds, if one does: that of all, which ends the others with it, or the account's own."""
    found = {row["account"]: row for row in tx.each(_FIND_ANY, account=account, all=ALL)}
    if not found:
        return None
    row = found.get(ALL) or found[account]
    return Stopped(row["since"], row["stopped_by"], of_all=ALL in found)


def refusal(stopped: Stopped, act: str | None = None, outcome: str = "not_sent") -> ActRefused:
    """Make the error of an act that a stop is against; of one that was under way, the outcome is unknown."""
    became = (
        "Nothing was sent."
        if outcome == "not_sent"
        else "This one was cut off while it was under way: it may have been done all the same."
    )
    return ActRefused(
        f"All acts are stopped (by {stopped.by}). {became}",
        code="stopped",
        next_step="Only a person can go on, in a terminal: kallyai-mcp resume. Reading works meanwhile.",
        details={"outcome": outcome} | ({} if act is None else {"act": act}),
    )
