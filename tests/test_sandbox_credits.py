"""Credits, subscription, referrals, budgets and notifications in the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from kallyai_mcp.sandbox.clock import moment
from tests.sandbox_telephone import Telephone

pytestmark = pytest.mark.anyio


async def test_the_balance_is_what_the_ledger_says() -> None:
    phone = Telephone(speed=0)
    balance = await phone.got("credits balance")
    history = (await phone.got("credits history", limit=1000))["entries"]
    assert balance["credits_used"] == pytest.approx(sum(entry["credits"] for entry in history))
    assert balance["credits_remaining"] == pytest.approx(200 - balance["credits_used"])
    assert (balance["plan_type"], balance["credits_allocated"]) == ("starter", 200)
    assert balance["period_start"] < phone.world.now() < balance["period_end"]
    times = [entry["timestamp"] for entry in history]
    assert times == sorted(times, reverse=True)
    assert (await phone.got("credits history", limit=2))["entries"] == history[:2]
    sums = await phone.got("credits breakdown")
    assert sums["total_spent"] == pytest.approx(balance["credits_used"])
    assert sum(item["transaction_count"] for item in sums["items"]) == len(history)


async def test_costs_and_plans_are_public_and_as_documented() -> None:
    phone = Telephone(speed=0)
    costs = (await phone.send("GET", "/v1/credits/costs", token=None)).json()["costs"]
    assert costs["call"] == {"base": 1.0, "per_minute": 0.1}
    assert costs["email_send"] == {"per_email": 0.3}
    plans = (await phone.send("GET", "/v1/credits/plans", token=None)).json()["plans"]
    sizes = {code: plan["credits_allocated"] for code, plan in plans.items()}
    assert sizes == {"starter": 200, "pro": 600, "power": 1500, "business": 4500}


async def test_an_upgrade_counts_at_once() -> None:
    phone = Telephone(speed=0)
    changed = await phone.got("subscription change-plan", plan="power")
    assert (changed["success"], changed["change_type"], changed["new_plan"]) == (True, "upgrade", "power")
    balance = await phone.got("credits balance")
    assert (balance["credits_allocated"], balance["credits_used"]) == (1500, 0)
    assert balance["period_start"] == changed["new_period_start"] == phone.world.now()
    assert (await phone.got("subscription status"))["plan_type"] == "power"


async def test_the_same_plan_begins_a_new_period() -> None:
    phone = Telephone(speed=0)
    assert (await phone.got("subscription change-plan", plan="starter"))["change_type"] == "refresh"
    balance = await phone.got("credits balance")
    assert (balance["credits_used"], balance["period_start"]) == (0, phone.world.now())


async def test_a_downgrade_waits_for_the_next_period_and_can_be_dropped() -> None:
    phone = Telephone(speed=0)
    await phone.got("subscription change-plan", plan="power")
    end = (await phone.got("subscription status"))["current_period_end"]
    changed = await phone.got("subscription change-plan", plan="pro")
    assert (changed["change_type"], changed["new_period_start"]) == ("downgrade_scheduled", end)
    status = await phone.got("subscription status")
    assert (status["plan_type"], status["pending_change"]) == ("power", {"new_plan": "pro", "effective_date": end})
    assert await phone.refused("subscription change-plan", plan="business") == (400, "pending_change_exists")
    assert (await phone.got("subscription cancel-change"))["success"] is True
    assert (await phone.got("subscription status"))["pending_change"] is None
    assert await phone.refused("subscription cancel-change") == (404, None)


async def test_a_scheduled_downgrade_comes_with_the_next_period() -> None:
    phone = Telephone(speed=0)
    await phone.got("subscription change-plan", plan="pro")
    await phone.got("subscription change-plan", plan="starter")
    phone.world.clock.advance(32 * 24 * 3600)
    status = await phone.got("subscription status")
    assert (status["plan_type"], status["pending_change"]) == ("starter", None)
    balance = await phone.got("credits balance")
    assert balance["plan_type"] == "starter"
    assert balance["period_start"] == status["current_period_start"] <= phone.world.now() < balance["period_end"]


async def test_a_fourth_change_within_an_hour_is_too_many() -> None:
    phone = Telephone(speed=0)
    for _ in range(3):
        await phone.got("subscription change-plan", plan="starter")
        phone.world.clock.advance(600)
    response = await phone.run("subscription change-plan", plan="pro")
    assert (response.status_code, response.json()["error"]["code"]) == (429, "rate_limited")
    assert 1790 <= int(response.headers["Retry-After"]) <= 1800
    phone.world.clock.advance(1801)
    assert (await phone.got("subscription change-plan", plan="pro"))["change_type"] == "upgrade"


@pytest.mark.parametrize(
    ("state", "code"), [("trialing", "trial_requires_checkout"), ("canceled", "no_active_subscription")]
)
async def test_only_a_paid_subscription_changes(state: str, code: str) -> None:
    phone = Telephone(speed=0)
    phone.world.save("subscription", phone.world.need("subscription", "me") | {"status": state})
    assert await phone.refused("subscription change-plan", plan="pro") == (400, code)


async def test_referrals_add_up_and_convert() -> None:
    phone = Telephone(speed=0)
    code = await phone.got("referrals code")
    assert code["share_url"].endswith(code["code"])
    before = await phone.got("referrals stats")
    history = (await phone.got("referrals history"))["referrals"]
    assert before["total_referrals"] == len(history) == before["pending"] + before["converted"]
    assert before["total_reward_credits"] == sum(entry["referrer_reward_credits"] for entry in history)
    phone.world.clock.advance(3 * 24 * 3600)
    after = await phone.got("referrals stats")
    assert (after["pending"], after["converted"]) == (before["pending"] - 1, before["converted"] + 1)
    assert (await phone.got("credits balance"))["credits_allocated"] == 215


@pytest.mark.parametrize(
    ("kind", "description", "total"),
    [
        ("call", "Ask the garage when the car is ready", 1.3),
        ("call", "Ask three restaurants for a table", 3.9),
        ("email", "Thank Owen", 0.3),
        ("search", "Bike shops nearby", 0.5),
        ("booking", "A table for two; search for one first and phone them", 2.3),
        ("ride", "To the airport", 0.5),
        ("food", "Two pizzas", 0.5),
        ("errand", "Fetch the parcel", 1.0),
    ],
)
async def test_an_estimate_follows_the_prices(kind: str, description: str, total: float) -> None:
    estimate = await Telephone(speed=0).got("budget estimate", type=kind, description=description)
    assert estimate["estimated_credits"] == total == pytest.approx(sum(estimate["breakdown"].values()))
    assert estimate["confidence"] in ("low", "medium", "high")


async def goal_of(phone: Telephone, message: str) -> dict[str, Any]:
    goal_id = (await phone.got("ask", message=message))["goal_id"]
    phone.world.clock.advance(30)
    return await phone.got("coord goal", goal_id=goal_id)


async def test_a_goal_goes_on_when_its_budget_is_approved() -> None:
    phone = Telephone(speed=0)
    goal = await goal_of(phone, "Call Harbor Grill and ask for their opening hours; this needs a budget")
    pending = await phone.got("notifications pending")
    assert goal["id"] in [item["id"] for item in pending["actions"]["items"]]
    approved = await phone.got("budget approve", goal_id=goal["id"])
    assert (approved["approved"], approved["budget_state"]) == (True, "approved")
    phone.world.clock.advance(3600)
    done = await phone.got("coord goal", goal_id=goal["id"])
    assert done["status"] == "completed"
    spent = await phone.got("budget breakdown", goal_id=goal["id"])
    assert spent["total_credits"] == done["credits_used"] > 0
    assert [item["action"] for item in spent["items"]] == ["call_1"]
    assert await phone.refused("budget approve", goal_id=goal["id"]) == (409, "goal_already_completed")


async def test_a_goal_at_its_soft_cap_goes_on_when_that_is_acknowledged() -> None:
    phone = Telephone(speed=0)
    goal = await goal_of(phone, "Book a table for two tonight with a soft cap")
    assert await phone.refused("budget approve", goal_id=goal["id"]) == (402, "soft_cap_reached")
    let_go = await phone.got("budget ack-cap", goal_id=goal["id"])
    assert (let_go["acknowledged"], let_go["budget_state"]) == (True, "approved")
    assert await phone.refused("budget ack-cap", goal_id=goal["id"]) == (409, None)


@pytest.mark.parametrize("words", ["approve", "breakdown", "ack-cap"])
async def test_an_unknown_goal_is_not_found(words: str) -> None:
    assert await Telephone(speed=0).refused(f"budget {words}", goal_id="sbx_goal_none") == (404, "goal_not_found")


async def test_a_cancelled_goal_needs_no_budget() -> None:
    phone = Telephone(speed=0)
    goal = await goal_of(phone, "Call Harbor Grill and ask for their opening hours; this needs a budget")
    await phone.got("coord cancel-goal", goal_id=goal["id"])
    assert await phone.refused("budget approve", goal_id=goal["id"]) == (409, "goal_already_cancelled")


async def test_what_waits_is_gathered_from_everywhere() -> None:
    phone = Telephone(speed=0)
    pending = await phone.got("notifications pending")
    groups = [pending[name] for name in ("actions", "goals", "inbox")]
    assert [group["count"] for group in groups] == [len(group["items"]) for group in groups]
    assert pending["total_pending"] == sum(group["count"] for group in groups)
    waiting = [mail["id"] for mail in phone.world.all("outbox_email", status="pending_approval")]
    assert [item["id"] for item in pending["actions"]["items"] if item["type"] == "email_approval"] == waiting
    assert pending["inbox"]["count"] == len(phone.world.all("message", unread=True))
    assert moment(pending["generated_at"]) == phone.world.clock.now()
