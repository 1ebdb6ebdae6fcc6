"""Frames: which meanings, together, show that a command is wanted.

`cancel reservation -plan` says: a word that means to cancel and one that means a reservation, and none that means a
plan. Frames know no language, so one serves requests in all of them, worded in ways that nobody foresaw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOUBT = 0.3
"""What is left of a frame's worth for each meaning that speaks against it."""

_WORTH = (0.0, 1.0, 1.2, 1.2, 1.125)
"""By the number of meanings wanted, how much their rarity counts: several together say more than their sum."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a command.

    Attributes:
        command: The command's name.
        wanted: Meanings that a request must have.
        unwanted: Meanings that speak against the command.
    """

    command: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]

    @classmethod
    def of(cls, written: str) -> Frame:
        """Return the frame written as a command, a colon, and meanings; those unwanted with a `-` before them."""
        command, _, meanings = written.partition(": ")
        names = meanings.split()
        return cls(
            command,
            tuple(name for name in names if not name.startswith("-")),
            tuple(name[1:] for name in names if name.startswith("-")),
        )

    def worth(self, rarity: Mapping[str, float]) -> float:
        """Return how much the frame says for its command, 0 if it does not fit.

        Args:
            rarity: The meanings of a request, and what each says.
        """
        if not all(name in rarity for name in self.wanted):
            return 0.0
        against = sum(name in rarity for name in self.unwanted)
        return sum(rarity[name] for name in self.wanted) * _WORTH[min(len(self.wanted), 4)] * _DOUBT**against
