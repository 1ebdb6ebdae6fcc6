"""Mandates: what a person agrees to once for a bounded errand, and whether an act falls under it.

How many acts and credits are left is counted where acts are recorded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from kallyai_mcp.errors import InvalidArguments, Problem
from kallyai_mcp.model.records import Question
from kallyai_mcp.policy import numbers
from kallyai_mcp.policy.mails import address_in, cautions, domain_of
from kallyai_mcp.policy.spelling import number_in, plain
from kallyai_mcp.visible import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kallyai_mcp.model.records import Mandate
    from kallyai_mcp.policy.destinations import Destination

TOOL = "kallyai_mandate"
LONGEST = 7 * 86_400.0
"""Seconds that a mandate may last."""

MOST_ACTS = 100
MOST_CREDITS = 10_000.0

_BEGINNING = re.compile(r"\+[1-9][0-9]{0,14}\*")
_DOMAIN = re.compile(r"@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, slots=True)
class Terms:
    """Bounds that were proposed, checked; see `Mandate`."""

    purpose: str
    tools: tuple[str, ...]
    recipients: tuple[str, ...]
    acts: int
    credits: float
    until: float


def covers(mandate: Mandate, tool: str, destinations: Sequence[Destination], now: float) -> str | None:
    """Return why a run does not fall under a mandate, or None where it does.

    Args:
        mandate: The mandate.
        tool: Name of the tool.
        destinations: Whom the run reaches.
        now: Seconds since the epoch.
    """
    if mandate.revoked is not None:
        return "The mandate was taken back."
    if now >= mandate.until:
        return "The mandate has ended."
    if tool not in mandate.tools:
        return f"The mandate does not name {tool}."
    contacts = [spot for spot in destinations if spot.role == "contact"]
    if mandate.recipients and not contacts:
        return "The mandate names whom it is for, and nobody can tell whom this run reaches."
    if mandate.recipients and not all(_is_meant(mandate, spot) for spot in contacts):
        return "The mandate does not name everybody whom this run reaches."
    return None


def names_all(mandate: Mandate, destinations: Sequence[Destination]) -> bool:
    """Whether a mandate names everybody whom a run reaches or has called back, each in full, and there is somebody."""
    reached = [spot.value for spot in destinations if spot.role != "mentioned"]
    return bool(reached) and all(value in mandate.recipients for value in reached)


def terms(
    *,
    purpose: str,
    tools: Sequence[str],
    recipients: Sequence[str],
    acts: int,
    credits: float,  # noqa: A002 - what they are
    until: float,
    now: float,
    known: Callable[[str], bool],
) -> Terms:
    """Return proposed bounds in the form in which they are kept.

    Args:
        purpose: What it is for.
        tools: Names of tools.
        recipients: Numbers, beginnings of numbers with a `*`, mail addresses, or `@` and a domain; none for anyone.
        acts: Most acts.
        credits: Most credits in all.
        until: When it ends, in seconds since the epoch.
        now: The present, likewise.
        known: Whether a tool is one that acts.

    Raises:
        InvalidArguments: One entry for each bound that is none.
    """
    problems: list[Problem] = []
    if not shown(purpose).strip():
        problems.append(Problem("purpose", "must say what the mandate is for."))
    unknown = [tool for tool in tools if not known(tool)]
    if unknown or not tools:
        # In words: where one that exists is hidden, it must read as one that does not.
        words = (" ".join(shown(tool).removeprefix("kallyai_").replace("_", " ").split()) for tool in unknown)
        named = ", ".join(words) or "none"
        problems.append(Problem("tools", f"must be names of tools that act, out of tools/list; given: {named}."))
    found = [(given, _recipient(given)) for given in recipients]
    for _, reason in (result for _, result in found if result[0] is None):
        problems.append(Problem("recipients", reason, "+12025550143"))
    if not 1 <= acts <= MOST_ACTS:
        problems.append(Problem("acts", f"must be a whole number from 1 to {MOST_ACTS}."))
    if not 0 <= credits <= MOST_CREDITS:
        problems.append(Problem("credits", f"must be a number from 0 to {MOST_CREDITS:g}."))
    if not now < until <= now + LONGEST:
        problems.append(Problem("until", "must be in the future, and at most 7 days ahead."))
    if problems:
        raise InvalidArguments(TOOL, problems)
    return Terms(
        purpose=" ".join(shown(purpose).split()),
        tools=tuple(dict.fromkeys(tools)),
        recipients=tuple(dict.fromkeys(value for _, (value, _) in found if value is not None)),
        acts=acts,
        credits=float(credits),
        until=float(until),
    )


def mandate_question(bounds: Terms, *, is_tainted: bool, zone: str | None = None) -> Question:
    """Put into words what a person is to agree to.

    Args:
        bounds: The bounds.
        is_tainted: Whether strangers' words were read lately.
        zone: IANA zone in which the end is shown; UTC if not given.
    """
    until = datetime.fromtimestamp(bounds.until, UTC if zone is None else ZoneInfo(zone))
    warnings: list[str] = []
    if is_tainted:
        warnings.append(
            "Words of strangers were read lately and may be behind it. A mandate agreed to now never counts while such "
            "words have just been read."
        )
    if not bounds.recipients:
        warnings.append("It names nobody: anyone may be reached.")
    warnings += [caution for value in bounds.recipients if not value.startswith("@") for caution in cautions(value)]
    return Question(
        title="Agree in advance to acts within bounds",
        tool=TOOL,
        facts=(
            ("For, in the words of whoever asks", bounds.purpose),
            ("What may be run", "\n".join(bounds.tools)),
            ("Who may be reached", "\n".join(map(_in_words, bounds.recipients)) or "anyone"),
            ("Most acts", str(bounds.acts)),
            ("Most credits in all", f"{bounds.credits:g}"),
            ("Until", f"{until:%Y-%m-%d %H:%M} {until.tzname()}"),
            ("Can be undone", "It can be taken back at any time; what was done under it stays."),
        ),
        warnings=tuple(warnings),
    )


def _is_meant(mandate: Mandate, spot: Destination) -> bool:
    for recipient in mandate.recipients:
        if recipient.endswith("*"):
            if spot.kind == "phone" and spot.value.startswith(recipient[:-1]):
                return True
        elif _DOMAIN.fullmatch(recipient):
            if spot.kind == "mail" and domain_of(spot.value) == recipient[1:]:
                return True
        elif spot.value == recipient:
            return True
    return False


def _recipient(text: str) -> tuple[str | None, str]:
    """Return a recipient as it is kept, or why it is none."""
    flat = plain(text).strip()
    if _BEGINNING.fullmatch(flat):
        return flat, ""
    if number := number_in(flat):
        fault = numbers.fault(number)
        return (number, "") if fault is None else (None, f"must be numbers that may be contacted; one {fault.what}.")
    if flat.startswith("@") and (address := address_in(f"anyone{flat}")):
        return f"@{domain_of(address)}", ""
    if address := address_in(text):
        return address, ""
    return None, "must be numbers with + and the country code, beginnings of them with a *, mail addresses or @domains."


def _in_words(recipient: str) -> str:
    if recipient.endswith("*"):
        return f"every number that begins with {recipient[:-1]}"
    if recipient.startswith("@"):
        return f"every address at {recipient[1:]}"
    return numbers.shown(recipient) if recipient.startswith("+") else recipient
