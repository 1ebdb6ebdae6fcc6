"""What is kept about acts: plain values that the journal stores, the policy judges and the engine hands around.

Times are seconds since the epoch, amounts are credits. An `account` is the key under which one person's things are
kept; every function that stores or finds something takes it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from kallyai_mcp.model.acts import Consent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kallyai_mcp.model.acts import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An act about to be recorded.

    Attributes:
        tool: Name of the tool.
        digest: SHA-256, in hexadecimal, over the tool and the whole request.
        arguments: As they were given, to look the act up by.
        credits: Most that it may cost; set aside until it is settled.
        places_call: Counts towards the calls of an hour.
        recipients: Numbers and addresses that it contacts, normalised.
        masked: The same for receipts, not legible.
        consent: Who agreed, and how.
        approval: The approval that it uses up.
        mandate: The mandate that it falls under.
        repeat_of: The earlier, equal act that a caller knows of and wants once more.
        is_harmless_twice: A repeat does no more than one run, so that no earlier one stands in its way.
        before: What it changes, as the service showed it before the run; to put it back. Kept as long as arguments.
    """

    tool: str
    digest: str
    arguments: Mapping[str, Any]
    credits: float = 0.0
    places_call: bool = False
    recipients: tuple[str, ...] = ()
    masked: str = ""
    consent: Consent = Consent.NONE
    approval: str | None = None
    mandate: str | None = None
    repeat_of: str | None = None
    is_harmless_twice: bool = False
    before: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A recorded act.

    Attributes:
        id: UUID; also the `Idempotency-Key` of commands that have one.
        draft: What was recorded.
        state: How far it is.
        created: When it was recorded.
        sent: When its first byte may have left.
        settled: When its state became final.
        charged: What it cost; None while nobody knows.
        answer: The answer as structured data, for as long as it is kept.
        error: Code of the failure.
        correlation_id: The service's identifier.
        note: How its outcome became known, for people.
    """

    id: str
    draft: Draft
    state: State
    created: float
    sent: float | None = None
    settled: float | None = None
    charged: float | None = None
    answer: Mapping[str, Any] | None = None
    error: str | None = None
    correlation_id: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Earlier:
    """Not recorded: an equal act was done just before, or nobody knows what became of it."""

    act: Act


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked, made by this program alone and free of characters that could mislead.

    Attributes:
        title: What would be done, such as "Phone a number".
        tool: Name of the tool.
        facts: Label and value, in order; a value may have several lines.
        warnings: Sentences that must not be missed.
        read: What of it was read at the service, label and value: what identifiers stand for, who is in the contacts.
            None where that is not known.
    """

    title: str
    tool: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()
    read: tuple[tuple[str, str], ...] | None = ()

    def text(self) -> str:
        """Return the question as plain text. A line of a value cannot be taken for one of ours."""
        lines = [f"{self.title} ({self.tool})", *(f"! {warning}" for warning in self.warnings)]
        for label, value in self.facts:
            first, *rest = value.splitlines() or [""]
            lines += [f"{label}: {first}", *(f"    | {line}" for line in rest)]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON, for the journal."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Question:
        """Return what `as_dict` made."""
        facts, read = _pairs(data["facts"]), data.get("read")
        return cls(data["title"], data["tool"], facts, tuple(data["warnings"]), None if read is None else _pairs(read))


def _pairs(values: Iterable[Iterable[object]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(label), str(value)) for label, value in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A question to a person, and what became of it.

    Attributes:
        id: Not guessable; it approves nothing by itself.
        tool: Name of the tool.
        digest: Of the whole act, as in `Draft`.
        question: What the person sees.
        created: When it was asked.
        expires: When it ends by itself, approved or not.
        decision: True or False once the person has decided, None before.
        consent: How they did.
        used: When the act that it belongs to was recorded.
    """

    id: str
    tool: str
    digest: str
    question: Question
    created: float
    expires: float
    decision: bool | None = None
    consent: Consent = Consent.NONE
    used: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """A bounded errand that a person agreed to once.

    Attributes:
        id: Short, for people and models.
        purpose: What it is for, in the words of whoever proposed it.
        tools: Names of the tools that may be used.
        recipients: Numbers, beginnings of numbers with a `*`, mail addresses, or `@` and a domain; none means anyone.
        acts: Most acts.
        credits: Most credits in all.
        until: When it ends.
        is_trusted: Not written while strangers' words had just been read.
        created: When it was agreed to.
        consent: How.
        revoked: When it was taken back.
        person: Digest of who was signed in; it covers nobody else's acts.
    """

    id: str
    purpose: str
    tools: tuple[str, ...]
    recipients: tuple[str, ...]
    acts: int
    credits: float
    until: float
    is_trusted: bool
    created: float
    consent: Consent
    revoked: float | None = None
    person: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What of the limits is in use; of a mandate, if it is one's."""

    credits_hour: float = 0.0
    credits_day: float = 0.0
    calls_hour: int = 0
    new_recipients_day: int = 0
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Taint:
    """Strangers' words were read lately.

    Attributes:
        source: What was read last, as the name of the command.
        until: When it is over.
    """

    source: str
    until: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands towards an act, at one moment.

    Attributes:
        taint: Strangers' words were read lately.
        distrusted: What was written while that was so, by kind and value.
        mandates: What its person has agreed to in advance of such acts, as far as there is room for one more.
    """

    taint: Taint | None
    distrusted: frozenset[tuple[str, str]]
    mandates: Sequence[Mandate]


@dataclass(frozen=True, slots=True)
class Stopped:
    """All acts of the account are frozen.

    Attributes:
        since: Unix seconds.
        by: Who or what did it, in words.
        of_all: Whether it holds for all accounts, so that nobody ends it for their own alone.
    """

    since: float
    by: str
    of_all: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """One line of the log.

    Attributes:
        number: Place in the log, from 1.
        line: The facts as canonical JSON, the hash of the line before under `previous`.
        hash: SHA-256 of `line`, in hexadecimal.
    """

    number: int
    line: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a check of the log found.

    Attributes:
        lines: How many lines there are.
        head: Hash of the last one; empty without any.
        broken: Number of the first line that was altered, removed or put in; None if none was.
        reason: What is wrong with it.
    """

    lines: int
    head: str
    broken: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a receipt says, beyond the account, the time and the chain.

    Attributes:
        tool: Name of the tool.
        digest: Of the request.
        outcome: A state, or `declined`, `refused` with `error`, `dry_run`, `stopped`, `resumed`, `mandate`, `revoked`.
        consent: Who agreed.
        approval_mode: The setting in force.
        act: Identifier of the act.
        mandate: Identifier of the mandate.
        destination: Masked.
        charged: In credits.
        correlation_id: The service's.
        error: Code of the refusal or failure.
    """

    tool: str
    digest: str
    outcome: str
    consent: Consent = Consent.NONE
    approval_mode: str = ""
    act: str | None = None
    mandate: str | None = None
    destination: str = ""
    charged: float | None = None
    correlation_id: str | None = None
    error: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
