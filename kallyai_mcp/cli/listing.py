"""The tools that are served, as a table for people or as names."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from kallyai_mcp.catalog import all_commands, by_tool, domain_of
from kallyai_mcp.cli.output import DONE, console, emit, print_json
from kallyai_mcp.cli.text import visible
from kallyai_mcp.exposure import exposed, index
from kallyai_mcp.model import Effect

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from rich.table import Table

    from kallyai_mcp.cli.program import Program
    from kallyai_mcp.model import Command
    from kallyai_mcp.settings import Settings

_EFFECTS = {Effect.READ: "reads", Effect.WRITE: "changes", Effect.DESTROY: "for good"}
_NARROW = 105
_SURFACE, _ABOUT_SURFACE = "search", "Find, describe and run all others."
_LEGEND = (
    "The number is a tool's tokens. 'for good' cannot be undone; 'diverts' changes where calls or mail go, or as whom "
    "the user appears."
)


def effects_of(command: Command) -> list[str]:
    """Return what a run does to the world, in a few words."""
    facts = {
        "contacts people": command.contacts_people,
        "costs credits": command.costs_credits,
        "costs money": command.costs_money,
        "diverts": command.diverts,
    }
    return [_EFFECTS[command.effect], *(words for words, holds in facts.items() if holds)]


def print_what_is_exposed(parsed: Namespace, settings: Settings, program: Program, *, as_json: bool) -> int:
    """Print the tools that hosts are shown under these settings, or those found for what somebody wants.

    Raises:
        InvalidSettings: The settings name a toolset or a tool that does not exist, or leave none.
    """
    exposure = exposed(settings.tools)
    tools = program.tools(exposure)
    if parsed.find is not None:
        every = tools if not exposure.searches else program.tools(replace(exposure, listed=exposure.runnable))
        tools = found_tools(every, parsed.find)
    tokens = {tool["name"]: index()[tool["name"]].tokens for tool in tools}
    if as_json:
        counted = [{**tool, "tokens": tokens[tool["name"]]} for tool in tools]
        print_json({"tools": counted, "tokens": sum(tokens.values()), "commands": len(exposure.runnable)})
    elif parsed.names:
        print_names(tools)
    elif parsed.find is not None:
        print_found(tools)
    else:
        print_tools(tools, tokens, len(exposure.runnable))
    return DONE


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


def print_tools(tools: list[dict[str, Any]], tokens: Mapping[str, int], runnable: int) -> None:
    """Print name, title, effects and tokens of every tool, by domain.

    Args:
        tools: Their definitions.
        tokens: What each takes of a model's context.
        runnable: How many commands can be run, listed or not.
    """
    from rich.console import Group
    from rich.text import Text

    served = {tool["name"]: tool for tool in tools}
    commands = [command for command in all_commands() if command.tool in served]
    own = [name for name in served if name not in by_tool()]
    if own:
        rows = [(name, str(served[name]["title"]), "", tokens[name]) for name in own]
        emit(Group(Text.assemble((_SURFACE, "bold"), f"  {_ABOUT_SURFACE}"), _table(served, rows), Text()), sys.stdout)
    for _, group in groupby(commands, key=lambda command: command.domain):
        members = list(group)
        domain = domain_of(members[0])
        rows = [
            (one.tool, str(served[one.tool].get("title", one.title)), ", ".join(effects_of(one)), tokens[one.tool])
            for one in members
        ]
        head = Text.assemble((domain.name, "bold"), f"  {domain.summary}")
        emit(Group(head, _table(served, rows), Text()), sys.stdout)
    found = f" {runnable} commands can be found and run." if own else ""
    emit(Text(f"{len(served)} tools, {sum(tokens.values()):,} tokens.{found} {_LEGEND}"), sys.stdout)


def _table(served: Mapping[str, Any], rows: list[tuple[str, str, str, int]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    wide = console(sys.stdout).width >= _NARROW
    table = Table(
        box=box.SIMPLE_HEAD, show_header=False, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, expand=False
    )
    table.add_column(min_width=max(map(len, served)), no_wrap=True)
    table.add_column(min_width=36 if wide else 16, overflow="fold")
    table.add_column(style="dim", justify="right", min_width=4, no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    for name, title, effects, tokens in rows:
        table.add_row(Text(name), Text(visible(title)), Text(str(tokens)), Text(effects))
    return table
