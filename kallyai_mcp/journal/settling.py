"""How far an act is, and the receipt of its end.

From prepared and sent an act may go anywhere; from unknown to what was found out; from not found to done, for a late
trace. Done, failed and not sent are never left: whoever comes later finds the act as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.errors import ActRefused
from kallyai_mcp.journal import acts, receipts, stops
from kallyai_mcp.journal.acts import act_of
from kallyai_mcp.journal.trouble import CODE
from kallyai_mcp.model.acts import UNDER_WAY, State
from kallyai_mcp.model.records import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.journal.storage import Row, Transaction
    from kallyai_mcp.model.records import Act

_ENDS = frozenset(State) - UNDER_WAY
_NEXT: Mapping[State, frozenset[State]] = {
    State.PREPARED: _ENDS,
    State.SENT: _ENDS,
    State.UNKNOWN: frozenset({State.DONE, State.FAILED, State.NOT_FOUND}),
    State.NOT_FOUND: frozenset({State.DONE}),
}

_DAY = 86_400.0
_MOST = 500

CHARGED = "charged"
"""What a receipt says where only now it is known what a done act has cost."""

DIED_PREPARED = "the process that had prepared it ended before anything was sent"
UNBEGUN = "the connection to the database broke while it was recorded, so that it was not sent"
DIED_SENT = "the process that had sent it ended before the answer came"


def mark_sent(tx: Transaction, account: str, identifier: str) -> tuple[Act, ActRefused | None]:
    """Have an act go from prepared to sent; with a stop, to not sent, and return the error to be raised.

    Raises:
        ActRefused: It is sent already ("act_under_way"), or has ended or is unknown here ("journal_unusable").
    """
    row = _require(tx, account, identifier)
    if row["state"] != State.PREPARED:
        raise _not_prepared(row)
    if (stopped := stops.find(tx, account)) is not None:
        act = settle(tx, account, identifier, State.NOT_SENT, error="stopped", note=f"stopped by {stopped.by}")
        return act, stops.refusal(stopped, identifier)
    acts.mark_sent(tx, account, identifier)
    return act_of(_require(tx, account, identifier), tx.path), None


def settle(
    tx: Transaction,
    account: str,
    identifier: str,
    state: State,
    *,
    answer: Mapping[str, Any] | None = None,
    charged: float | None = None,
    error: str | None = None,
    correlation_id: str | None = None,
    note: str | None = None,
    approval_mode: str = "",
    unless: Callable[[Act], bool] | None = None,
) -> Act:
    """Write down what became of an act, with a receipt; return it as it is now.

    With `unless` it is left as it is where another act that was done, of the day before it or later, is such a one.

    Raises:
        ActRefused: The account has no such act ("journal_unusable").
        ValueError: The state is no end.
    """
    if state not in _ENDS:
        raise ValueError(f"{state} is no end of an act")
    row = _require(tx, account, identifier)
    before = act_of(row, tx.path)
    if state not in _NEXT.get(before.state, frozenset()):
        return before
    if unless is not None:
        others = acts.listed(tx, account, {State.DONE}, before.created - _DAY, _MOST)
        if any(other.id != identifier and unless(other) for other in others):
            return before
    acts.mark_settled(
        tx,
        account,
        identifier,
        state,
        answer=answer,
        charged=charged,
        error=error,
        correlation_id=correlation_id,
        note=note,
    )
    act = act_of(_require(tx, account, identifier), tx.path)
    _append(tx, account, act, str(state), approval_mode or row["approval_mode"], error)
    return act


def charge(
    tx: Transaction,
    account: str,
    identifier: str,
    *,
    answer: Mapping[str, Any],
    charged: float | None,
    approval_mode: str = "",
) -> Act:
    """Write down what an act has brought and cost that was known to be done before it was over, with a receipt.

    One whose charge is known already, or that is not done, is left as it is.

    Raises:
        ActRefused: The account has no such act ("journal_unusable").
    """
    row = _require(tx, account, identifier)
    before = act_of(row, tx.path)
    if before.state is not State.DONE or before.charged is not None:
        return before
    acts.mark_charged(tx, account, identifier, answer, charged)
    act = act_of(_require(tx, account, identifier), tx.path)
    if act.charged is not None:
        _append(tx, account, act, CHARGED, approval_mode or row["approval_mode"])
    return act


def _append(
    tx: Transaction, account: str, act: Act, outcome: str, approval_mode: str, error: str | None = None
) -> None:
    note = Note(
        tool=act.draft.tool,
        digest=act.draft.digest,
        outcome=outcome,
        consent=act.draft.consent,
        approval_mode=approval_mode,
        act=act.id,
        mandate=act.draft.mandate,
        destination=act.draft.masked,
        charged=act.charged,
        correlation_id=act.correlation_id,
        error=error,
    )
    receipts.append(tx, account, note)


def settle_orphan(tx: Transaction, account: str, row: Row, approval_mode: str = "") -> Act:
    """Settle an act whose process has died: what was only prepared was not sent, of the rest nobody knows."""
    state, note = (State.NOT_SENT, DIED_PREPARED) if row["state"] == State.PREPARED else (State.UNKNOWN, DIED_SENT)
    return settle(tx, account, row["id"], state, note=note, approval_mode=approval_mode)


def settle_unbegun(tx: Transaction, account: str, identifier: str) -> None:
    """Settle an act of which this process did not learn that it was recorded, and which it therefore never sent."""
    row = acts.find(tx, account, identifier)
    if row is not None and row["state"] == State.PREPARED:
        settle(tx, account, identifier, State.NOT_SENT, note=UNBEGUN)


def recover(tx: Transaction, account: str, approval_mode: str) -> list[Act]:
    """Settle all acts whose processes have died; return them as they are now, the oldest first."""
    orphans = [row for row in acts.under_way(tx, account) if not tx.lives.is_alive(row["owner"])]
    tx.lives.sweep()
    return [settle_orphan(tx, account, row, approval_mode) for row in orphans]


def _require(tx: Transaction, account: str, identifier: str) -> Row:
    row = acts.find(tx, account, identifier)
    if row is None:
        raise ActRefused(
            f"The journal {tx.path} has no act {identifier}. It may have been moved away meanwhile.",
            code=CODE,
            next_step="Look with kallyai_acts, and with the command that reads about it, what was done.",
            details={"act": identifier},
        )
    return row


def _not_prepared(row: Row) -> ActRefused:
    is_sent = row["state"] == State.SENT
    return ActRefused(
        f"The act {row['id']} was sent already; it is not sent twice."
        if is_sent
        else f"The act {row['id']} has ended meanwhile ({row['state']}), so that it was not sent.",
        code="act_under_way" if is_sent else CODE,
        next_step="Look with kallyai_acts what became of it." if is_sent else "Run the tool again.",
        retryable=not is_sent,
        details={"act": row["id"], "outcome": "unknown" if is_sent else "not_sent"},
    )
