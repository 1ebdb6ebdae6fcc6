"""What a caller is told of tools: one that the operator hides from them is not named; what to do instead is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.exposure.wording import NAME, in_words
from kallyai_mcp.model.undoing import tool_of, ways

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.model import Command
    from kallyai_mcp.model.records import Act
    from kallyai_mcp.model.undoing import Way

    Allows = Callable[[str], bool]

ELSEWHERE = "in a terminal with kallyai-mcp, or in the KallyAI app"
"""Where the user does what no tool of the caller does."""


def everything(_: str) -> bool:
    """Allow every tool: a person at a terminal has them all."""
    return True


def named(tool: str, allows: Allows) -> str:
    """Return the name of a tool; of a hidden one, words that nobody takes for a tool."""
    return tool if allows(tool) else in_words(tool)


def worded(text: str, allows: Allows) -> str:
    """Return a text with the names of hidden tools in words."""
    return NAME.sub(lambda found: named(found[0], allows), text)


def undo_of(command: Command, act: Act, allows: Allows) -> dict[str, Any]:
    """Return how an act that was done can be reversed and until when, or that it cannot be."""
    open_ways = ways(command, act.draft.arguments, act.answer or {}, None, act.draft.before)
    if not open_ways:
        return {"possible": False}
    known = [way for way in open_ways if allows(way.tool)]
    if not known:
        return {"possible": True, "where": f"by the user, {ELSEWHERE}"} | _bounds(open_ways[0], allows)
    first, *others = [_shown_way(way, allows) for way in known]
    return {"possible": True, **first} | ({"otherwise": others} if others else {})


def _bounds(way: Way, allows: Allows) -> dict[str, Any]:
    return {"until": worded(way.undo.until, allows)} | (
        {} if way.restores else {"only": "ends what has not happened yet"}
    )


def _shown_way(way: Way, allows: Allows) -> dict[str, Any]:
    facts: dict[str, Any] = {"tool": way.tool} | _bounds(way, allows)
    if way.arguments is not None:
        return facts | {"arguments": way.arguments}
    find_with = None if way.undo.look is None else tool_of(way.undo.look.command)
    return facts if find_with is None or not allows(find_with) else facts | {"find_with": find_with}


def undo_sentence(
    command: Command,
    allows: Allows,
    args: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
) -> str:
    """Return, before a run, whether it could be reversed, how and until when.

    Args:
        command: What would be run.
        allows: Whether the caller may run a tool.
        args: With which arguments.
        before: What it is about, as it is now, where that was read.
    """
    way = next(iter(ways(command, args or {}, {}, None, before)), None)
    if way is None:
        return "It cannot be undone."
    until = worded(way.undo.until, allows)
    how = f"with {way.tool} {until}" if allows(way.tool) else f"{until}, {ELSEWHERE}"
    return f"It can be {'undone' if way.restores else 'broken off'} {how}."


def undone_sentence(facts: dict[str, Any]) -> str:
    """Return what `undo_of` says, in a sentence."""
    if not facts["possible"]:
        return "It cannot be undone."
    how = f"with {facts['tool']} {facts['until']}" if "tool" in facts else f"{facts['until']}, {facts['where']}"
    return f"It can be {'broken off' if 'only' in facts else 'undone'} {how}."


def found_out(command: Command | None, act: str, allows: Allows) -> str:
    """Return who can find out, and where, what became of an act whose answer was lost, and what is not to be done."""
    look = None if command is None else command.trace or (command.subject and command.subject.look)
    places = ["the user in the KallyAI app", "whoever it was meant for"]
    if look and allows(tool_of(look.command)):
        places.insert(0, f"you with {tool_of(look.command)}, if the service shows it")
    return (
        f"Who can tell whether it was done: {'; '.join(places)}. Do not run it again by yourself: it may have been "
        f"done. If the user knows that it was not, or wants another one, run it with repeat_of set to {act}."
    )
