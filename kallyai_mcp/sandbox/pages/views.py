"""From documents of the world to what the pages show. Documents may lack any field; nothing here fails for that."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

from kallyai_mcp.sandbox.pages.reading import (
    LIVE,
    At,
    State,
    amount,
    at,
    duration,
    number,
    objects,
    priced,
    state,
    text,
)

_OVER = {"completed", "cancelled", "archived"}
_SPEAKERS = {"AI": "Assistant", "HUMAN": "Other side"}


@dataclass(frozen=True, slots=True)
class Turn:
    """What somebody said."""

    who: str
    ours: bool
    at: str
    content: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the agent placed. `key` identifies it within the page, `path` in an address."""

    key: str
    path: str
    title: str
    to: str
    state: State
    live: bool
    at: At | None
    facts: list[str]
    outcome: str
    next_steps: str
    task: str
    turns: list[Turn] = field(default_factory=list[Turn])


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a goal."""

    description: str
    state: State


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that the coordinator works on."""

    key: str
    title: str
    state: State
    facts: list[str]
    note: str
    over: bool
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail of the outbox."""

    key: str
    to: str
    subject: str
    body: str
    problem: str
    state: State
    at: At | None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call or voicemail that came in."""

    title: str
    length: str
    text: str
    state: State
    at: At | None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log of actions."""

    type: str
    description: str
    undoable: bool
    state: State
    at: At | None


@dataclass(frozen=True, slots=True)
class Charge:
    """An entry of the credit ledger."""

    description: str
    credits: str
    at: At | None


@dataclass(frozen=True, slots=True)
class Credits:
    """The balance; `value`, `max` and `low` are for the meter."""

    plan: str
    allocated: str | None = None
    remaining: str = ""
    value: float = 0
    max: float = 1
    low: float = 0


def turns(entries: Any) -> list[Turn]:
    """Return what was said in a call."""
    said: list[Turn] = []
    for one in objects(entries):
        speaker = text(one, "speaker").upper()
        who = _SPEAKERS.get(speaker, speaker.capitalize() or "Unknown")
        said.append(Turn(who, speaker == "AI", text(one, "timestamp"), text(one, "content", "text")))
    return said


def call(document: dict[str, Any]) -> Call:
    """Return a call as the pages show it."""
    order: dict[str, Any] = document.get("submission") or {}
    metadata: dict[str, Any] = document.get("metadata") or {}
    to = text(document, "to") or text(order, "respondent_phone")
    name = text(document, "business_name") or text(order, "business_name")
    key = text(document, "call_id", "id")
    status = text(document, "status").lower()
    facts = [to] if to and name else []
    if seconds := number(document.get("duration_seconds")):
        facts.append(duration(seconds))
    if credits_ := number(document.get("credits_used")):
        facts.append(priced(credits_))
    return Call(
        key=_key(key),
        path=quote(key, safe=""),
        title=f"Call to {name or to or 'somebody'}",
        to=to,
        state=state(document),
        live=status in LIVE,
        at=at(document, "created_at") or at(metadata, "created_at"),
        facts=facts,
        outcome=text(document, "highlights", "result_summary"),
        next_steps=text(document, "next_steps"),
        task=text(order, "task_description") or text(document, "task"),
        turns=turns(document.get("transcript")),
    )


def call_facts(document: dict[str, Any], shown: Call) -> list[tuple[str, str]]:
    """Return what is known about a call, name by name."""
    seconds, credits_ = number(document.get("duration_seconds")), number(document.get("credits_used"))
    facts = [
        ("Number", shown.to),
        ("Task", shown.task),
        ("Found out", shown.outcome),
        ("Next", shown.next_steps),
        ("Talk", duration(seconds) if seconds else ""),
        ("Cost", "" if shown.live else priced(credits_)),
    ]
    return [(name, value) for name, value in facts if value]


def goal(document: dict[str, Any]) -> Goal:
    """Return a goal as the pages show it."""
    outcome = document.get("outcome")
    result = (
        text(cast("dict[str, Any]", outcome), "summary") if isinstance(outcome, dict) else text(document, "outcome")
    )
    used, estimated = number(document.get("credits_used")), number(document.get("credits_estimated"))
    spent = f"{amount(used)} of about {priced(estimated)}" if estimated else priced(used) if used else ""
    steps = [Step(text(step, "description", "title"), state(step)) for step in objects(document.get("steps"))]
    return Goal(
        key=_key(text(document, "id")),
        title=text(document, "title", "description") or "A goal",
        state=state(document),
        facts=[fact for fact in ("Part of a larger goal" if document.get("parent_goal_id") else "", spent) if fact],
        note=text(document, "question") or result,
        over=text(document, "status").lower() in _OVER,
        steps=steps,
    )


def mail(document: dict[str, Any]) -> Mail:
    """Return a mail of the outbox as the page shows it."""
    return Mail(
        key=_key(text(document, "id")),
        to=text(document, "to", "to_email", "recipient") or "nobody yet",
        subject=text(document, "subject") or "(no subject)",
        body=text(document, "body", "text", "content"),
        problem=text(document, "failure_reason"),
        state=state(document),
        at=at(document, "sent_at", "created_at"),
    )


def incoming(document: dict[str, Any], *, voicemail: bool) -> Incoming:
    """Return a call or voicemail that came in."""
    seconds = number(document.get("duration_seconds"))
    return Incoming(
        title=text(document, "caller_name", "caller_number", "from", "phone") or "Unknown caller",
        length=duration(seconds) if seconds else "",
        text=text(document, "transcription" if voicemail else "summary"),
        state=State("Voicemail", "warm") if voicemail else state(document),
        at=at(document, "created_at", "received_at"),
    )


def entry(document: dict[str, Any]) -> Entry:
    """Return an entry of the log of actions."""
    return Entry(
        type=text(document, "type").replace("_", " ").capitalize() or "Action",
        description=text(document, "description") or "Something",
        undoable=document.get("undoable") is True,
        state=state(document),
        at=at(document, "created_at"),
    )


def charge(document: dict[str, Any]) -> Charge:
    """Return an entry of the ledger."""
    what = text(document, "description", "type") or "Charge"
    return Charge(what, amount(number(document.get("credits"))), at(document, "timestamp", "created_at"))


def balance(account: dict[str, Any] | None) -> Credits:
    """Return what is left of the account's credits."""
    if not account or "credits_allocated" not in account:
        return Credits(plan="")
    allocated, used = number(account["credits_allocated"]), number(account.get("credits_used"))
    left = max(0.0, allocated - used)
    plan = text(account, "plan_type").replace("_", " ").capitalize()
    return Credits(plan, amount(allocated), amount(left), left, max(allocated, 1.0), max(allocated, 1.0) * 0.15)


def _key(id_: str) -> str:
    return f"k{hashlib.sha256(id_.encode()).hexdigest()[:10]}"
