"""MCP Apps (extension `io.modelcontextprotocol/ui`, 2026-01-26): pages that a host shows beside the answers of tools.

A page shows and reads; it decides nothing and acts nowhere. It runs no tool but those in `READS`, whichever host it is
in, and none of them could give consent: that is asked for and taken by the server alone, through the host's own
question, its approval page or a terminal. There is no tool for pages only, since on a host that ignores visibility a
model could run it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

EXTENSION = "io.modelcontextprotocol/ui"
MIME_TYPE = "text/html;profile=mcp-app"

FLAT_KEY = "ui/resourceUri"
"""Key of earlier hosts for the page of a tool; hosts are to look for both."""


@dataclass(frozen=True, slots=True)
class App:
    """One page.

    Attributes:
        name: Its name, and that of its script.
        title: Name for people.
        description: What it shows.
        tools: Tools beside whose answers it is shown.
        reads: Tools that it may run itself; all of them only read.
    """

    name: str
    title: str
    description: str
    tools: tuple[str, ...]
    reads: tuple[str, ...]

    @property
    def uri(self) -> str:
        """Address of the page."""
        return f"ui://kallyai/{self.name}"


APPS = (
    App(
        "call",
        "Call",
        "A call as a card: state, outcome, cost, and the transcript as a conversation.",
        ("kallyai_calls_make", "kallyai_calls_info", "kallyai_calls_transcript"),
        ("kallyai_calls_info", "kallyai_calls_transcript"),
    ),
    App(
        "credits",
        "Credits",
        "What is left, and what credits were spent on, as a chart and a list.",
        ("kallyai_credits_balance", "kallyai_credits_history", "kallyai_credits_breakdown"),
        ("kallyai_credits_balance", "kallyai_credits_history", "kallyai_credits_breakdown"),
    ),
    App(
        "approvals",
        "Waiting for you",
        "Mail and questions that wait for the user; they are decided elsewhere.",
        (
            "kallyai_notifications_pending",
            "kallyai_actions_email_outbox",
            "kallyai_actions_email_send",
            "kallyai_actions_email_approve",
        ),
        ("kallyai_notifications_pending", "kallyai_actions_email_outbox"),
    ),
)


def are_shown_by(ctx: ServerRequestContext[Any]) -> bool:
    """Whether the host has declared that it shows such pages."""
    capabilities = ctx.session.client_capabilities
    declared = None if capabilities is None else (capabilities.extensions or {}).get(EXTENSION)
    kinds = None if declared is None else declared.get("mimeTypes")
    return isinstance(kinds, list | tuple) and MIME_TYPE in kinds


def with_pages(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return definitions of tools that name their pages."""
    uris = {tool: app.uri for app in APPS for tool in app.tools}
    return [
        tool
        if (uri := uris.get(tool["name"])) is None
        else tool | {"_meta": {**tool.get("_meta", {}), "ui": {"resourceUri": uri}, FLAT_KEY: uri}}
        for tool in tools
    ]
