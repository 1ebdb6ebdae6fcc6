"""Bounded errands that a person agreed to once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kallyai_mcp.journal import receipts
from kallyai_mcp.journal.amounts import to_credits, to_parts
from kallyai_mcp.journal.trouble import understood
from kallyai_mcp.model.acts import Consent
from kallyai_mcp.model.records import Mandate, Note

if TYPE_CHECKING:
    from pathlib import Path

    from kallyai_mcp.journal.storage import Row, Transaction

_INSERT = """
INSERT INTO mandate (
    account, id, purpose, tools, recipients, acts, credits, until, is_trusted, created, consent, revoked,
    person
) VALUES (
    :account, :id, :purpose, :tools, :recipients, :acts, :credits, :until, :is_trusted, :created, :consent, :revoked,
    :person
)
ON CONFLICT DO NOTHING
"""
_FIND = "SELECT * FROM mandate WHERE account = :account AND id = :id"
_LIST = "SELECT * FROM mandate WHERE account = :account ORDER BY created DESC, id"
_REVOKE = "UPDATE mandate SET revoked = :now WHERE account = :account AND id = :id AND revoked IS NULL"
_USAGE = """
SELECT count(*) AS acts, COALESCE(sum(amount), 0) AS parts FROM counted
WHERE account = :account AND mandate = :id
"""


def add(tx: Transaction, account: str, mandate: Mandate) -> None:
    """Put a mandate in force, with a receipt.

    Raises:
        ValueError: The account has one of this identifier.
    """
    added = tx.run(
        _INSERT,
        account=account,
        id=mandate.id,
        purpose=mandate.purpose,
        tools=json.dumps(mandate.tools),
        recipients=json.dumps(mandate.recipients),
        acts=mandate.acts,
        credits=to_parts(mandate.credits),
        until=mandate.until,
        is_trusted=int(mandate.is_trusted),
        created=mandate.created,
        consent=str(mandate.consent),
        revoked=mandate.revoked,
        person=mandate.person,
    )
    if not added:
        raise ValueError(f"there is a mandate {mandate.id} already")
    bounds = {"tools": list(mandate.tools), "acts": mandate.acts, "credits": mandate.credits, "until": mandate.until}
    receipts.append(
        tx,
        account,
        Note(
            tool="mandate",
            digest="",
            outcome="mandate",
            consent=mandate.consent,
            mandate=mandate.id,
            details=bounds | {"is_trusted": mandate.is_trusted},
        ),
    )


def find(tx: Transaction, account: str, identifier: str) -> Mandate | None:
    """Return a mandate, whether or not it is still in force."""
    row = tx.one(_FIND, account=account, id=identifier)
    return None if row is None else _mandate_of(row, tx.path)


def listed(tx: Transaction, account: str, active_at: float | None) -> list[Mandate]:
    """Return mandates, the newest first; those in force at a time, or all."""
    mandates = [_mandate_of(row, tx.path) for row in tx.each(_LIST, account=account)]
    if active_at is None:
        return mandates
    return [mandate for mandate in mandates if mandate.revoked is None and active_at < mandate.until]


def revoke(tx: Transaction, account: str, identifier: str) -> Mandate | None:
    """Take a mandate back, with a receipt the first time; None where there is none."""
    if tx.run(_REVOKE, account=account, id=identifier, now=tx.now):
        receipts.append(tx, account, Note(tool="mandate", digest="", outcome="revoked", mandate=identifier))
    return find(tx, account, identifier)


def usage(tx: Transaction, account: str, identifier: str) -> tuple[int, int]:
    """Return how many acts fell under a mandate, and the parts of credits that they cost or may cost."""
    row = tx.one(_USAGE, account=account, id=identifier)
    assert row is not None  # noqa: S101 - an aggregate has one row
    return row["acts"], row["parts"]


def roomy(tx: Transaction, account: str, person: str, tool: str, parts: int) -> list[Mandate]:
    """Return a person's mandates in force for a tool with room for one more act of so many parts of credits."""

    def has_room(mandate: Mandate) -> bool:
        acts, used = usage(tx, account, mandate.id)
        return acts < mandate.acts and used + parts <= to_parts(mandate.credits)

    in_force = listed(tx, account, tx.now)
    return [one for one in in_force if one.person == person and tool in one.tools and has_room(one)]


def in_credits(used: tuple[int, int]) -> tuple[int, float]:
    """Return the same with credits."""
    return used[0], to_credits(used[1])


def _mandate_of(row: Row, path: Path | str) -> Mandate:
    with understood(path):
        return Mandate(
            id=row["id"],
            purpose=row["purpose"],
            tools=tuple(json.loads(row["tools"])),
            recipients=tuple(json.loads(row["recipients"])),
            acts=row["acts"],
            credits=to_credits(row["credits"]),
            until=row["until"],
            is_trusted=bool(row["is_trusted"]),
            created=row["created"],
            consent=Consent(row["consent"]),
            revoked=row["revoked"],
            person=row["person"],
        )
