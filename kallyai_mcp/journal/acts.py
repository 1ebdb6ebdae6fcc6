"""The table of acts: one row each, and the recipients that it contacted, as digests."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

from kallyai_mcp.journal.amounts import charge_to_parts, to_credits, to_parts
from kallyai_mcp.journal.trouble import understood
from kallyai_mcp.model.acts import Consent, State
from kallyai_mcp.model.records import Act, Draft
from kallyai_mcp.privacy import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from kallyai_mcp.journal.storage import Row, Transaction

MOST_LISTED = 10_000
"""Acts that are returned at once, whatever the limit asked for."""

_INSERT = """
INSERT INTO act (
    id, account, tool, digest, arguments, credits, places_call, recipients, masked, consent, approval, mandate,
    repeat_of, is_harmless_twice, before, approval_mode, owner, state, created
) VALUES (
    :id, :account, :tool, :digest, :arguments, :credits, :places_call, :recipients, :masked, :consent, :approval,
    :mandate, :repeat_of, :is_harmless_twice, :before, :approval_mode, :owner, 'prepared', :created
)
"""
_INSERT_RECIPIENT = """
INSERT INTO recipient (account, recipient, act)
SELECT :account, :recipient, number FROM act WHERE id = :act
ON CONFLICT DO NOTHING
"""
_FIND = "SELECT * FROM act WHERE account = :account AND id = :id"
_EQUAL = """
SELECT * FROM act
WHERE account = :account AND digest = :digest
  AND (state IN ('prepared', 'sent') OR COALESCE(settled, created) > :since)
ORDER BY number DESC
"""
_LIST = """
SELECT * FROM act
WHERE account = :account AND created >= :since
ORDER BY created DESC, number DESC LIMIT :most
"""
_LIST_STATE = """
SELECT * FROM act
WHERE account = :account AND state = :state AND created >= :since
ORDER BY created DESC, number DESC LIMIT :most
"""
_UNDER_WAY = "SELECT * FROM under_way WHERE account = :account ORDER BY number"
_OWNERS = "SELECT owner, count(*) AS acts FROM under_way WHERE account = :account GROUP BY owner"
_SENT = "UPDATE act SET state = 'sent', sent = :now WHERE account = :account AND id = :id"
_SETTLE = """
UPDATE act
SET state = :state, settled = :now, error = :error,
    answer = COALESCE(:answer, answer), charged = COALESCE(:charged, charged),
    correlation_id = COALESCE(:correlation_id, correlation_id), note = COALESCE(:note, note), is_forgotten = 0
