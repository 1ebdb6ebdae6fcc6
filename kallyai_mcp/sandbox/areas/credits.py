"""Credits: what is left, what was charged, what things and plans cost."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.model.acts import PRICES
from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.areas.billing import PLANS, begin_period
from kallyai_mcp.sandbox.areas.paging import page

if TYPE_CHECKING:
    from kallyai_mcp.commands.credits import (
        ListCreditCharges,
        ListPlans,
        ShowCreditBalance,
        ShowPrices,
        SumCreditCharges,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()

_PERIOD_BEGAN = timedelta(days=12)
"""How long before the beginning of a world its period began."""


@area.answers("credits balance")
def balance(world: World, args: ShowCreditBalance) -> dict[str, Any]:
    account = world.need("account", "me")
    left = account["credits_allocated"] - account["credits_used"]
    return {
        "credits_remaining": _plain(left),
        "credits_used": _plain(account["credits_used"]),
        "credits_allocated": account["credits_allocated"],
        "plan_type": account["plan_type"],
        "period_start": account["period_start"],
        "period_end": account["period_end"],
    }


@area.answers("credits history")
def history(world: World, args: ListCreditCharges) -> dict[str, Any]:
    entries = sorted(world.all("ledger"), key=lambda entry: str(entry["timestamp"]))
    entries.reverse()
    return {"entries": page(entries, args)}


@area.answers("credits breakdown")
def breakdown(world: World, args: SumCreditCharges) -> dict[str, Any]:
    """Sum up what was charged in the present period, by kind."""
    account = world.need("account", "me")
    start: str = account["period_start"]
    charged: dict[str, list[float]] = {}
    for entry in world.all("ledger"):
        if entry["timestamp"] >= start:
            charged.setdefault(entry["type"], []).append(entry["credits"])
    items = [
        {"action_type": kind, "credits_total": _plain(sum(amounts)), "transaction_count": len(amounts)}
        for kind, amounts in sorted(charged.items(), key=lambda item: -sum(item[1]))
    ]
    return {
        "items": items,
        "total_spent": _plain(sum(sum(amounts) for amounts in charged.values())),
        "period_start": account["period_start"],
        "period_end": account["period_end"],
    }


@area.answers("credits costs")
def costs(world: World, args: ShowPrices) -> dict[str, Any]:
    return {"costs": PRICES}


@area.answers("credits plans")
def plans(world: World, args: ListPlans) -> dict[str, Any]:
    return {"plans": {code: asdict(plan) for code, plan in PLANS.items()}}


@area.seeds
def seed(world: World) -> None:
    start = world.clock.now() - _PERIOD_BEGAN
    begin_period(world, "starter", start.replace(hour=0, minute=0, second=0, microsecond=0))


def _plain(amount: float) -> float:
    """Round to hundredths, whole amounts without a fraction, as the API shows them."""
    rounded = round(amount, 2)
    return int(rounded) if rounded == int(rounded) else rounded
