"""What a declaration tells of a command that acts: whose words it brings, what it costs, where it shows, its undoing.

All of it is data; the policy and the engine derive what they do from it. An **act** is a run that contacts people,
spends, cannot be undone, or diverts the user's calls, mail or identity.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read by pydantic and dataclasses at run time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    """Whose words an answer carries. The value names them in sentences."""

    CALL = "words spoken in a phone call"
    CALLER = "names and words of callers"
    CONTACT = "names and notes of contacts"
    VOICEMAIL = "voicemails"
    MAIL = "mails"
    MESSAGE = "messages received"
    SEARCH = "pages and listings found by a search"
    REPLY = "replies of people who were contacted"
    OUTCOME = "what came of the assistant's work with others"


class State(StrEnum):
    """How far a recorded act is."""

    PREPARED = "prepared"
    """Recorded; not a byte was sent."""
    SENT = "sent"
    """The first byte may have left."""
    DONE = "done"
    """The service has confirmed it, or it was found there afterwards."""
    FAILED = "failed"
    """The service said no; nothing happened."""
    NOT_SENT = "not_sent"
    """It ended before anything was sent."""
    UNKNOWN = "unknown"
    """Sent, and nobody knows what became of it."""
    NOT_FOUND = "not_found"
    """It was unknown; the service shows no trace of it."""


UNDER_WAY = frozenset({State.PREPARED, State.SENT})
COUNTED = frozenset({State.PREPARED, State.SENT, State.DONE, State.UNKNOWN})
"""What counts towards limits: all that has happened or may have."""


class Consent(StrEnum):
    """Who agreed to an act, and how. The value stands in receipts."""

    ELICITATION = "a person, asked by the host"
    PAGE = "a person, on the local page"
    TERMINAL = "a person, in a terminal"
    MANDATE = "a person, by a mandate"
    HOST = "left to the host (approval: host)"
    OFF = "nobody (approval: off)"
    NOT_NEEDED = "not needed: it contacts nobody"
    NONE = "nobody"


PRICES: Mapping[str, Mapping[str, float]] = {
    "call": {"base": 1.0, "per_minute": 0.1},
    "search": {"per_query": 0.5},
    "email_send": {"per_email": 0.3},
    "booking": {"per_booking": 0.5},
    "bill_analysis": {"per_analysis": 1.0},
    "ride": {"per_request": 0.5},
    "food": {"per_order": 0.5},
    "errand": {"per_errand": 1.0},
}
"""Credits by kind of action, as the API documents them (`credits costs`)."""

LONGEST_CALL = 30
"""Minutes of a call for which credits are set aside before it is placed."""

USUAL_CALL = 3
"""Minutes of a usual call, for an estimate."""


def price(kind: str, *, minutes: int) -> float:
    """Return the documented price of an action in credits; of a call, with so many minutes."""
    rates = PRICES[kind]
    return round(sum(rate * (minutes if name == "per_minute" else 1) for name, rate in rates.items()), 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Where the API tells about something: a command that reads, and which entry of its answer is meant.

    An entry that lacks a field asked for may be meant or not: many answers are undocumented.

    Attributes:
        command: Name of the command that reads, such as `calls history`.
        given: For each of its arguments, the argument of ours whose value it takes.
        fixed: Further arguments of it.
        entries: Names under which its list may stand; none where the answer itself is the entry.
        match: For each field of the entry, dotted, with `|` between alternatives, the argument of ours it must equal
            where that was given.
        loose: Those of these fields that the service may put in its own words: another value leaves it open.
        where_shown: Those of these fields that tell nothing where an entry lacks them.
        since: Field that tells when the entry was made; an entry from before the act is not meant.
        states: For each field, the values that say that the act has happened.
        is_gone: The act has happened where no entry is as described.
        is_complete: Whether a run that happened must show there; where not, finding nothing says nothing.
    """

    command: str
    given: Mapping[str, str] = field(default_factory=dict[str, str])
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    entries: tuple[str, ...] = ()
    match: Mapping[str, str] = field(default_factory=dict[str, str])
    loose: tuple[str, ...] = ()
    where_shown: tuple[str, ...] = ()
    since: str | None = None
    states: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    is_gone: bool = False
    is_complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an identifier among the arguments stands for: who is reached by the act, and what is to be shown of it.

    Attributes:
        look: Where it is found; `match` picks the entry.
        reaches: Fields of the entry, dotted, that hold a number or an address which the act reaches.
        shows: Fields of the entry that a person should see before agreeing.
    """

    look: Look
    reaches: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """How a run is taken back.

    A value is found in `args.<name>`, what the run was given; `answer.<field>`, what it was answered; `entry.<field>`,
    where `look` finds it; `before.<field>`, what the command's subject was before the run. Fields are dotted; the first
    of several alternatives, with `|` between them, that is there counts.

    Attributes:
        command: Name of the command that does it.
        arguments: For each of its arguments, where the value is. A command that is its own undo puts back only what
            the run was given.
        until: Until when, or as long as what; a phrase after "possible".
        stops: Whether it also ends what is still under way, so that an emergency stop uses it.
        restores: Whether all is as before then; where not, it ends what has not happened yet, and the rest stays.
        look: Where the value is found if the answer has none, such as the log of actions.
        unless: For each value, those with which it is not possible, or not any more.
        otherwise: What is tried where this is not possible, or is refused.
    """

    command: str
    arguments: Mapping[str, str]
    until: str
    stops: bool = False
    restores: bool = True
    look: Look | None = None
    unless: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    otherwise: Undo | None = None
