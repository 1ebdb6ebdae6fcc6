"""Complete identifiers from what the caller's account lists. Nothing but identifiers leaves, and no wait is long."""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CompleteResult, Completion

from kallyai_mcp.errors import KallyError
from kallyai_mcp.server.resources.kinds import COMMAND, by_template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcp.server.context import ServerRequestContext

    from kallyai_mcp.server.people import People
    from kallyai_mcp.server.resources.kinds import Source

logger = logging.getLogger(__name__)

MOST = 100
"""Values in one answer (MCP, completion)."""

LONGEST = 2.0
"""Seconds that a completion may take; without an answer by then it is empty."""

KEPT_FOR = 15.0
"""Seconds for which a list serves further keystrokes."""

MOST_KEPT = 256
"""Lists that are kept; beyond, the oldest is forgotten."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9._~:@=+?/-]{1,200}", re.ASCII)
"""What may be offered: an identifier that holds anything else could hold words."""

Entry = tuple[str, tuple[str, ...]]
"""An identifier, and the beginnings by which it is found."""


class Completing:
    """Completes the variables of templates.

    Args:
        people: Tells whose call it is.
        tools: Names of the tools.
        is_offered: Whether a command's tool may be run by the caller.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        people: People,
        tools: Sequence[str],
        is_offered: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._people = people
        self._tools = tools
        self._is_offered = is_offered
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str, str], tuple[float, list[Entry]]] = OrderedDict()

    async def template(self, ctx: ServerRequestContext[Any], template: str, name: str, value: str) -> CompleteResult:
        """Complete the variable of a template.

        Raises:
            MCPError: There is no such template, or it has no such variable.
        """
        kind = by_template(template)
        if kind is None or (kind.command is not None and not self._is_offered(kind.command)):
            raise MCPError(INVALID_PARAMS, f"Unknown resource template: {template}")
        if name != kind.variable and not (kind.pages and name == "offset"):
            raise MCPError(INVALID_PARAMS, f"{template} has no variable {name}")
        if kind is COMMAND:
            return self._matching(value, [(tool, (tool.partition("_")[2], *tool.split("_"))) for tool in self._tools])
        if kind.source is None:
            return completed(value, [])
        return self._matching(value, await self.entries(ctx, kind.source))

    async def entries(self, ctx: ServerRequestContext[Any], source: Source) -> list[Entry]:
        """Return what the caller's account lists; nothing where it cannot be had in time."""
        if not self._is_offered(source.command):
            return []
        try:
            with anyio.move_on_after(LONGEST):
                key = (self._people.account(ctx), source.command, source.id)
                known = self._kept.get(key)
                if known is not None and known[0] > self._clock():
                    return known[1]
                found = await self._look(ctx, source)
                self._kept[key] = (self._clock() + KEPT_FOR, found)
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
                return found
        except KallyError as error:
            logger.info("%s offers no identifiers: %s", source.command, error.error_code)
        except Exception:
            logger.exception("%s could not be completed from", source.command)
        return []

    async def _look(self, ctx: ServerRequestContext[Any], source: Source) -> list[Entry]:
        from kallyai_mcp.catalog import by_words

        engine = await (await self._people.person(ctx)).engine()
        data = await engine.look(by_words()[tuple(source.command.split())], source.arguments)
        return list(_entries(source, data))

    def _matching(self, value: str, entries: list[Entry]) -> CompleteResult:
        typed = value.casefold()
        exact = [identifier for identifier, _ in entries if identifier.casefold().startswith(typed)]
        by_word = [identifier for identifier, words in entries if any(word.startswith(typed) for word in words)]
        return completed("", [*exact, *by_word])


def _entries(source: Source, data: Any) -> list[Entry]:
    fields = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    held: list[Any] = [fields[name] for name in source.entries if isinstance(fields.get(name), list)]
    listed = cast("Any", held[0] if held else data)
    found: list[Entry] = []
    for entry in cast("list[Any]", listed if isinstance(listed, list) else []):
        if not isinstance(entry, dict):
            continue
        facts = cast("dict[str, Any]", entry)
        identifier = next((facts[name] for name in source.id.split("|") if facts.get(name)), None)
        if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
            continue
        texts = [facts[name].casefold() for name in source.words if isinstance(facts.get(name), str)]
        words = (part for text in texts for part in (text, *text.split()))
        found.append((identifier, tuple(words)))
    return found


def completed(value: str, offered: Sequence[str]) -> CompleteResult:
    """Return those of the values offered that begin as typed, each once and no more than the protocol allows."""
    typed = value.casefold()
    fitting = [one for one in dict.fromkeys(offered) if one.casefold().startswith(typed)]
    return CompleteResult(
        completion=Completion(values=fitting[:MOST], total=len(fitting), has_more=len(fitting) > MOST)
    )
