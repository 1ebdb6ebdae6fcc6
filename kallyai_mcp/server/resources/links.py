"""Links from the answer of a tool to the resources that follow from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.server.resources.kinds import by_command, tool_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.context import ServerRequestContext

    from kallyai_mcp.engine import Result
    from kallyai_mcp.model import Command

LINKS_SINCE = "2025-06-18"
"""First version of the protocol with links in answers."""

_FOLLOWS = {
    "calls make": ("calls transcript", "call_id"),
    "ask": ("coord goal", "goal_id"),
    "coord message": ("coord goal", "goal_id"),
    "outreach create": ("outreach task", "id"),
}
"""For a command, what shows how it goes on, and the field of the answer that tells which one."""


def of(
    ctx: ServerRequestContext[Any], command: Command, result: Result, is_exposed: Callable[[str], bool]
) -> list[dict[str, Any]]:
    """Return the link of an answer, if there is one and the version of the connection has links."""
    follows = _FOLLOWS.get(command.name)
    if follows is None or ctx.protocol_version < LINKS_SINCE or not is_exposed(tool_of(follows[0])):
        return []
    kind, identifier = by_command(follows[0]), result.structured.get(follows[1])
    if kind is None or not isinstance(identifier, str) or not identifier:
        return []
    return [{"type": "resource_link", "uri": kind.uri(identifier), "name": kind.name, "mimeType": kind.mime_type}]
