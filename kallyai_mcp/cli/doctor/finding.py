"""What a check is, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

OF_PROGRAM = "This program"
WITHIN = 12.0
"""Seconds that a check may take unless it says otherwise."""


class Status(Enum):
    """How it stands. A note is worth reading, and nothing is broken."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result.

    Attributes:
        check: Which check; these names stay as they are.
        host: Which host it is about, by name; None for the program itself.
        status: How it stands.
        message: What was found, without a secret in it.
        remedy: What to do; empty where nothing is to be done.
        facts: The same for programs.
    """

    check: str
    host: str | None
    status: Status
    message: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, Any]:
        """Return it as `--json` shows it."""
        return {
            "check": self.check,
            "host": self.host,
            "status": self.status.value,
            "message": self.message,
            "remedy": self.remedy or None,
            "facts": dict(self.facts),
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        name: As in its findings.
        host: As in its findings.
        title: What is looked at, in words.
        run: Looks.
        within: Seconds after which it is given up.
    """

    name: str
    host: str | None
    title: str
    run: Callable[[], Awaitable[list[Finding]]]
    within: float = WITHIN
