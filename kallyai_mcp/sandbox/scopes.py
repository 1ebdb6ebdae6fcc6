"""The scopes of an access token, and which one a command asks for.

The facts of the API name the scopes and what each is for; they name none for inbound calls, phone numbers, channels,
outreach, referrals, notifications and plan changes, so there any valid token will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallyai_mcp.model import Effect

if TYPE_CHECKING:
    from kallyai_mcp.model import Command

SCOPES = {
    "calls:read": "See your calls",
    "calls:write": "Place calls and steer them",
    "coordination:read": "See your goals and conversations",
    "coordination:write": "Talk to the coordinator and open goals",
    "actions:read": "See what was done for you",
    "actions:write": "Keep your calendar, book, and run errands",
    "messages:read": "See your inbox",
    "messages:write": "Mark messages as read",
    "search:read": "Search for you",
    "email:read": "See your mail",
    "email:write": "Send mail and manage mail accounts",
    "credits:read": "See your credits",
    "budget:read": "See budgets",
    "budget:write": "Approve budgets",
    "transcripts:read": "Read transcripts of calls",
    "recordings:read": "Hear recordings of calls",
    "subscription:read": "See your subscription",
    "billing:manage": "Open the billing page",
}
"""Every scope, and what a person is told when asked to grant it."""

ALL_SCOPES = tuple(SCOPES)

_BY_COMMAND = {
    "calls transcript": "transcripts:read",
    "calls recording": "recordings:read",
    "subscription status": "subscription:read",
}
_BY_PREFIX = (
    ("ask", "coordination"),
    ("coord", "coordination"),
    ("actions email", "email"),
    ("actions", "actions"),
    ("calls", "calls"),
    ("messages", "messages"),
    ("search", "search"),
    ("email", "email"),
    ("credits", "credits"),
    ("budget", "budget"),
)


def needed_scope(command: Command) -> str | None:
    """Return the scope that a token must have for a command; None where any token will do."""
    if command.name in _BY_COMMAND:
        return _BY_COMMAND[command.name]
    for prefix, subject in _BY_PREFIX:
        if command.words[: len(prefix.split())] == tuple(prefix.split()):
            scope = f"{subject}:{'read' if command.effect is Effect.READ else 'write'}"
            return scope if scope in SCOPES else None
    return None
