"""The arguments that every recorded command takes besides its own: about the run, not part of the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kallyai_mcp.errors import InvalidArguments, Problem
from kallyai_mcp.model.schema import RUN_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.model import Command


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is wanted.

    Attributes:
        dry_run: Check it and show its request; send nothing.
        repeat_of: The earlier, equal act that is wanted once more.
    """

    dry_run: bool = False
    repeat_of: str | None = None


def take_options(command: Command, arguments: Mapping[str, Any]) -> tuple[Options, Mapping[str, Any]]:
    """Part what a caller gave into options and arguments of the command.

    Raises:
        InvalidArguments: An option is not of its kind.
    """
    if not command.is_recorded or not RUN_ARGUMENTS.keys() & arguments.keys():
        return Options(), arguments
    dry_run, repeat_of = arguments.get("dry_run", False), arguments.get("repeat_of")
    problems: list[Problem] = []
    if not isinstance(dry_run, bool):
        problems.append(Problem("dry_run", "must be true or false."))
    if "repeat_of" in arguments and (not isinstance(repeat_of, str) or not repeat_of or not repeat_of.isascii()):
        problems.append(Problem("repeat_of", "must be the identifier of an earlier act."))
    if problems:
        raise InvalidArguments(command.tool, problems)
    rest = {name: value for name, value in arguments.items() if name not in RUN_ARGUMENTS}
    return Options(dry_run is True, repeat_of), rest
