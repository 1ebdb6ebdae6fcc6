"""Which scope a tool needs: one for what only reads, another for all else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.model import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kallyai_mcp.model import Command

READS_HERE = frozenset({"acts", "auth-status", "login", "logout", "more", "stop", "wait"})
"""Commands of this machine that any caller may run: a sign-in is the person's own, stopping is never withheld, and
going on with an answer only reads."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """The two scopes.

    Attributes:
        read: Needed for tools that only read.
        act: Needed for all others. It allows reading, too: a broader scope implies the narrower one.
    """

    read: str
    act: str

    def may_enter(self, granted: Iterable[str]) -> bool:
        """Whether a token with these scopes is good for anything here."""
        return not {self.read, self.act}.isdisjoint(granted)

    def allow(self, granted: Iterable[str], command: Command) -> bool:
        """Whether a token with these scopes is good for a command."""
        return self.act in granted or (self.read in granted and only_reads(command))

    def needed(self, tool: str | None) -> list[str]:
        """Return the scopes to ask for at first: to read, and to act where that is what is wanted of this tool."""
        commands = [] if tool is None else _called({"method": "tools/call", "params": {"name": tool}})
        return [self.read] if all(map(only_reads, commands)) else [self.read, self.act]

    def missing(self, granted: Iterable[str], body: bytes) -> bool:
        """Whether a request calls a tool for which these scopes are too few.

        A request that cannot be read is none: whoever reads it next refuses it.
        """
        if self.act in granted:
            return False
        try:
            message = json.loads(body.decode("utf-8", errors="replace"))  # whoever reads it next may mend it likewise
        except (ValueError, RecursionError):
            return False
        messages = cast("list[object]", message) if isinstance(message, list) else [message]
        return any(not self.allow(granted, command) for one in messages for command in _called(one))


def only_reads(command: Command) -> bool:
    """Whether a command changes nothing, costs nothing and reaches nobody."""
    if command.method is None:
        return command.name in READS_HERE
    return command.effect is Effect.READ and not command.is_recorded


def _called(message: object) -> list[Command]:
    """Return the commands that a message names: the tool, and the tool that a tool is to run, however it is written."""
    if not isinstance(message, dict):
        return []
    fields = cast("Mapping[str, Any]", message)
    params = fields.get("params")
    if fields.get("method") != "tools/call" or not isinstance(params, dict):
        return []
    from kallyai_mcp.catalog import by_tool
    from kallyai_mcp.exposure import tool_name

    given = cast("Mapping[str, Any]", params)
    arguments = given.get("arguments")
    inner = cast("Mapping[str, Any]", arguments).get("tool") if isinstance(arguments, dict) else None
    names = [name for name in (given.get("name"), inner) if isinstance(name, str)]
    if isinstance(inner, str):
        names.append(tool_name(inner))
    return [command for name in names if (command := by_tool().get(name)) is not None]
