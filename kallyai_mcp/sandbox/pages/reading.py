"""Read the fields of documents, which may be missing or of another type, and write what they hold for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from kallyai_mcp.sandbox.clock import moment
from kallyai_mcp.sandbox.pages.render import clean

LIVE = frozenset({"queued", "ringing", "in_progress", "active", "sending"})
"""Statuses of what is going on."""

_GOOD = {"success", "completed", "sent", "approved", "confirmed"}
_WARM = {
    *("pending_approval", "waiting_for_approval", "needs_input", "scheduled"),
    *("no_answer", "busy", "missed", "voicemail"),
}
_BAD = {"failed", "rejected", "declined"}


@dataclass(frozen=True, slots=True)
class State:
    """A status in words; the tone picks the colour."""

    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class At:
    """A moment, for programs and for people."""

    iso: str
    text: str


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; nothing for anything else."""
    return [one for one in cast("list[Any]", value) if isinstance(one, dict)] if isinstance(value, list) else []


def text(document: dict[str, Any], *names: str) -> str:
    """Return the first of the fields that has something to say."""
    for name in names:
        value = document.get(name)
        if isinstance(value, list):
            value = ", ".join(str(one) for one in cast("list[Any]", value))
        if (
            isinstance(value, str | int | float)
            and not isinstance(value, bool)
            and (words := clean(str(value)).strip())
        ):
            return words
    return ""


def state(document: dict[str, Any]) -> State:
    """Return a document's status in words."""
    status = text(document, "status").lower()
    tones = ((LIVE, "live"), (_GOOD, "good"), (_WARM, "warm"), (_BAD, "bad"))
    tone = next((tone for known, tone in tones if status in known), "")
    return State(status.replace("_", " ").capitalize() or "Unknown", tone)


def at(document: dict[str, Any], *names: str) -> At | None:
    """Return the first of the fields that holds a moment."""
    written = text(document, *names)
    try:
        read = moment(written)
    except ValueError:
        return None
    return At(written, f"{read:%a} {read.day} {read:%b}, {read:%H:%M} UTC")


def number(value: Any) -> float:
    """Return a number, 0 for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def amount(credits_: float) -> str:
    """Write an amount of credits with at most two decimals."""
    return f"{round(credits_, 2):g}" if abs(credits_) < 100_000 else f"{credits_:.0f}"


def priced(credits_: float) -> str:
    """Write an amount with its unit."""
    return f"{amount(credits_)} {'credit' if amount(credits_) == '1' else 'credits'}"


def duration(seconds: float) -> str:
    """Write a length of time."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    return " ".join([f"{minutes} min"] * (minutes > 0) + [f"{rest} s"] * (rest > 0 or not minutes))
