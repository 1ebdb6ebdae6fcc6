"""What goals may cost and have cost, in credits."""

from typing import Literal

from kallyai_mcp.commands.shared import END_GOAL, GOAL_MEANT, GoalId
from kallyai_mcp.model import Args, Cli, Domain, Effect, Look, Source, arg, each
from kallyai_mcp.model.types import Text

budget = Domain("budget", "Estimate, approve and review what goals cost.")

_AGREED = Look(command="coord budget", given={"goal_id": "goal_id"}, states={"state": ("approved",)})


@budget.command(
    "estimate",
    "POST /v1/goals/estimate",
    Effect.READ,
    idempotent=True,
    answer={
        "estimated_credits": "Credits expected.",
        "breakdown": "Credits by kind of action.",
        "confidence": "How sure the estimate is.",
    },
)
class EstimateCost(Args):
    """Estimate how many credits a task would cost. Starts nothing and is free."""

    type: Literal["call", "email", "search", "booking", "ride", "food", "errand"] = arg("Kind of task.")
    description: Text = arg("The task in words, as it would be given.", cli=Cli.WORDS)


@budget.command(
    "approve",
    "POST /v1/goals/{goal_id}/approve-budget",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    idempotent=True,
    subject=GOAL_MEANT,
    trace=_AGREED,
    undo=END_GOAL,
    text_from=Source.OUTCOME,
)
class ApproveBudget(Args):
    """Agree to a goal's estimate so that work starts. Spends credits and may contact people; ask the user first."""

    goal_id: GoalId


@budget.command(
    "breakdown",
    "GET /v1/goals/{goal_id}/cost-breakdown",
    Effect.READ,
    idempotent=True,
    answer={
        "goal_id": "The goal.",
        "total_credits": "Credits charged in all.",
        "items": each(
            "The charges.",
            {"action": "What was done.", "credits": "Credits charged for it.", "timestamp": "When."},
        ),
    },
)
class ShowGoalCosts(Args):
    """Show item by item the credits that a goal has cost."""

    goal_id: GoalId


@budget.command(
    "ack-cap",
    "POST /v1/goals/{goal_id}/acknowledge-soft-cap",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    idempotent=True,
    subject=GOAL_MEANT,
    trace=_AGREED,
    undo=END_GOAL,
    text_from=Source.OUTCOME,
)
class ExceedSoftLimit(Args):
    """Let a goal go on past its soft limit. Spends more credits and may contact people; ask the user first."""

    goal_id: GoalId
