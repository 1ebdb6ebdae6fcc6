"""The coordinator, the assistant that plans and does the work: its goals, their steps, and conversations with it."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from kallyai_mcp.commands.shared import (
    COORDINATOR_REPLY,
    END_GOAL,
    GOAL_MEANT,
    ConversationId,
    GoalId,
    drop_goal,
    heard,
)
from kallyai_mcp.model import Args, Cli, Domain, Effect, Source, arg, each, optional
from kallyai_mcp.model.types import Limit, Offset, Text

coord = Domain("coord", "Follow, steer and end what the assistant is working on.")

_CANCELLED = replace(GOAL_MEANT.look, states={"status": ("cancelled",)})
_MOVED = replace(
    GOAL_MEANT.look,
    states={"status": ("active", "completed")},
    since="updated_at",
    # It may have gone on by now and wait again.
    is_complete=False,
)

GOAL = {
    "id": "Identifier of the goal, for the other coord tools.",
    "title": "What it is about.",
    "status": "active, completed, cancelled, pending, archived, or needs_input.",
    "created_at": "When it was opened.",
    "credits_used": "Credits charged so far.",
}


@coord.command(
    "message",
    "POST /v1/coordination/message",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    slow=True,
    text_from=Source.OUTCOME,
    answer=COORDINATOR_REPLY,
    delegates=True,
    trace=heard("text"),
    undo=drop_goal("text"),
)
class MessageCoordinator(Args):
    """Answer the assistant or go on with a conversation; otherwise like kallyai_ask.

    Spends credits and may contact people.
    """

    text: Text = arg("What to tell the assistant, in everyday words.", wire="message", cli=Cli.WORDS)
    conversation_id: ConversationId = optional("Conversation id from kallyai_coord_conversations.")


@coord.command(
    "goals",
    "GET /v1/coordination/goals",
    Effect.READ,
    idempotent=True,
    text_from=Source.OUTCOME,
    answer={
        "goals": each("The goals.", GOAL | {"sub_goal_count": "How many goals stand directly below it."}),
        "items": "The goals, in the service's other form.",
    },
)
class ListGoals(Args):
    """List the assistant's goals: the pieces of work that requests to kallyai_ask have opened."""

    status: Literal["active", "completed", "cancelled", "pending", "archived"] = optional("State to keep.")
    limit: Limit = optional()
    offset: Offset = optional()


@coord.command(
    "goal",
    "GET /v1/coordination/goals/{goal_id}",
    Effect.READ,
    idempotent=True,
    text_from=Source.OUTCOME,
    answer=GOAL
    | {
        "description": "What is to be achieved.",
        "updated_at": "When it last changed.",
        "credits_estimated": "Credits it is expected to need in all.",
        "parent_goal_id": "Goal it belongs to; null at the top.",
        "steps": each(
            "The plan, in order.",
            {
                "step": "Its number.",
                "description": "What is done.",
                "status": "How far it is, such as completed or in_progress.",
            },
        ),
    },
)
class ShowGoal(Args):
    """Show one goal with its state, steps and credits used."""

    goal_id: GoalId


@coord.command(
    "goal-tree",
    "GET /v1/coordination/goals/{goal_id}/tree",
    Effect.READ,
    idempotent=True,
    text_from=Source.OUTCOME,
)
class ShowGoalTree(Args):
    """Show a goal with all goals nested below it."""

    goal_id: GoalId


@coord.command(
    "cancel-goal",
    "POST /v1/coordination/goals/{goal_id}/cancel",
    Effect.DESTROY,
    idempotent=True,
    subject=GOAL_MEANT,
    trace=_CANCELLED,
    text_from=Source.OUTCOME,
)
class CancelGoal(Args):
    """Cancel one goal. Cannot be undone. Its sub-goals go on; kallyai_coord_cascade_cancel ends them too."""

    goal_id: GoalId


@coord.command(
    "cascade-cancel",
    "POST /v1/coordination/goals/{goal_id}/cascade-cancel",
    Effect.DESTROY,
    idempotent=True,
    subject=GOAL_MEANT,
    trace=_CANCELLED,
    text_from=Source.OUTCOME,
)
class CancelGoalTree(Args):
    """Cancel a goal and every goal below it. Cannot be undone."""

    goal_id: GoalId


