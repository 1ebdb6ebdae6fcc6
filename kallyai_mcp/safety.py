"""Settings that bound what an agent may do: who agrees, where it may go, how much it may spend.

They are read once from flags and environment, as all settings are: no tool can change one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import time
from typing import TYPE_CHECKING

from kallyai_mcp import readers
from kallyai_mcp.setting import Setting

if TYPE_CHECKING:
    from collections.abc import Callable

APPROVALS = ("ask", "host", "off")


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of a day, in the local time of whoever is contacted. It may go past midnight."""

    start: time
    end: time

    def __str__(self) -> str:
        """Write it as it is given."""
        return "off" if self == ALL_DAY else f"{self.start:%H:%M}-{self.end:%H:%M}"

    def __contains__(self, moment: time) -> bool:
        """Whether a local time lies within; the end does not."""
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


ALL_DAY = Hours(time(0), time(0))
"""Contains every time of day."""

_TIME = r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9]"
_SPAN = re.compile(rf"(?P<start>{_TIME})\s*-\s*(?P<end>{_TIME})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """What was set. See `SAFETY` for the meaning of each; amounts are in credits."""

    approval: str = "ask"
    max_credits_per_act: float = 50.0
    max_credits_per_hour: float = 200.0
    max_credits_per_day: float = 500.0
    max_calls_per_hour: int = 30
    max_new_recipients_per_day: int = 40
    max_acts_in_flight: int = 16
    allow_numbers: tuple[str, ...] = ()
    deny_numbers: tuple[str, ...] = ()
    allow_countries: tuple[str, ...] = ()
    deny_countries: tuple[str, ...] = ()
    allow_mail_domains: tuple[str, ...] = ()
    deny_mail_domains: tuple[str, ...] = ()
    contact_hours: Hours = Hours(time(8), time(21))
    lockdown: bool = False
    dry_run: bool = False


_DEFAULTS = Safety()


def _setting(name: str, help: str, read: Callable[[str], object], default: str | None = None) -> Setting:  # noqa: A002 - the attribute's name
    shown = getattr(_DEFAULTS, name)
    if default is None:
        default = "" if shown in ((), False) else f"{shown:g}" if isinstance(shown, float) else str(shown)
    return Setting(name, f"KALLYAI_{name.upper()}", help, read, f"--{name.replace('_', '-')}", default)


def _hours(text: str) -> Hours:
    if text.lower() in {"off", "always"}:
        return ALL_DAY
    found = _SPAN.fullmatch(text)
    if found is None or found["start"].zfill(5) == found["end"].zfill(5):
        raise ValueError("must be two different times with a dash, such as 8:00-21:00, or off")
    return Hours(time.fromisoformat(found["start"].zfill(5)), time.fromisoformat(found["end"].zfill(5)))


SAFETY = (
    _setting(
        "approval",
        "Who agrees to what contacts people, spends, diverts or cannot be undone: ask (a person, through this server), "
        "host (the host's own prompt is trusted), off (nobody).",
        readers.one_of(*APPROVALS),
    ),
    _setting("max_credits_per_act", "Most credits that one act may cost.", readers.amount),
    _setting("max_credits_per_hour", "Most credits that all acts of an hour may cost.", readers.amount),
    _setting("max_credits_per_day", "Most credits that all acts of 24 hours may cost.", readers.amount),
    _setting("max_calls_per_hour", "Most phone calls that may be placed in an hour.", readers.count),
    _setting("max_new_recipients_per_day", "Most people contacted for the first time within 24 hours.", readers.count),
    _setting("max_acts_in_flight", "Most acts that may be under way at once.", readers.count),
    _setting(
        "allow_numbers",
        "Only these phone numbers may be contacted, comma-separated; a * at the end stands for any digits.",
        readers.numbers,
    ),
    _setting("deny_numbers", "These phone numbers are never contacted, in the same form.", readers.numbers),
    _setting(
        "allow_countries",
        "Only numbers of these countries may be contacted, by two letters, such as US,ES.",
        readers.countries,
    ),
    _setting("deny_countries", "Numbers of these countries are never contacted.", readers.countries),
    _setting(
        "allow_mail_domains",
        "Only mail addresses of these domains and those below them may be written to.",
        readers.domains,
    ),
    _setting("deny_mail_domains", "Mail addresses of these domains are never written to.", readers.domains),
    _setting("contact_hours", "When people may be phoned, in their own time zone; off for any time.", _hours),
    _setting("lockdown", "Withhold what people wrote or said who are not in the contacts.", readers.switch, "off"),
    _setting("dry_run", "Check every act and show its request, and send none.", readers.switch, "off"),
)
"""The rows of the table."""

assert {setting.name for setting in SAFETY} == {field.name for field in fields(Safety)}  # noqa: S101 - one table
