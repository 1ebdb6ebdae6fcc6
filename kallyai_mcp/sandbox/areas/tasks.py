"""Rides, meals and errands that somebody carries out, and bills that are looked at or contested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox import triggers
from kallyai_mcp.sandbox.areas import actionlog
from kallyai_mcp.sandbox.areas.bookings import chance
from kallyai_mcp.sandbox.areas.paging import without

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

PRICES = {"ride": 0.5, "food": 0.5, "errand": 1.0, "bill": 1.0}
STAGES = {
    "ride": ("requested", "driver_assigned", "on_board", "arrived"),
    "food": ("ordered", "preparing", "out_for_delivery", "delivered"),
    "errand": ("accepted", "under_way", "done"),
    "bill": ("submitted", "under_review", "settled"),
}
"""What an order goes through; it can be taken back in the first stage only."""

STAGE_LENGTH = 120.0
"""Sandbox seconds from one stage to the next."""


def order(world: World, type_: str, description: str, *, goal_id: str | None = None, **facts: Any) -> dict[str, Any]:
    """Give an order. Charged, and can be taken back until somebody has begun with it.

    Raises:
        Refusal: `quota_exceeded`.
    """
    document: dict[str, Any] = {"description": description, "goal_id": goal_id, **facts}
    actionlog.spend(world, document, PRICES[type_], type_, description)
    undoable = type_ != "bill"
    action = world.act(type_, description, undoable=undoable, status="in_progress")
    action |= document | {"stage": STAGES[type_][0], "updated_at": world.now()}
    if undoable:
        action["undo"] = {"event": "order_undone", "action_id": action["id"]}
    world.save("action", action)
    world.later(STAGE_LENGTH, "order_moves", action_id=action["id"])
    return action


def moves(world: World, data: dict[str, Any]) -> None:
    """Event: an order comes to its next stage, or is given up."""
    action = world.get("action", data["action_id"])
    if action is None or action["status"] != "in_progress":
        return
    action |= {"undoable": False, "updated_at": world.now()}
    if triggers.outcome("task", action["description"]) == "fails":
        actionlog.refund(world, action, action["type"])
        world.save("action", action | {"status": "failed"})
        return
    stages = STAGES[action["type"]]
    action["stage"] = stages[stages.index(action["stage"]) + 1]
    if action["stage"] == stages[-1]:
        world.save("action", action | {"status": "completed", "completed_at": world.now()} | _result(action))
        return
    world.save("action", action)
    world.later(STAGE_LENGTH, "order_moves", action_id=action["id"])


def _result(action: dict[str, Any]) -> dict[str, Any]:
    if action["type"] != "bill":
        return {}
    amount = action.get("amount")
    if amount is None:
        return {"outcome": "The provider explains the charge in writing within ten days."}
    return {"outcome": f"The provider credits ${amount * 0.2:.2f}.", "credited_amount": round(amount * 0.2, 2)}


def undone(world: World, data: dict[str, Any]) -> None:
    """Event: an order is taken back, and its credits with it."""
    action = world.need("action", data["action_id"])
    actionlog.refund(world, action, action["type"])
    world.save("action", action)


def analyse(world: World, description: str, amount: float | None, provider: str | None) -> dict[str, Any]:
    """Judge a bill. Charged; the same bill is judged the same.

    Raises:
        Refusal: `quota_exceeded`.
    """
    what = f"Bill of {provider}" if provider else "Bill"
    world.charge(PRICES["bill"], type="bill_analysis", description=what)
    fair = chance("bill", provider, description).randint(25, 120)
    over = amount is not None and amount > fair * 1.2
    savings = f"${amount - fair:.0f}/month" if amount is not None and over else "$0/month"
    advice = ["Name the fair price and ask for a credit.", "Ask for the fees to be itemised."]
    world.act("bill", f"{what}: analysed")
    return {
        "analysis": {
            "fair_price_range": f"${round(fair * 0.9)}-{round(fair * 1.1)}",
            "overcharge_detected": over,
            "savings_potential": savings,
            "recommendations": advice if over else ["Ask for the loyalty rate."],
        }
    }


def shown(action: dict[str, Any]) -> dict[str, Any]:
    """Return an order, or any entry of the log, as the API answers it."""
    return without(action, "undo")
