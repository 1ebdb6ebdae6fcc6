"""Identifiers and answers that several domains share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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
