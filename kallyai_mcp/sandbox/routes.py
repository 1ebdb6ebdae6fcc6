"""Which command a method and a path belong to.

Paths are matched as they were sent, before percent-decoding, so that an encoded slash stays within its segment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from kallyai_mcp import catalog
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kallyai_mcp.model import Command


@dataclass(frozen=True, slots=True)
class Matched:
    """A command, and the decoded values of its path's placeholders."""

    command: Command
    values: dict[str, str]


class Routes:
    """The routes of the catalog. Of commands that share one, the first that is answered by an area serves it."""

    def __init__(self, answered: Iterable[str]) -> None:
        """Build the table; `answered` are the words of the commands that areas answer."""
        known = set(answered)
        chosen: dict[tuple[str, str], Command] = {}
        for command in catalog.all_commands():
            if command.method is None:
                continue
            route = (command.method, command.path)
            if route not in chosen or (command.name in known and chosen[route].name not in known):
                chosen[route] = command
        # A literal segment goes before a placeholder: /calls/summary is no call.
        ordered = sorted(chosen.values(), key=lambda command: len(command.path_args))
        self._table = [(_pattern(command.path), command) for command in ordered]

    def match(self, method: str, path: str) -> Matched:
        """Find the command of a request.

        Raises:
            Refusal: 404 when nothing is there, 405 when it takes other methods.
        """
        allowed: list[str] = []
        for pattern, command in self._table:
            if (found := pattern.fullmatch(path)) is None:
                continue
            if command.method == method:
                return Matched(command, {name: unquote(value) for name, value in found.groupdict().items()})
            allowed.append(str(command.method))
        if allowed:
            raise Refusal(status=405, headers={"Allow": ", ".join(dict.fromkeys(allowed))})
        raise Refusal(status=404, message="There is no such address in the API.")

    def tool_at(self, method: str, path: str) -> str | None:
        """Return the tool behind a request, or None."""
        try:
            return self.match(method, path).command.tool
        except Refusal:
            return None


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts)))
