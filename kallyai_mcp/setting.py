"""One row of the table of settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kallyai_mcp import readers

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Attributes:
        name: Attribute of `Settings`.
        variable: Environment variable.
        help: What it means, for `--help` and the README.
        read: Turns text into the value; a ValueError says what is wrong with it.
        flag: Option of the command line; None where a value must not stand in a process list, or is rarely needed.
        default: What the table shows as the default.
    """

    name: str
    variable: str
    help: str
    read: Callable[[str], Any]
    flag: str | None = None
    default: str = ""

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        return self.read is readers.switch
