"""Recording an act: all that can stand in its way is looked at in the one transaction that writes it down."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kallyai_mcp.errors import ActRefused, InvalidArguments, Problem
from kallyai_mcp.journal import acts, approvals, limits, settling, stops
from kallyai_mcp.journal.acts import act_of
from kallyai_mcp.model.acts import UNDER_WAY, State
from kallyai_mcp.model.records import Earlier

if TYPE_CHECKING:
    from kallyai_mcp.journal.storage import Row, Transaction
    from kallyai_mcp.model.records import Act, Draft, Mandate
    from kallyai_mcp.safety import Safety

REPEAT_WINDOW = 600.0
"""Seconds after an act was done for which an equal one is taken for a repetition of it."""

UNKNOWN_WINDOW = 86_400.0
"""Seconds for which an act of which nobody knows what became of it stands in the way of an equal one."""

_WINDOWS = {State.DONE: REPEAT_WINDOW, State.UNKNOWN: UNKNOWN_WINDOW, State.NOT_FOUND: UNKNOWN_WINDOW}


def begin(
    tx: Transaction, account: str, draft: Draft, safety: Safety, mandate: Mandate | None, identifier: str
) -> Act | Earlier:
    """Record an act as prepared, under a new identifier, or return the equal one that was before it.

    Raises:
        ActRefused: Something is against it; nothing is recorded then.
        InvalidArguments: `repeat_of` names no equal act of the account.
    """
    if (stopped := stops.find(tx, account)) is not None:
        raise stops.refusal(stopped)
    _require_equal(tx, account, draft)
    before, is_under_way = _before(tx, account, draft.digest)
    if is_under_way and before is not None:
        raise _under_way(before)
    if before is not None and not draft.is_harmless_twice and before["id"] != draft.repeat_of:
        return Earlier(act_of(before, tx.path))
    if draft.approval is not None:
        approvals.use(tx, account, draft.approval, draft.tool, draft.digest)
    if mandate is not None:
        draft = replace(draft, mandate=mandate.id)
    wish = limits.Wish(
        credits=draft.credits, places_call=draft.places_call, recipients=draft.recipients, mandate=draft.mandate
    )
    limits.require_room(tx, account, wish, safety)
    return acts.insert(tx, account, draft, safety.approval, identifier)


def earlier(tx: Transaction, account: str, digest: str, repeat_of: str | None, *, harmless: bool) -> Act | None:
    """Return the equal act that `begin` would answer with.

    Raises:
        ActRefused: It is under way at this moment ("act_under_way").
    """
    before, is_under_way = _before(tx, account, digest)
    if before is None or harmless or before["id"] == repeat_of:
        return None
    if is_under_way:
        raise _under_way(before)
    return act_of(before, tx.path)


def _require_equal(tx: Transaction, account: str, draft: Draft) -> None:
    if draft.repeat_of is None:
        return
    row = acts.find(tx, account, draft.repeat_of)
    if row is None or row["digest"] != draft.digest:
        raise not_equal(draft.tool)


def not_equal(tool: str) -> InvalidArguments:
    """Make the error of a `repeat_of` that names no equal act."""
    rule = "must be the id of an act with this tool and the same arguments; kallyai_acts lists them."
    return InvalidArguments(tool, [Problem("repeat_of", rule)])


def _before(tx: Transaction, account: str, digest: str) -> tuple[Row | None, bool]:
    """The newest equal act that stands in the way, and whether it is under way. Those of dead processes are settled."""
    rows = acts.equal(tx, account, digest, tx.now - UNKNOWN_WINDOW)
    for row in rows:
        if row["state"] in UNDER_WAY and tx.lives.is_alive(row["owner"]):
            return row, True
    orphans = [row for row in rows if row["state"] in UNDER_WAY]
    for row in orphans:
        settling.settle_orphan(tx, account, row)
    if orphans:
        rows = acts.equal(tx, account, digest, tx.now - UNKNOWN_WINDOW)
    return next((row for row in rows if _stands(tx, row)), None), False


def _stands(tx: Transaction, row: Row) -> bool:
    window = _WINDOWS.get(row["state"])
    return window is not None and (row["settled"] or row["created"]) > tx.now - window


def _under_way(row: Row) -> ActRefused:
    return ActRefused(
        "The same act is under way at this moment. This one was not begun.",
        code="act_under_way",
        next_step=f"Run kallyai_wait with id {row['id']}: it answers with the result.",
        retryable=True,
        details={"act": row["id"], "outcome": "not_sent"},
    )
