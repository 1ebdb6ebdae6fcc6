"""Check the log: is every line as it was written, in its place, and is the last one there?

A line vouches for the one before it by its hash, and the head for the last. Whoever rewrites all that follows and the
head too is found only with a copy of the head that was kept elsewhere.
"""

from __future__ import annotations

import json
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.journal.receipts import ALL, HEAD, LOST, hash_of
from kallyai_mcp.model.records import Verification

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kallyai_mcp.journal.storage import Row, Transaction

ALTERED = "It was altered."
MISSING = "It is missing, or stands elsewhere."
PUT_IN = "It was put in."
NO_HEAD = "Whether lines are missing before it, nothing says: the head of the log was removed."


def verify(tx: Transaction) -> Verification:
    """Check all lines."""
    head = tx.one(HEAD)
    head_number, head_hash = (0, "") if head is None else (head["number"], head["hash"])
    lines, last, broken, reason = 0, "", None, ""
    for row, follower in _with_follower(tx.stream(ALL)):
        if broken is None:
            vouched = head_hash if follower is None else _facts(follower).get("previous")
            broken, reason = _judged(row, lines + 1, last, vouched)
        lines, last = lines + 1, row["hash"]
    if broken is None:
        broken, reason = _end(lines, last, head_number, head_hash, has_head=head is not None)
    return Verification(lines=lines, head=str(last), broken=broken, reason=reason)


def _judged(row: Row, expected: int, previous: str, vouched: Any) -> tuple[int | None, str]:
    number, facts = row["number"], _facts(row)
    if number > expected:
        return expected, MISSING
    if number < expected:
        return number, PUT_IN
    if not facts or facts.get("account") != row["account"] or hash_of(row["line"]) != row["hash"]:
        return number, ALTERED  # a line that is no text has no facts
    told = facts.get("number")
    if told == number and facts.get("previous") == previous:
        return None, ""
    if facts.get("previous") == LOST:
        return number, NO_HEAD
    if not isinstance(told, int):
        return number, ALTERED
    if told > number:
        return number, MISSING
    if row["hash"] == vouched and number > 1:
        # This one is as it was written, so that the one before it is not.
        return number - 1, PUT_IN if told < number else ALTERED
    return number, PUT_IN if told < number else ALTERED


def _end(lines: int, last: str, head_number: int, head_hash: str, *, has_head: bool) -> tuple[int | None, str]:
    if not has_head:
        return lines + 1, NO_HEAD
    if head_number > lines:
        return lines + 1, MISSING
    if head_number < lines:
        return head_number + 1, PUT_IN
    return (None, "") if head_hash == last else (lines, ALTERED)


def _facts(row: Row) -> dict[str, Any]:
    """What a line says; nothing where it is none."""
    try:
        facts = json.loads(row["line"]) if isinstance(row["line"], str) else None
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", facts) if isinstance(facts, dict) else {}


def _with_follower(rows: Iterable[Row]) -> Iterator[tuple[Row, Row | None]]:
    return pairwise(chain(rows, (None,)))  # pyright: ignore[reportReturnType]  # only the last one is None
