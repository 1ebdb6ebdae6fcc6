"""The plan that the user pays for."""

from dataclasses import replace
from typing import Literal

from kallyai_mcp.model import Args, Cli, Domain, Effect, Look, Subject, Undo, arg, group, optional

subscription = Domain("subscription", "See and change the user's plan.")


_PLAN = Look(command="subscription status")
_PLAN_MEANT = Subject(
    look=_PLAN, shows=("plan_type", "current_period_end", "pending_change.new_plan", "pending_change.effective_date")
)


@subscription.command(
    "status",
    "GET /v1/subscriptions/status",
    Effect.READ,
    idempotent=True,
    answer={
        "plan_type": "The plan: starter, pro, power or business.",
        "status": "State of the subscription.",
        "current_period_start": "Begin of the billing period.",
        "current_period_end": "End of the billing period.",
        "pending_change": group(
            "A downgrade that is scheduled; kallyai_subscription_cancel_change drops it.",
            {"new_plan": "Plan to come.", "effective_date": "When it comes."},
        ),
    },
)
class ShowSubscription(Args):
    """Show the current plan, its period and any change that is pending."""


@subscription.command(
    "change-plan",
    "POST /v1/subscriptions/change-plan",
    Effect.WRITE,
    costs_money=True,
    answer={
        "success": "Whether the change was accepted.",
        "change_type": "upgrade (at once), downgrade_scheduled (from the next period) or refresh (period starts anew).",
        "new_plan": "The plan chosen.",
        "bonus_minutes": "Leftover of an older billing; ignore.",
        "new_period_start": "Begin of the new billing period.",
        "new_period_end": "End of the new billing period.",
    },
    subject=_PLAN_MEANT,
    trace=replace(
        _PLAN,
        match={"pending_change.new_plan|plan_type": "plan"},
        since="pending_change.effective_date|current_period_start",
        # A period may begin at midnight, before the change itself.
        is_complete=False,
    ),
    undo=Undo(
        command="subscription cancel-change",
        arguments={},
        until="while a downgrade is scheduled",
        unless={"answer.change_type": ("upgrade", "refresh")},
    ),
)
class ChangePlan(Args):
    """Move to another plan. Costs money: upgrades at once, downgrades from the next period.

    Naming the plan in force starts a new period at once. Ask the user first; at most three changes an hour.
    """

    plan: Literal["starter", "pro", "power", "business"] = arg(
        "Plan to move to; see kallyai_credits_plans.", wire="new_plan", cli=Cli.POSITIONAL
    )
    annual: bool = optional("Whether to be billed by the year instead of the month.")


@subscription.command(
    "cancel-change",
    "DELETE /v1/subscriptions/pending-change",
    Effect.DESTROY,
    idempotent=True,
    answer={"success": "Whether it was dropped.", "message": "What happened, in words."},
    subject=_PLAN_MEANT,
    trace=replace(_PLAN, states={"pending_change": ("null",)}),
    undo=Undo(
        command="subscription change-plan",
        arguments={"plan": "before.pending_change.new_plan"},
        until="until the new period begins",
    ),
)
class CancelPlanChange(Args):
    """Drop a scheduled downgrade and stay on the plan, at its price."""
