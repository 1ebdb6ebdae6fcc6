"""Questions to a person, laid out: what would be done, what must not be missed, and every fact in its own place.

A value may hold what a stranger wrote. It stands in a column of its own, so that no line of it begins like one of ours.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kallyai_mcp.cli.text import for_terminal, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from kallyai_mcp.model.records import Approval, Question

NARROW = 60
"""Columns below which a value stands under its label."""

SHORT = 8
"""Characters of an identifier that are shown, where they tell the questions apart."""

_GAP = 2
_LONGEST_ABOUT = 200
_OURS = frozenset({"Can be undone", "What may be run"})
"""Facts in this program's own words, where a person reads what to type; all others are shown as they are."""


def asked(question: Question, width: int) -> RenderableType:
    """Return a question as something rich can print within `width` columns."""
    parts: list[RenderableType] = [Text(), head(question), Text()]
    if width < NARROW:
        for label, value in question.facts:
            parts += [Text(_line(label), style="bold"), Padding(Text(_value(label, value)), (0, 0, 0, _GAP))]
    else:
        grid = Table.grid(padding=(0, _GAP, 0, 0))
        grid.add_column(style="bold", max_width=width // 3, overflow="fold")
        grid.add_column(overflow="fold")
        for label, value in question.facts:
            grid.add_row(Text(_line(label)), Text(_value(label, value)))
        parts.append(Padding(grid, (0, 0, 0, _GAP)))
    return Group(*parts, Text())


def head(question: Question) -> RenderableType:
    """Return what would be done, and what must not be missed."""
    title = Text.assemble((_line(question.title), "bold"), f"  ({_line(command_of(question.tool))})")
    return Group(title, *(Text(f"! {_line(warning)}", style="bold red") for warning in question.warnings))


def in_short(question: Question) -> RenderableType:
    """Return what is said once more below a question that is longer than the screen."""
    first = [Text(f"{_line(label)}: {_line(value)}"[:_LONGEST_ABOUT]) for label, value in question.facts[:1]]
    return Group(head(question), *first, Text())


def command_of(tool: str) -> str:
    """Return what is typed for a tool, after `run`."""
    from kallyai_mcp.catalog import by_tool

    command = by_tool().get(tool)
    return tool if command is None else command.name


def listed(approvals: Sequence[Approval]) -> RenderableType:
    """Return open questions below one another: which, until when, what, and whom or what it is about."""
    parts: list[RenderableType] = []
    for name, approval in zip(short_ids([approval.id for approval in approvals]), approvals, strict=True):
        question = approval.question
        label, value = question.facts[0] if question.facts else ("", "")
        about = f"{_line(label)}: {_line(value)}"
        lines = [f"{_line(question.title)} ({command_of(question.tool)})", about[:_LONGEST_ABOUT]]
        lines += ["! read its warnings"] * bool(question.warnings)
        if parts:
            parts.append(Text())
        parts += [
            Text.assemble((name, "bold"), f"  open until {clock(approval.expires)}"),
            Padding(Text("\n".join(lines)), (0, 0, 0, _GAP)),
        ]
    return Group(*parts)


def facts(approval: Approval, account: str) -> dict[str, Any]:
    """Return an open question for programs."""
    question = approval.question
    return {
        "id": approval.id,
        "account": account,
        "tool": approval.tool,
        "title": question.title,
        "warnings": list(question.warnings),
        "facts": [{"label": label, "value": value} for label, value in question.facts],
        "asked_at": moment(approval.created),
        "open_until": moment(approval.expires),
    }


def short_ids(ids: Sequence[str]) -> list[str]:
    """Return the beginnings of identifiers that tell them apart."""
    length = SHORT
    while len({name[:length] for name in ids}) < len(set(ids)):
        length += 1
    return [name[:length] for name in ids]


def clock(seconds: float) -> str:
    """Return a moment of today as people tell it, and of another day with its date."""
    local = datetime.fromtimestamp(seconds).astimezone()
    is_today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def moment(seconds: float) -> str:
    """Return a moment for programs (RFC 3339)."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _value(label: str, value: str) -> str:
    return for_terminal(visible(value)) if label in _OURS else visible(value)


def _line(text: str) -> str:
    return for_terminal(" ".join(visible(text).split()))
