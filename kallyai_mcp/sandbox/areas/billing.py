"""The plans on sale, and the period that credits are allocated for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.clock import iso

if TYPE_CHECKING:
    from datetime import datetime

    from kallyai_mcp.sandbox.world import World


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: credits a month, and prices in US dollars that hold in the sandbox only."""

    name: str
    credits_allocated: int
    price_monthly: int
    overage_rate: str


PLANS = {
    "starter": Plan("Starter", 200, 19, "0.15"),
    "pro": Plan("Pro", 600, 49, "0.12"),
    "power": Plan("Power", 1500, 99, "0.08"),
    "business": Plan("Business", 4500, 249, "0.05"),
}
"""From the smallest to the biggest."""

SIZES = tuple(PLANS)


def a_month_after(start: datetime) -> datetime:
    """Return the same day of the next month, or that month's last day."""
    year, month = (start.year + 1, 1) if start.month == 12 else (start.year, start.month + 1)
    for day in range(start.day, 27, -1):
        try:
            return start.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    return start.replace(year=year, month=month)


def begin_period(world: World, plan_type: str, start: datetime) -> dict[str, Any]:
    """Give the account the credits of a plan for a month from `start`; what was left before is lost."""
    end = a_month_after(start)
    account: dict[str, Any] = world.get("account", "me") or {"id": "me"}
    account |= {
        "plan_type": plan_type,
        "credits_allocated": PLANS[plan_type].credits_allocated,
        "credits_used": 0,
        "period_start": iso(start),
        "period_end": iso(end),
    }
    world.save("account", account)
    if subscription := world.get("subscription", "me"):
        period = {"current_period_start": iso(start), "current_period_end": iso(end)}
        world.save("subscription", subscription | period | {"plan_type": plan_type})
    world.later((end - world.clock.now()).total_seconds(), "period_ends", end=iso(end))
    return account
