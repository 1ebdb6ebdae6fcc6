"""The tables about the sandbox: numbers, wordings, triggers, faults and controls.

Their rows are handed in, since the sandbox stands on the same floor as the exporter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kallyai_mcp.export.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SUBJECTS = {
    "mail": "recipient of a mail, before the @",
    "calendar": "title of a calendar event",
    "search": "query of a search",
    "restaurant": "query of a restaurant search",
    "booking": "notes of a booking",
    "task": "description of a ride, a meal or an errand",
    "message": "message to the assistant",
}
"""What a trigger is a value of, in words."""


class Number(Protocol):
    """A number with a fixed outcome."""

    @property
    def number(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def meaning(self) -> str: ...


class Phrase(Protocol):
    """Words in a call's task with a fixed outcome."""

    @property
    def phrase(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def meaning(self) -> str: ...


class Trigger(Protocol):
    """A value of another request with a fixed outcome."""

    @property
    def subject(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def meaning(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SandboxFacts:
    """What the sandbox lists about itself.

    Attributes:
        numbers: Numbers with fixed outcomes.
        phrases: Wordings with fixed outcomes.
        triggers: Other values with fixed outcomes.
        faults: Words of faults, with what they do.
        fault_settings: Settings of faults, likewise.
        controls: Method and path of the control endpoints, with what they do.
    """

    numbers: Sequence[Number]
    phrases: Sequence[Phrase]
    triggers: Sequence[Trigger]
    faults: Mapping[str, str]
    fault_settings: Mapping[str, str]
    controls: Sequence[tuple[str, str]]


def guide_sections(facts: SandboxFacts) -> dict[str, str]:
    """Return the generated parts of the sandbox's guide by name."""
    return {
        "sandbox triggers": triggers(facts.triggers),
        "sandbox faults": faults(facts.faults, facts.fault_settings),
        "sandbox controls": controls(facts.controls),
    }


def numbers_and_phrases(numbers: Iterable[Number], phrases: Iterable[Phrase]) -> str:
    """Return the tables of numbers and wordings with fixed outcomes."""
    return "\n\n".join(
        [
            table(
                ("Number", "Outcome", "What happens"), [(f"`{n.number}`", f"`{n.outcome}`", n.meaning) for n in numbers]
            ),
            "Words in the task of a call that have it refused:",
            table(("Words", "Code", "They stand for"), [(p.phrase, f"`{p.code}`", p.meaning) for p in phrases]),
        ]
    )


def triggers(rows: Iterable[Trigger]) -> str:
    """Return the table of triggers."""
    return table(("Where", "What it says", "What happens"), [(SUBJECTS[t.subject], t.value, t.meaning) for t in rows])


def faults(words: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """Return the table of faults: words as they are, settings with an equals sign."""
    named = {**words, **{f"{name}=": meaning for name, meaning in settings.items()}}
    return table(("Fault", "What it does"), [(f"`{name}`", meaning) for name, meaning in named.items()])


def controls(rows: Iterable[tuple[str, str]]) -> str:
    """Return the table of control endpoints."""
    return table(("Request", "What it does"), [(f"`{request}`", meaning) for request, meaning in rows])
