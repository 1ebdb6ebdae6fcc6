"""The subscription: which plan it is, and how it changes."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.areas.billing import PLANS, SIZES, a_month_after, begin_period
from kallyai_mcp.sandbox.clock import iso, moment
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from datetime import datetime

    from kallyai_mcp.commands.subscription import CancelPlanChange, ChangePlan, ShowSubscription
    from kallyai_mcp.sandbox.world import World

area = Area()

CHANGES_AN_HOUR = 3
_HOUR = timedelta(hours=1)


@area.answers("subscription status")
def status(world: World, args: ShowSubscription) -> dict[str, Any]:
    subscription = world.need("subscription", "me")
    shown = ("plan_type", "status", "current_period_start", "current_period_end", "pending_change")
    return {name: subscription[name] for name in shown}


@area.answers("subscription change-plan")
def change_plan(world: World, args: ChangePlan) -> dict[str, Any]:
    """Change to a bigger plan at once, to a smaller one from the next period; the same plan begins a new period.

    A subscription whose status is `trialing` must be bought first, one that is `canceled` is none.
    """
    subscription = world.need("subscription", "me")
    if subscription["status"] == "trialing":
        raise Refusal("trial_requires_checkout")
    if subscription["status"] != "active":
        raise Refusal("no_active_subscription")
    changes = _recent(world, subscription)
    if subscription["pending_change"] is not None:
        raise Refusal("pending_change_exists")
    old, new = SIZES.index(subscription["plan_type"]), SIZES.index(args.plan)
    subscription |= {"changes": [*changes, world.clock.now().isoformat()]}
    if "annual" in args.model_fields_set:
        subscription |= {"annual": args.annual}
    if new < old:
        return _schedule(world, subscription, args.plan)
    world.save("subscription", subscription)
    account = begin_period(world, args.plan, world.clock.now())
    kind = "upgrade" if new > old else "refresh"
    world.act("subscription_change", f"{kind.capitalize()}: {PLANS[args.plan].name}")
    return _changed(kind, args.plan, account["period_start"], account["period_end"])


@area.answers("subscription cancel-change")
def cancel_change(world: World, args: CancelPlanChange) -> dict[str, Any]:
    subscription = world.need("subscription", "me")
    if subscription["pending_change"] is None:
        raise Refusal(status=404, message="No plan change is scheduled.")
    world.save("subscription", subscription | {"pending_change": None})
    world.act("subscription_change", "Dropped the planned change of plan")
    return {"success": True, "message": "The planned change is dropped; the plan stays as it is."}


@area.event("period_ends")
def period_ends(world: World, data: dict[str, Any]) -> None:
    """Begin the next period, with the plan that was scheduled if there is one. A period that was cut short is over."""
    account = world.need("account", "me")
    if account["period_end"] != data["end"]:
        return
    subscription = world.get("subscription", "me")
    plan_type: str = account["plan_type"]
    if subscription and subscription["pending_change"]:
        plan_type = subscription["pending_change"]["new_plan"]
        world.save("subscription", subscription | {"pending_change": None})
    begin_period(world, plan_type, moment(account["period_end"]))


@area.seeds
def seed(world: World) -> None:
    account = world.need("account", "me")
    world.add(
        "subscription",
        {
            "plan_type": account["plan_type"],
            "status": "active",
            "annual": False,
            "current_period_start": account["period_start"],
            "current_period_end": account["period_end"],
            "pending_change": None,
            "changes": [],
        },
        id="me",
    )


def _recent(world: World, subscription: dict[str, Any]) -> list[str]:
    """Return the changes of the last hour.

    Raises:
        Refusal: `rate_limited`, with the real seconds until the oldest of them is an hour old.
    """
    now: datetime = world.clock.now()
    changes = [change for change in subscription["changes"] if moment(change) > now - _HOUR]
    if len(changes) >= CHANGES_AN_HOUR:
        left = (moment(changes[0]) + _HOUR - now).total_seconds()
        speed = world.clock.speed
        real = left / speed if speed and math.isfinite(speed) else left
        raise Refusal("rate_limited", retry_after=max(1, math.ceil(real)))
    return changes


def _schedule(world: World, subscription: dict[str, Any], plan: str) -> dict[str, Any]:
    end: str = subscription["current_period_end"]
    world.save("subscription", subscription | {"pending_change": {"new_plan": plan, "effective_date": end}})
    world.act("subscription_change", f"Planned for the next period: {PLANS[plan].name}")
    return _changed("downgrade_scheduled", plan, end, iso(a_month_after(moment(end))))


def _changed(change_type: str, plan: str, start: str, end: str) -> dict[str, Any]:
    return {
        "success": True,
        "change_type": change_type,
        "new_plan": plan,
        "bonus_minutes": 0,
        "new_period_start": start,
        "new_period_end": end,
    }
