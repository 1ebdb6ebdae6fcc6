"""The content of resources as Markdown. What others wrote stands between two marks, and cannot pass for our lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.engine.strangers import ORIGIN, fenced, told, told_withheld, withheld_of
from kallyai_mcp.server.resources.kinds import OFFSET, SCHEME

if TYPE_CHECKING:
    from kallyai_mcp.engine import Result
    from kallyai_mcp.model import Command
    from kallyai_mcp.server.resources.kinds import Address

_TURNS = "entries"
"""Field of a transcript that holds its turns."""


def of_strangers(command: Command, address: Address, result: Result) -> str:
    """Return all of an answer with others' words, readable for people and models."""
    data = result.structured if result.body is None else result.body.data
    facts = {key: value for key, value in data.items() if key != ORIGIN}
    ours = [told(command), told_withheld(withheld_of(result.structured)), *_ways_on(address, facts)]
    body = _turns(facts) if command.name.endswith("transcript") else None
    return f"{' '.join(filter(None, ours))}\n{fenced(body or _outline(facts) or '(nothing)')}"


def of_tools(tools: list[dict[str, Any]], domains: list[tuple[str, str, list[str]]]) -> str:
    """Return the catalogue of the tools.

    Args:
        tools: Their definitions.
        domains: Of each domain its name, what it is for, and the names of its tools.
    """
    shown = {tool["name"]: tool for tool in tools}
    lines = ["# Tools of kallyai-mcp", "", f"Arguments and answers of one: {SCHEME}commands/{{tool}}."]
    for name, summary, names in domains:
        own = [shown[tool] for tool in names if tool in shown]
        if own:
            lines += ["", f"## {name}", "", summary, ""]
            lines += [f"- `{tool['name']}`: {tool['description']}" for tool in own]
    return "\n".join(lines) + "\n"


def _ways_on(address: Address, facts: dict[str, Any]) -> list[str]:
    """Say how to go on from a list: to one of its entries, and to the next page."""
    from kallyai_mcp.server.resources.kinds import KINDS

    kind = address.kind
    if kind.variable is not None:
        return []
    lines = [f"One of them: {one.template}." for one in KINDS if one.source and one.path.startswith(f"{kind.path}/{{")]
    lists = [cast("list[Any]", value) for value in facts.values() if isinstance(value, list)]
    if kind.pages and lists and lists[0]:
        reached = address.offset + len(lists[0])
        total = facts.get("total")
        if facts.get("has_more") is True or (isinstance(total, int) and total > reached):
            lines.append(f"More: {kind.uri()}?{OFFSET}={reached}.")
    return lines[:1] + [line for line in lines if line.startswith("More")]


def _turns(facts: dict[str, Any]) -> str | None:
    """Return a transcript as a list of turns; None where it is not one."""
    entries = facts.get(_TURNS)
    if not isinstance(entries, list):
        return None
    lines: list[str] = []
    for entry in cast("list[Any]", entries):
        if not isinstance(entry, dict):
            return None
        turn = cast("dict[str, Any]", entry)
        at = f" ({turn['timestamp']})" if turn.get("timestamp") else ""
        # What goes on over several lines is moved in, so that no turn can hold the beginning of another one.
        lines.append(f"- **{_line(turn.get('speaker'))}**{_line(at)}: {_moved_in(str(turn.get('content', '')), 1)}")
    return "\n".join(lines)


def _outline(value: Any, depth: int = 0) -> str:
    """Return a JSON value as a list of Markdown, nested as it is."""
    mark = f"{'  ' * depth}- "
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return "\n".join(f"{mark}{_line(key)}:{_after(item, depth)}" for key, item in fields.items())
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return "\n".join(f"{mark}{number}.{_after(item, depth)}" for number, item in enumerate(items, 1))
    return mark + _moved_in(_plain(value), depth + 1)


def _after(item: Any, depth: int) -> str:
    if isinstance(item, dict | list):
        return f"\n{_outline(item, depth + 1)}" if item else " none"
    return f" {_moved_in(_plain(item), depth + 1)}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _line(value: Any) -> str:
    return " ".join(str(value).split("\n"))


def _moved_in(text: str, depth: int) -> str:
    return text.replace("\n", "\n" + "  " * depth + "  ")
