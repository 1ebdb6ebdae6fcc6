"""What strangers may have had a hand in: a span of time after reading their words, and things written in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallyai_mcp.model.records import Taint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kallyai_mcp.journal.storage import Transaction

_TAINT = """
INSERT INTO taint (account, source, until) VALUES (:account, :source, :until)
ON CONFLICT (account) DO UPDATE
SET source = excluded.source, until = CASE WHEN taint.until > excluded.until THEN taint.until ELSE excluded.until END
"""
_FIND = "SELECT source, until FROM taint WHERE account = :account AND until > :now"
_DISTRUST = """
INSERT INTO distrust (account, kind, name) VALUES (:account, :kind, :name) ON CONFLICT DO NOTHING
"""
_TRUST = "DELETE FROM distrust WHERE account = :account AND kind = :kind AND name = :name"
_DISTRUSTED = "SELECT kind, name FROM distrust WHERE account = :account"


def taint(tx: Transaction, account: str, source: str, until: float) -> None:
    """Note what was read last. The later end holds."""
    tx.run(_TAINT, account=account, source=source, until=until)


def tainted(tx: Transaction, account: str) -> Taint | None:
    """Return the taint that is not over yet."""
    row = tx.one(_FIND, account=account, now=tx.now)
    return None if row is None else Taint(row["source"], row["until"])


def distrust(tx: Transaction, account: str, kind: str, keys: Iterable[str]) -> None:
    """Remember that strangers may have had a hand in these."""
    for key in keys:
        tx.run(_DISTRUST, account=account, kind=kind, name=key)


def trust(tx: Transaction, account: str, kind: str, keys: Iterable[str]) -> None:
    """Forget it."""
    for key in keys:
        tx.run(_TRUST, account=account, kind=kind, name=key)


def distrusted(tx: Transaction, account: str) -> frozenset[tuple[str, str]]:
    """Return kind and key of all that is not trusted."""
    return frozenset((row["kind"], row["name"]) for row in tx.each(_DISTRUSTED, account=account))
