"""A journal with a clock of its own, and acts to put into it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from kallyai_mcp.journal import Journal
from kallyai_mcp.model.acts import Consent, State
from kallyai_mcp.model.records import Act, Draft, Mandate, Question
from kallyai_mcp.safety import Safety

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kallyai_mcp.journal.storage import Storage
    from kallyai_mcp.model.records import Approval

NOW = 1_800_000_000.0
ANN = "account-of-ann"
BOB = "account-of-bob"
CALL = "kallyai_calls_make"
QUESTION = Question(
    "Phone a number", CALL, (("Number", "+1 415 555 0100"), ("Task", "Book a table\nfor two")), ("New.",)
)
SHOWN = QUESTION.text()
ROOMY = Safety(
    max_credits_per_act=1e6,
    max_credits_per_hour=1e6,
    max_credits_per_day=1e6,
    max_calls_per_hour=10**6,
    max_new_recipients_per_day=10**6,
    max_acts_in_flight=10**6,
)


class Clock:
    """Seconds since the epoch, which pass when a test says so."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


elsewhere: Callable[[Clock], Storage] | None = None
"""Makes the database of the journals of this test, where that is no file; set by the fixture `engine`."""


def journal_in(folder: Path, clock: Clock | None = None, *, busy: float = 10.0) -> Journal:
    clock = clock or Clock()
    return Journal(folder / "state" if elsewhere is None else elsewhere(clock), clock=clock, busy=busy)


def digest_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def a_draft(name: str = "one", **changes: Any) -> Draft:
    facts: dict[str, Any] = {"tool": CALL, "digest": digest_of(name), "arguments": {"task": name}}
    return Draft(**(facts | changes))


def a_mandate(**changes: Any) -> Mandate:
    facts: dict[str, Any] = {
        "id": "m-1",
        "purpose": "find a plumber",
        "tools": (CALL,),
        "recipients": ("+1415*", "@example.org"),
        "acts": 3,
        "credits": 10.0,
        "until": NOW + 3600,
        "is_trusted": True,
        "created": NOW,
        "consent": Consent.TERMINAL,
    }
    return Mandate(**(facts | changes))


async def begun(journal: Journal, draft: Draft, safety: Safety = ROOMY, account: str = ANN, **more: Any) -> Act:
    act = await journal.begin(account, draft, safety, **more)
    assert isinstance(act, Act)
    return act


async def in_state(journal: Journal, draft: Draft, state: State, account: str = ANN, **settled: Any) -> Act:
    """Have an act arrive at a state by the way that acts take."""
    act = await begun(journal, draft, account=account)
    if state is State.PREPARED:
        return act
    if state is State.NOT_SENT:
        return await journal.settle(account, act.id, state, **settled)
    act = await journal.sending(account, act.id)
    if state is State.SENT:
        return act
    if state is State.NOT_FOUND:
        await journal.settle(account, act.id, State.UNKNOWN)
    return await journal.settle(account, act.id, state, **settled)


async def agreed_to(journal: Journal, draft: Draft, account: str = ANN) -> Approval:
    asked = await journal.ask(account, draft.tool, draft.digest, QUESTION)
    return await journal.decide(account, asked.id, agreed=True, how=Consent.TERMINAL, shown=SHOWN)


async def lines(journal: Journal, account: str | None = None) -> list[dict[str, Any]]:
    """The receipts, read."""
    return [json.loads(receipt.line) for receipt in await journal.receipts(account)]


async def outcomes(journal: Journal) -> list[str]:
    return [line["outcome"] for line in await lines(journal)]