@coord.command(
    "escalate",
    "POST /v1/coordination/goals/{goal_id}/escalate",
    Effect.WRITE,
    idempotent=True,
    text_from=Source.OUTCOME,
)
class EscalateGoal(Args):
    """Flag a goal as needing the user's decision."""

    goal_id: GoalId


@coord.command(
    "approve-step",
    "POST /v1/coordination/goals/{goal_id}/approve-step",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    text_from=Source.OUTCOME,
    subject=GOAL_MEANT,
    trace=_MOVED,
    undo=END_GOAL,
)
class ApproveGoalStep(Args):
    """Approve the step of a goal that waits for the user's consent, so that it is carried out.

    Spends credits and may contact people. A repeat approves the step after it.
    """

    goal_id: GoalId


@coord.command(
    "accept",
    "POST /v1/coordination/goals/{goal_id}/accept-outcome",
    Effect.WRITE,
    idempotent=True,
    text_from=Source.OUTCOME,
)
class AcceptOutcome(Args):
    """Accept a goal's result as satisfactory; kallyai_coord_continue seeks a better one."""

    goal_id: GoalId


@coord.command(
    "continue",
    "POST /v1/coordination/goals/{goal_id}/continue-negotiating",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    text_from=Source.OUTCOME,
    subject=GOAL_MEANT,
    trace=_MOVED,
    undo=END_GOAL,
)
class ContinueNegotiating(Args):
    """Send the assistant back to negotiate a better result for a goal. Spends credits and may contact people."""

    goal_id: GoalId


@coord.command(
    "archive", "POST /v1/coordination/goals/{goal_id}/archive", Effect.WRITE, idempotent=True, text_from=Source.OUTCOME
)
class ArchiveGoal(Args):
    """Put a finished or cancelled goal away; it stays listed as archived. Cannot be undone."""

    goal_id: GoalId


@coord.command(
    "batch-archive",
    "POST /v1/coordination/goals/batch-archive",
    Effect.WRITE,
    idempotent=True,
    text_from=Source.OUTCOME,
)
class ArchiveSeveralGoals(Args):
    """Put several finished or cancelled goals away at once. Cannot be undone."""

    goal_ids: Annotated[list[Text], Field(min_length=1)] = arg("Goal ids from kallyai_coord_goals.", cli=Cli.POSITIONAL)


@coord.command(
    "budget",
    "GET /v1/coordination/goals/{goal_id}/budget",
    Effect.READ,
    idempotent=True,
    answer={
        "goal_id": "Identifier of the goal.",
        "credits_estimated": "Credits it is expected to need in all.",
        "credits_used": "Credits charged so far.",
        "credits_remaining": "Credits of the estimate that are left.",
        "breakdown": each(
            "What the credits went on.",
            {"action": "Kind of action, such as phone_call.", "credits": "Credits charged for it."},
        ),
    },
)
class ShowGoalBudget(Args):
    """Show the credits one goal may spend, has spent and has left."""

    goal_id: GoalId


@coord.command("history", "GET /v1/coordination/history", Effect.READ, idempotent=True, text_from=Source.OUTCOME)
class ReadCoordinatorHistory(Args):
    """Read back what was said to and by the assistant."""

    conversation_id: ConversationId = optional("Only this conversation; id from kallyai_coord_conversations.")
    limit: Limit = optional()


@coord.command(
    "conversations",
    "GET /v1/coordination/conversations",
    Effect.READ,
    idempotent=True,
    text_from=Source.OUTCOME,
    answer={
        "conversations": each(
            "The conversations.",
            {
                "id": "Identifier, for kallyai_coord_message and kallyai_coord_history.",
                "title": "What it is about.",
                "created_at": "When it was opened.",
                "message_count": "How many messages it holds.",
            },
        )
    },
)
class ListCoordinatorConversations(Args):
    """List the conversations held with the assistant."""


@coord.command(
    "new",
    "POST /v1/coordination/conversations",
    Effect.WRITE,
    answer={"conversation_id": "Identifier of the new conversation."},
)
class StartConversation(Args):
    """Open an empty conversation; its id goes to kallyai_coord_message."""
