"""Credits, the only unit of billing: what is left, what was spent, what things cost."""

from kallyai_mcp.model import Args, Domain, Effect, each, group, optional
from kallyai_mcp.model.types import Limit

credits_ = Domain("credits", "See credits left and spent, and prices.")

PERIOD = {"period_start": "Begin of the billing period.", "period_end": "End of the billing period."}
PLAN = {
    "name": "Name for people.",
    "credits_allocated": "Credits granted for a period.",
    "price_monthly": "Price of a month.",
    "overage_rate": "Price beyond the credits granted; a decimal number in text.",
}


@credits_.command(
    "balance",
    "GET /v1/credits/balance",
    Effect.READ,
    idempotent=True,
    answer={
        "credits_remaining": "Credits left.",
        "credits_used": "Credits spent in this period.",
        "credits_allocated": "Credits granted for this period.",
        "plan_type": "The plan: starter, pro, power or business.",
        **PERIOD,
    },
)
class ShowCreditBalance(Args):
    """Show credits left, used and granted. Check before anything that spends credits."""


@credits_.command(
    "history",
    "GET /v1/credits/history",
    Effect.READ,
    idempotent=True,
    answer={
        "entries": each(
            "The charges, one by one.",
            {
                "id": "Identifier of the charge.",
                "type": "Kind of action.",
                "description": "What it was for.",
                "credits": "Credits charged.",
                "timestamp": "When.",
                "goal_id": "Goal it belongs to, for kallyai_coord_goal.",
            },
        )
    },
)
class ListCreditCharges(Args):
    """List one by one what credits were spent on."""

    limit: Limit = optional()


@credits_.command(
    "breakdown",
    "GET /v1/credits/breakdown",
    Effect.READ,
    idempotent=True,
    answer={
        "items": each(
            "The kinds of action.",
            {
                "action_type": "Kind of action.",
                "credits_total": "Credits spent on it.",
                "transaction_count": "How many charges there were.",
            },
        ),
        "total_spent": "Credits spent in all.",
        **PERIOD,
    },
)
class SumCreditCharges(Args):
    """Show credits spent in this period, summed by kind of action."""


@credits_.command(
    "costs",
    "GET /v1/credits/costs",
    Effect.READ,
    idempotent=True,
    public=True,
    answer={
        "costs": group(
            "Credits by kind of action.",
            {
                "call": group(
                    "A phone call.", {"base": "Credits for each call.", "per_minute": "Credits for each minute on top."}
                ),
                "search": group("A search.", {"per_query": "Credits for each search."}),
                "email_send": group("An email sent.", {"per_email": "Credits for each email."}),
                "booking": group("A booking.", {"per_booking": "Credits for each booking."}),
                "bill_analysis": group("A bill analysed.", {"per_analysis": "Credits for each analysis."}),
                "ride": group("A ride.", {"per_request": "Credits for each ride ordered."}),
                "food": group("Food delivered.", {"per_order": "Credits for each order."}),
                "errand": group("An errand.", {"per_errand": "Credits for each errand."}),
            },
        )
    },
)
class ShowPrices(Args):
    """Show the price in credits of each kind of action. Works signed out."""


@credits_.command(
    "plans",
    "GET /v1/credits/plans",
    Effect.READ,
    idempotent=True,
    public=True,
    answer={
        "plans": group(
            "The plans by their identifiers.",
            {
                "starter": group("The smallest plan.", PLAN),
                "pro": group("The second plan.", PLAN),
                "power": group("The third plan.", PLAN),
                "business": group("The largest plan.", PLAN),
            },
        )
    },
)
class ListPlans(Args):
    """List the plans with price and credits. Works signed out. Change with kallyai_subscription_change_plan."""
