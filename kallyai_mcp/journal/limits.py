"""What of the limits is in use, and whether one more act fits. All of it is counted in the transaction that records it.

A span ends with the present moment: what was recorded an hour ago, to the second, is not in the last hour any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING

from kallyai_mcp.errors import ActRefused
from kallyai_mcp.journal import acts, mandates
from kallyai_mcp.journal.acts import recipient_key
from kallyai_mcp.journal.amounts import PARTS, to_credits, to_parts
from kallyai_mcp.model.records import Usage
from kallyai_mcp.safety import SAFETY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kallyai_mcp.journal.storage import Row, Transaction
    from kallyai_mcp.safety import Safety

HOUR = 3600.0
DAY = 86_400.0

_USED = """
SELECT CAST(COALESCE(sum(amount), 0) AS BIGINT) AS day,
    CAST(COALESCE(sum(CASE WHEN created > :hour THEN amount END), 0) AS BIGINT) AS hour,
    CAST(COALESCE(sum(CASE WHEN created > :hour THEN places_call END), 0) AS BIGINT) AS calls
FROM counted
WHERE account = :account AND created > :day
"""
_SPENT = "SELECT created, amount FROM counted WHERE account = :account AND created > :since ORDER BY created"
_SET_ASIDE = """
SELECT CAST(COALESCE(sum(amount), 0) AS BIGINT) AS amount FROM counted
WHERE account = :account AND created > :since AND state IN ('prepared', 'sent')
"""
_CALLED = """
SELECT created, places_call AS amount FROM counted
WHERE account = :account AND created > :since
ORDER BY created
"""
_NEW = """
SELECT min(first.created) AS created
FROM counted AS first CROSS JOIN recipient
WHERE first.account = :account AND first.created > :since AND recipient.act = first.number AND NOT EXISTS (
    SELECT 1 FROM recipient AS before JOIN counted AS earlier ON earlier.number = before.act
    WHERE before.account = recipient.account AND before.recipient = recipient.recipient AND earlier.created <= :since
)
GROUP BY recipient.recipient
ORDER BY 1
"""
_KNOWN = """
SELECT 1 FROM recipient JOIN counted ON counted.number = recipient.act
WHERE recipient.account = :account AND recipient.recipient = :recipient
LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an act asks of the limits.

    Attributes:
        credits: Most that it may cost.
        places_call: Whether it places a phone call.
        recipients: Whom it contacts.
        mandate: Under which mandate.
    """

    credits: float
    places_call: bool = False
    recipients: tuple[str, ...] = ()
    mandate: str | None = None


@dataclass(frozen=True, slots=True)
class _Limit:
    """One limit as it is to be explained.

    Attributes:
        name: Its setting, or what of the mandate it is.
        of: What it bounds, after a number.
        unit: How many parts make one.
    """

    name: str
    of: str
    unit: int = 1

    def refusal(
        self, allowed: int, used: int, asked: int, frees_at: float | None, *, is_passing: bool, set_aside: int = 0
    ) -> ActRefused:
        """Make the error of an act that does not fit.

        Args:
            allowed: What the limit is.
            used: How much of it is taken.
            asked: How much more is wanted.
            frees_at: When enough of it is free by the time alone; None where that cannot be told.
            is_passing: Whether it fits later.
            set_aside: How much of what is taken is only set aside, for acts that are under way.
        """
        most, taken, wanted = (amount / self.unit for amount in (allowed, used, asked))
        setting = next((setting for setting in SAFETY if setting.name == self.name), None)
        message = f"At most {_shown(most)} {self.of}"
        message += f" ({setting.flag})." if setting is not None else " of its mandate."
        message += (
            f" {_shown(taken)} in use, {_shown(wanted)} more asked for." if used else f" {_shown(wanted)} asked for."
        )
        details = {"limit": self.name, "allowed": most, "used": taken, "asked": wanted, "outcome": "not_sent"}
        raised = "ask a person for another mandate"
        if setting is not None:
            raised = f"have the user raise {setting.flag} ({setting.variable}) and start anew; no tool can raise it"
        if frees_at is not None:
            moment = datetime.fromtimestamp(math.ceil(frees_at), UTC)
            message += f" There is room from {moment:%Y-%m-%d %H:%M:%S} UTC on."
            details["frees_at"] = frees_at
            step = f"Wait until then, or {raised}."
            if used - set_aside + asked <= allowed:
                message += f" Of what is in use, {_shown(set_aside / self.unit)} are only set aside for acts under way."
                details["set_aside"] = set_aside / self.unit
                step = f"Try again once those under way have ended: what they do not cost is free then. Or {raised}."
        elif is_passing:
            step = f"Wait until one of them has ended, or {raised}."
        else:
            step = f"Ask for less, or {raised}."
        return ActRefused(
            f"{message} Nothing was sent.", code="limit_reached", next_step=step, retryable=is_passing, details=details
        )


def _shown(amount: float) -> str:
    return f"{amount:.4f}".rstrip("0").rstrip(".")


_PER_ACT = _Limit("max_credits_per_act", "credits for one act", PARTS)
_PER_HOUR = _Limit("max_credits_per_hour", "credits in an hour", PARTS)
_PER_DAY = _Limit("max_credits_per_day", "credits in 24 hours", PARTS)
_CALLS = _Limit("max_calls_per_hour", "phone calls in an hour")
_RECIPIENTS = _Limit("max_new_recipients_per_day", "people contacted for the first time within 24 hours")
_IN_FLIGHT = _Limit("max_acts_in_flight", "acts under way at once")
_MANDATE_ACTS = _Limit("mandate_acts", "acts")
_MANDATE_CREDITS = _Limit("mandate_credits", "credits", PARTS)


def require_room(tx: Transaction, account: str, wish: Wish, safety: Safety) -> None:
    """Check that an act fits into every limit.

    Raises:
        ActRefused: It does not ("limit_reached"). `details` name the limit, what is allowed, used and asked for, and
            under `frees_at` from when on there is room, where that is known.
    """
    asked = to_parts(wish.credits)
    most = to_parts(safety.max_credits_per_act)
    if asked > most:
        raise _PER_ACT.refusal(most, 0, asked, None, is_passing=False)
    used = _used(tx, account)

    def entries(statement: str, span: float) -> Callable[[], list[tuple[float, int]]]:
        return lambda: [
            (row["created"], row["amount"]) for row in tx.each(statement, account=account, since=tx.now - span)
        ]

    def set_aside(span: float) -> Callable[[], int]:
        return lambda: sum(row["amount"] for row in tx.each(_SET_ASIDE, account=account, since=tx.now - span))

    for limit, allowed, name, span in (
        (_PER_HOUR, safety.max_credits_per_hour, "hour", HOUR),
        (_PER_DAY, safety.max_credits_per_day, "day", DAY),
    ):
        _require_span(limit, to_parts(allowed), used[name], asked, entries(_SPENT, span), span, set_aside(span))
    called = entries(_CALLED, HOUR)
    _require_span(_CALLS, safety.max_calls_per_hour, used["calls"], int(wish.places_call), called, HOUR)
    unknown = sum(not _is_known(tx, account, recipient) for recipient in set(wish.recipients))
    if unknown:
        new = [(created, 1) for created in _new_recipients(tx, account)]
        _require_span(_RECIPIENTS, safety.max_new_recipients_per_day, len(new), unknown, lambda: new, DAY)
    flying = acts.in_flight(tx, account)
    if flying + 1 > safety.max_acts_in_flight:
        raise _IN_FLIGHT.refusal(safety.max_acts_in_flight, flying, 1, None, is_passing=safety.max_acts_in_flight > 0)
    if wish.mandate is not None:
        _require_mandate(tx, account, wish.mandate, asked)


def usage(tx: Transaction, account: str) -> Usage:
    """Return what of the limits is in use."""
    used = _used(tx, account)
    return Usage(
        credits_hour=to_credits(used["hour"]),
        credits_day=to_credits(used["day"]),
        calls_hour=used["calls"],
        new_recipients_day=len(_new_recipients(tx, account)),
        in_flight=acts.in_flight(tx, account),
    )


def _used(tx: Transaction, account: str) -> Row:
    row = tx.one(_USED, account=account, hour=tx.now - HOUR, day=tx.now - DAY)
    assert row is not None  # noqa: S101 - an aggregate has one row
    return row


def _require_span(
    limit: _Limit,
    allowed: int,
    used: int,
    asked: int,
    entries: Callable[[], Sequence[tuple[float, int]]],
    span: float,
    set_aside: Callable[[], int] = lambda: 0,
) -> None:
    if not asked or used + asked <= allowed:
        return
    frees_at = _frees_at(entries(), used + asked - allowed, span)
    raise limit.refusal(allowed, used, asked, frees_at, is_passing=frees_at is not None, set_aside=set_aside())


def _frees_at(entries: Sequence[tuple[float, int]], excess: int, span: float) -> float | None:
    """When the oldest entries that make up the excess have left the span; None where all of them are too little."""
    freed = accumulate(amount for _, amount in entries)
    return next((created + span for (created, _), sum_ in zip(entries, freed, strict=True) if sum_ >= excess), None)


def _new_recipients(tx: Transaction, account: str) -> list[float]:
    """When each recipient of the last 24 hours who had never been contacted before first was."""
    return [row["created"] for row in tx.each(_NEW, account=account, since=tx.now - DAY)]


def _is_known(tx: Transaction, account: str, recipient: str) -> bool:
    return tx.one(_KNOWN, account=account, recipient=recipient_key(account, recipient)) is not None


def _require_mandate(tx: Transaction, account: str, identifier: str, asked: int) -> None:
    mandate = mandates.find(tx, account, identifier)
    if mandate is None or mandate.revoked is not None or tx.now >= mandate.until:
        why = (
            "there is none"
            if mandate is None
            else "it was taken back"
            if mandate.revoked is not None
            else "it has ended"
        )
        raise ActRefused(
            f"The mandate {identifier} does not allow the act, for {why}. Nothing was sent.",
            code="limit_reached",
            next_step="Run the tool again; a person is then asked.",
            retryable=True,
            details={"limit": "mandate", "mandate": identifier, "outcome": "not_sent"},
        )
    used_acts, used_parts = mandates.usage(tx, account, identifier)
    if used_acts + 1 > mandate.acts:
        raise _MANDATE_ACTS.refusal(mandate.acts, used_acts, 1, None, is_passing=False)
    most = to_parts(mandate.credits)
    if asked and used_parts + asked > most:
        raise _MANDATE_CREDITS.refusal(most, used_parts, asked, None, is_passing=False)
