"""Identifiers, answers and ways to look and undo that several domains share."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from kallyai_mcp.model import Look, Subject, Undo
from kallyai_mcp.model.types import Segment

GoalId = Annotated[Segment, Field(description="Goal id from kallyai_coord_goals.")]
ConversationId = str

COORDINATOR_REPLY = {
    "response": "What the assistant says; may stand under message instead.",
    "message": "What the assistant says, in the service's other form.",
    "goal_id": "Goal it opened or went on with; follow it with kallyai_coord_goal.",
    "conversation_id": "Conversation to go on with.",
    "actions_taken": "What it did at once.",
    "triggered_actions": "What it set going.",
    "intent": "How it understood the request.",
    "suggestions": "What could be asked next.",
    "credits_used": "Credits charged; may be a decimal number in text.",
    "message_id": "Identifier of the reply.",
    "goal_completed": "Whether the goal is reached already.",
}
"""Both documented forms of the coordinator's answer."""

GOAL_MEANT = Subject(
    look=Look(command="coord goal", given={"goal_id": "goal_id"}),
    shows=("title", "description", "status", "question", "steps", "credits_estimated", "credits_used"),
)
END_GOAL = Undo(
    command="coord cascade-cancel",
    arguments={"goal_id": "args.goal_id"},
    until="while the goal is open; what is done by then stays done",
    stops=True,
    restores=False,
)


def heard(argument: str) -> Look:
    """Return where a message to the coordinator shows, its text being in `argument`."""
    return Look(
        command="coord history",
        given={"conversation_id": "conversation_id"},
        fixed={"limit": 100},
        entries=("messages", "items"),
        match={"content": argument},
        states={"role": ("user",)},
        since="created_at",
    )


def drop_goal(argument: str) -> Undo:
    """Return how the goal that a message opened or set going again is ended."""
    return replace(
        END_GOAL,
        arguments={"goal_id": "answer.goal_id|entry.goal_id"},
        look=heard(argument),
        unless={"answer.goal_completed": ("true",)},
    )


def logged(kind: str, *fields: str) -> Look:
    """Return where something that was ordered shows: as the latest entry of its kind in the log of actions.

    The entry has the order's `fields` under their own names; the service may describe it in words of its own.
    """
    return Look(
        command="actions log",
        fixed={"limit": 100, "type": kind},
        entries=("actions",),
        match={name: name for name in fields},
        loose=tuple(name for name in fields if name == "description"),
        since="created_at",
    )


def take_back(look: Look, *, action_id: str = "answer.action_id|entry.id", otherwise: Undo | None = None) -> Undo:
    """Return how an order is taken back by its entry in the log of actions, whose identifier is `action_id`."""
    return Undo(
        command="actions undo",
        arguments={"action_id": action_id},
        until="until kallyai_actions_log no longer calls it undoable",
        stops=True,
        look=look,
        unless={"entry.undoable|answer.undoable": ("false",)},
        otherwise=otherwise,
    )
