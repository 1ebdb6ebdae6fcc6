"""How a run is taken back: the command that does it, with its arguments. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kallyai_mcp.model.looking import text, value_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kallyai_mcp.model.acts import Undo
    from kallyai_mcp.model.command import Command


@dataclass(frozen=True, slots=True)
class Way:
    """One way to take a run back.

    Attributes:
        undo: Its declaration.
        tool: Name of the tool.
        arguments: Its arguments; None where one of them is not known.
        restores: Whether all is as it was before; otherwise it ends what has not happened yet.
    """

    undo: Undo
    tool: str
    arguments: dict[str, Any] | None
    restores: bool


def ways(
    command: Command,
    args: Mapping[str, Any],
    answer: Mapping[str, Any],
    entry: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
) -> tuple[Way, ...]:
    """Return the ways that are open, in the order in which they are tried; none where the run stays.

    Args:
        command: What was run.
        args: What it was given.
        answer: What it was answered, or what was found of it afterwards.
        entry: What the undo's own look has found.
        before: What the command's subject was before the run.
    """
    known = {"args": args, "answer": answer, "entry": entry or {}, "before": before or {}}
    found: list[Way] = []
    was_nothing = False
    for undo in chain(command.undo):
        if _is_excluded(undo, known):
            continue
        if before is not None and _puts_nothing_back(command, undo, args, known):
            was_nothing = True  # so that ending what there is now leaves all as it was
            continue
        arguments = _arguments(command, undo, args, known)
        found.append(Way(undo, tool_of(undo.command), arguments, undo.restores or was_nothing))
    return tuple(found)


def undo_calls(
    command: Command,
    args: Mapping[str, Any],
    answer: Mapping[str, Any],
    entry: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return tools and arguments that take a run back; each is tried where the one before it is refused."""
    found = ways(command, args, answer, entry, before)
    return tuple((way.tool, way.arguments) for way in found if way.arguments is not None)


def undo_call(
    command: Command,
    args: Mapping[str, Any],
    answer: Mapping[str, Any],
    entry: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
) -> tuple[str, dict[str, Any]] | None:
    """Return the tool and the arguments that take a run back, or None where none is known."""
    return next(iter(undo_calls(command, args, answer, entry, before)), None)


def chain(undo: Undo | None) -> Iterator[Undo]:
    """Yield an undo and what is tried otherwise."""
    while undo is not None:
        yield undo
        undo = undo.otherwise


def tool_of(name: str) -> str:
    """Return the tool of a command's name."""
    return f"kallyai_{name.replace(' ', '_').replace('-', '_')}"


def value_of(source: str, known: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the first alternative of a source such as `answer.id|entry.id` that holds something, or None."""
    for alternative in source.split("|"):
        part, _, field = alternative.partition(".")
        if (value := value_at(known[part], field)) is not None:
            return value
    return None


def _arguments(
    command: Command, undo: Undo, args: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any] | None:
    wanted = {name: value_of(source, known) for name, source in _sources(command, undo, args)}
    return None if None in wanted.values() else wanted


def _puts_nothing_back(
    command: Command, undo: Undo, args: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Whether an undo is to restore a value where there was none before the run."""
    return any(
        source.startswith("before.") and value_of(source, known) is None for _, source in _sources(command, undo, args)
    )


def _sources(command: Command, undo: Undo, args: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the arguments of an undo, each with its source; where a run undoes its like, only those it was given."""
    puts_back = undo.command == command.name
    return ((name, source) for name, source in undo.arguments.items() if not puts_back or args.get(name) is not None)


def _is_excluded(undo: Undo, known: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(text(value_of(source, known)) in values for source, values in undo.unless.items())
