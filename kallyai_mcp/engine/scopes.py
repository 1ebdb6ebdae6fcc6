"""Which scopes the commands need: what a registered client asks for, and nothing more.

Source: the facts of the API ("scopes"), which name none for incoming calls, phone numbers, channels, outreach,
referrals, notifications and changes of the plan. Names have a colon, as in the reference's table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallyai_mcp.model import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kallyai_mcp.model import Command

READING = {
    "calls transcript": "transcripts:read",
    "calls recording": "recordings:read",
    "subscription status": "subscription:read",
}
"""Commands that have a scope of their own."""

SUBJECTS = {
    "ask": "coordination",
    "coord": "coordination",
    "calls": "calls",
    "actions": "actions",
    "messages": "messages",
    "search": "search",
    "email": "email",
    "credits": "credits",
    "budget": "budget",
}
"""What the scopes of a domain are about; "actions email" is about mail."""

KNOWN = frozenset(
    {f"{subject}:read" for subject in SUBJECTS.values()}
    | {f"{subject}:write" for subject in SUBJECTS.values() if subject not in {"search", "credits"}}
    | set(READING.values())
)
"""Scopes of the table that a command may need; "billing:manage" is for the billing page, which no command opens."""


def scope_of(command: Command) -> str | None:
    """Return the scope that a command needs; None where any token will do."""
    if command.method is None or command.public:
        return None
    if command.name in READING:
        return READING[command.name]
    subject = "email" if command.words[:2] == ("actions", "email") else SUBJECTS.get(command.words[0])
    scope = f"{subject}:{'read' if command.effect is Effect.READ else 'write'}"
    return scope if scope in KNOWN else None


def needed_scopes(commands: Iterable[Command]) -> tuple[str, ...]:
    """Return the scopes that these commands need, each once."""
    return tuple(sorted({scope for command in commands if (scope := scope_of(command)) is not None}))
