"""Whether a person has to agree to a run, and why. Who is asked, and how, is no matter here.

| approval | nothing read lately | strangers' words were read lately |
| --- | --- | --- |
| `ask` | a person is asked, unless a mandate covers it | the same, and the mandate must name everybody |
| `host`, `off` | nobody is asked | a person is, but for words to people who are known |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kallyai_mcp.model.acts import Consent
from kallyai_mcp.policy.mandates import names_all
from kallyai_mcp.policy.trust import is_distrusted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kallyai_mcp.model import Command
    from kallyai_mcp.model.records import Mandate, Taint
    from kallyai_mcp.policy.destinations import Destination

_BY_MODE = {"host": Consent.HOST, "off": Consent.OFF}


@dataclass(frozen=True, slots=True)
class Allow:
    """The run needs no further question; `consent` says why."""

    consent: Consent


@dataclass(frozen=True, slots=True)
class Ask:
    """A person has to agree. `reasons` are sentences beyond that acts are asked for; they hold nothing personal."""

    reasons: tuple[str, ...] = ()


def decide(
    command: Command,
    *,
    mode: str,
    destinations: Sequence[Destination],
    trusted: Sequence[bool],
    distrusted: frozenset[tuple[str, str]],
    taint: Taint | None,
    mandate: Mandate | None,
) -> Allow | Ask:
    """Return whether a run may go on as it is.

    Args:
        command: What is run.
        mode: The setting `approval`.
        destinations: Whom it reaches, all of them.
        trusted: For each of them, what `is_trusted` says.
        distrusted: Kind and value of what was written down while strangers' words had just been read.
        taint: That strangers' words were read lately, if they were.
        mandate: One that covers the run, if there is one.
    """
    if not command.is_act:
        return Allow(Consent.NOT_NEEDED)
    reached = [(spot, known) for spot, known in zip(destinations, trusted, strict=True) if spot.role != "mentioned"]
    reasons = _of_taint(command, reached, taint) + _of_distrust([spot for spot, _ in reached], distrusted)
    if mandate is not None:
        if not reasons or _holds_all_the_same(mandate, command, destinations):
            return Allow(Consent.MANDATE)
        reasons += ("The mandate does not cover it now: it would have to be one that names everybody reached.",)
    if mode not in _BY_MODE or reasons:
        return Ask(reasons)
    return Allow(_BY_MODE[mode])


def _of_taint(command: Command, reached: Sequence[tuple[Destination, bool]], taint: Taint | None) -> tuple[str, ...]:
    if taint is None:
        return ()
    why: list[str] = []
    if command.diverts:
        why.append("It changes where calls or mail go, who is known, or how the user appears to others.")
    if command.delegates:
        why.append("It hands a request in free words to somebody who then acts by himself.")
    contacts = [(spot, known) for spot, known in reached if spot.role == "contact"]
    if not contacts:
        why.append("It names nobody whom it reaches.")
    elif not command.contacts_people and not _is_draft([spot for spot, _ in contacts]):
        why.append("It is no message to those whom it names.")
    if not all(known for _, known in contacts):
        why.append("It reaches somebody who is neither in the contacts nor on a list of allowed ones.")
    if not all(known for spot, known in reached if spot.role == "callback"):
        why.append("It has people call back a number that is neither in the contacts nor on a list of allowed ones.")
    if not why:
        return ()
    until = datetime.fromtimestamp(taint.until, UTC)
    return (
        f"Words of strangers were read lately ({taint.source}) and may be behind it; this counts until "
        f"{until:%H:%M} UTC.",
        *why,
    )


def _of_distrust(reached: Sequence[Destination], distrusted: frozenset[tuple[str, str]]) -> tuple[str, ...]:
    if not any(is_distrusted(spot, distrusted) for spot in reached):
        return ()
    return ("A contact that it reaches was written down just after words of strangers had been read.",)


def _is_draft(contacts: Sequence[Destination]) -> bool:
    """Whether it only writes a mail, which leaves with an act of its own."""
    return all(spot.kind == "mail" for spot in contacts)


def _holds_all_the_same(mandate: Mandate, command: Command, destinations: Sequence[Destination]) -> bool:
    return mandate.is_trusted and not command.delegates and not command.diverts and names_all(mandate, destinations)
