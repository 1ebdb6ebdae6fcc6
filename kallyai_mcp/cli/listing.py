"""The tools that are served, as a table for people or as names."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import TYPE_CHECKING, Any

from kallyai_mcp.catalog import all_commands, by_tool, domain_of
from kallyai_mcp.cli.output import console, emit
from kallyai_mcp.cli.text import visible
from kallyai_mcp.model import Effect

if TYPE_CHECKING:
    from kallyai_mcp.model import Command

_EFFECTS = {Effect.READ: "reads", Effect.WRITE: "changes", Effect.DESTROY: "for good"}
_NARROW = 100
_LEGEND = "'for good' cannot be undone; 'diverts' changes where calls or mail go, or as whom the user appears."


def effects_of(command: Command) -> list[str]:
    """Return what a run does to the world, in a few words."""
    facts = {
        "contacts people": command.contacts_people,
        "costs credits": command.costs_credits,
        "costs money": command.costs_money,
        "diverts": command.diverts,
    }
    return [_EFFECTS[command.effect], *(words for words, holds in facts.items() if holds)]


def print_names(tools: list[dict[str, Any]]) -> None:
    """Print the names, one a line."""
    sys.stdout.write("".join(f"{tool['name']}\n" for tool in tools))


def found_tools(tools: list[dict[str, Any]], words: str) -> list[dict[str, Any]]:
    """Return those that do what somebody wants, the likeliest first."""
    from kallyai_mcp.finder import Finder

    served = {tool["name"]: tool for tool in tools}
    commands = [command for command in all_commands() if command.tool in served]
    return [served[found.command.tool] for found in Finder(commands).find(words)]


def print_found(tools: list[dict[str, Any]]) -> None:
    """Print names and descriptions in their order."""
    from rich.table import Table
    from rich.text import Text

    if not tools:
        emit(Text("No tool was found for these words."), sys.stderr)
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for tool in tools:
        table.add_row(Text(tool["name"]), Text(visible(str(tool["description"]).partition(". ")[0].rstrip(".") + ".")))
    emit(table, sys.stdout)


def print_tools(tools: list[dict[str, Any]]) -> None:
    """Print name, title and effects of every tool, by domain."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    served = {tool["name"]: tool for tool in tools}
    commands = [command for command in all_commands() if command.tool in served]
    screen = console(sys.stdout)
    titles = max((len(command.title) for command in commands), default=0)
    names = max((len(name) for name in served), default=0)
    for _, group in groupby(commands, key=lambda command: command.domain):
        members = list(group)
        domain = domain_of(members[0])
        table = Table(
            box=box.SIMPLE_HEAD, show_header=False, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, expand=False
        )
        table.add_column(min_width=names, no_wrap=True)
        table.add_column(min_width=min(titles, 20 if screen.width < _NARROW else 40), overflow="fold")
        table.add_column(style="dim", overflow="fold")
        for command in members:
            title = visible(str(served[command.tool].get("title", command.title)))
            table.add_row(Text(command.tool), Text(title), Text(", ".join(effects_of(command))))
        emit(Group(Text.assemble((domain.name, "bold"), f"  {domain.summary}"), table, Text()), sys.stdout)
    for name in served.keys() - by_tool().keys():
        emit(Text(visible(name)), sys.stdout)
    emit(Text(f"{len(served)} tools. {_LEGEND}"), sys.stdout)
