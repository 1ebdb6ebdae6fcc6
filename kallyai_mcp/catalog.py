"""Every command there is: lookup by tool name and by the words typed in a terminal."""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING

from kallyai_mcp.commands import DOMAINS
from kallyai_mcp.errors import UnknownCommand

if TYPE_CHECKING:
    from kallyai_mcp.model import Command, Domain

__all__ = ["DOMAINS", "all_commands", "by_tool", "by_words", "domain_of", "find"]


@cache
def all_commands() -> tuple[Command, ...]:
    """Return every command, in the order of the declarations."""
    return tuple(command for domain in DOMAINS for command in domain.commands)


@cache
def by_tool() -> dict[str, Command]:
    """Return the commands by the names of their tools."""
    return {command.tool: command for command in all_commands()}


@cache
def by_words() -> dict[tuple[str, ...], Command]:
    """Return the commands by what is typed."""
    return {command.words: command for command in all_commands()}


def find(tool: str) -> Command:
    """Return the command behind a tool.

    Raises:
        UnknownCommand: There is none of this name.
    """
    try:
        return by_tool()[tool]
    except KeyError:
        raise UnknownCommand(tool) from None


def domain_of(command: Command) -> Domain:
    """Return the domain that a command belongs to."""
    return next(domain for domain in DOMAINS if domain.name == command.domain)


def similar(words: str) -> list[str]:
    """Return the names of commands that resemble what was typed."""
    return difflib.get_close_matches(words, [command.name for command in all_commands()], n=3)