WHERE account = :account AND id = :id
"""
_CHARGE = "UPDATE act SET answer = :answer, charged = :charged WHERE account = :account AND id = :id"
_FORGET = """
UPDATE act SET arguments = '{}', recipients = '[]', before = NULL, answer = NULL, is_forgotten = 1
WHERE is_forgotten = 0 AND settled <= :before
"""


def new_id() -> str:
    """Return an identifier for an act."""
    return str(uuid.uuid4())


def insert(tx: Transaction, account: str, draft: Draft, approval_mode: str, identifier: str) -> Act:
    """Record an act of this process as prepared."""
    tx.run(
        _INSERT,
        id=identifier,
        account=account,
        tool=draft.tool,
        digest=draft.digest,
        arguments=_json(draft.arguments),
        credits=to_parts(draft.credits),
        places_call=int(draft.places_call),
        recipients=_json(draft.recipients),
        masked=draft.masked,
        consent=str(draft.consent),
        approval=draft.approval,
        mandate=draft.mandate,
        repeat_of=draft.repeat_of,
        is_harmless_twice=int(draft.is_harmless_twice),
        before=_json(draft.before),
        approval_mode=approval_mode,
        owner=tx.lives.instance,
        created=tx.now,
    )
    for recipient in draft.recipients:
        tx.run(_INSERT_RECIPIENT, account=account, recipient=recipient_key(account, recipient), act=identifier)
    return Act(id=identifier, draft=draft, state=State.PREPARED, created=tx.now)


def find(tx: Transaction, account: str, identifier: str) -> Row | None:
    """Return the row of an act; None where the account has none of this identifier."""
    return tx.one(_FIND, account=account, id=identifier)


def equal(tx: Transaction, account: str, digest: str, since: float) -> list[Row]:
    """Return the rows of equal acts that are under way or were settled since then, the newest first."""
    return list(tx.each(_EQUAL, account=account, digest=digest, since=since))


def under_way(tx: Transaction, account: str) -> list[Row]:
    """Return the rows of acts that are prepared or sent, the oldest first."""
    return list(tx.each(_UNDER_WAY, account=account))


def in_flight(tx: Transaction, account: str) -> int:
    """Return how many acts of living processes are under way."""
    owners = list(tx.each(_OWNERS, account=account))
    return sum(row["acts"] for row in owners if tx.lives.is_alive(row["owner"]))


def listed(
    tx: Transaction, account: str, states: Iterable[State] | None, since: float | None, limit: int | None
) -> list[Act]:
    """Return acts, the newest first."""
    most = MOST_LISTED if limit is None else min(max(limit, 0), MOST_LISTED)
    given: dict[str, Any] = {"account": account, "since": since or 0.0, "most": most}
    if states is None:
        rows = list(tx.each(_LIST, **given))
    else:
        rows = [row for state in set(states) for row in tx.each(_LIST_STATE, state=str(state), **given)]
        rows.sort(key=lambda row: (row["created"], row["number"]), reverse=True)
    return [act_of(row, tx.path) for row in rows[:most]]


def mark_sent(tx: Transaction, account: str, identifier: str) -> None:
    """Note that the first byte may leave from now on."""
    tx.run(_SENT, account=account, id=identifier, now=tx.now)


def mark_settled(
    tx: Transaction,
    account: str,
    identifier: str,
    state: State,
    *,
    answer: Mapping[str, Any] | None,
    charged: float | None,
    error: str | None,
    correlation_id: str | None,
    note: str | None,
) -> None:
    """Write down what became of an act; what is not told now keeps what was told before, but for the error."""
    tx.run(
        _SETTLE,
        account=account,
        id=identifier,
        now=tx.now,
        state=str(state),
        answer=_json(answer),
        charged=charge_to_parts(charged),
        error=error,
        correlation_id=correlation_id,
        note=note,
    )


def mark_charged(
    tx: Transaction, account: str, identifier: str, answer: Mapping[str, Any], charged: float | None
) -> None:
    """Write down what a done act has brought and cost in the end."""
    tx.run(_CHARGE, account=account, id=identifier, answer=_json(answer), charged=charge_to_parts(charged))


def forget(tx: Transaction, before: float) -> None:
    """Clear what was asked and answered of acts that were settled by then; their traces stay."""
    tx.run(_FORGET, before=before)


def recipient_key(account: str, recipient: str) -> str:
    """Return under what a recipient is remembered, for as long as the account is."""
    return hashlib.sha256(f"{account}\n{recipient}".encode("utf-8", "replace")).hexdigest()


def act_of(row: Row, path: Path | str) -> Act:
    """Read a row.

    Raises:
        InvalidSettings: It makes no sense ("journal_unusable").
    """
    with understood(path):
        return Act(
            id=row["id"],
            draft=Draft(
                tool=row["tool"],
                digest=row["digest"],
                arguments=json.loads(row["arguments"]),
                credits=to_credits(row["credits"]),
                places_call=bool(row["places_call"]),
                recipients=tuple(json.loads(row["recipients"])),
                masked=row["masked"],
                consent=Consent(row["consent"]),
                approval=row["approval"],
                mandate=row["mandate"],
                repeat_of=row["repeat_of"],
                is_harmless_twice=bool(row["is_harmless_twice"]),
                before=None if row["before"] is None else json.loads(row["before"]),
            ),
            state=State(row["state"]),
            created=row["created"],
            sent=row["sent"],
            settled=row["settled"],
            charged=None if row["charged"] is None else to_credits(row["charged"]),
            answer=None if row["answer"] is None else json.loads(row["answer"]),
            error=row["error"],
            correlation_id=row["correlation_id"],
            note=row["note"],
        )


def _json(value: object) -> str | None:
    """JSON as text, without the tokens that a service may have sent back; no value where there is none."""
    return None if value is None else json.dumps(without_secrets(value), ensure_ascii=True, separators=(",", ":"))
