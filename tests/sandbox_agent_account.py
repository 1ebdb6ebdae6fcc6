"""What the agent does about the account: signing in and out, credits, the plan, referrals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandbox_agent import one

if TYPE_CHECKING:
    from sandbox_agent import Agent


def signs_in(agent: Agent) -> None:
    agent.control("oauth", interval=0.2)
    assert not agent.run("auth_status")["authenticated"]
    assert agent.refused("credits_balance")["code"] == "sign_in_required"
    started = agent.run("login")
    assert started["status"] == "pending"
    assert agent.run("auth_status")["pending"]
    agent.approve(started["verification_uri_complete"])
    # The server keeps to the interval between two polls.
    agent.meets(lambda: agent.run("auth_status")["authenticated"])


def signs_out(agent: Agent) -> None:
    assert agent.run("logout")["status"] == "logged_out"
    assert not agent.run("auth_status")["authenticated"]
    assert agent.refused("credits_balance")["code"] in {"sign_in_required", "sign_in_too_soon"}


def counts_credits(agent: Agent) -> None:
    price = agent.run("credits_costs")["costs"]["search"]["per_query"]
    before = agent.run("credits_balance")
    agent.run("search_quick", query="Cobblers")
    after = agent.run("credits_balance")
    assert after["credits_used"] == pytest.approx(before["credits_used"] + price)
    assert after["credits_remaining"] + after["credits_used"] == pytest.approx(after["credits_allocated"])
    charged = agent.run("credits_history", limit=1)["entries"][0]
    assert (charged["type"], charged["credits"]) == ("search", price)
    assert {entry.get("goal_id") for entry in agent.run("credits_history", limit=100)["entries"]} > {None}
    summed = agent.run("credits_breakdown")
    assert summed["total_spent"] == after["credits_used"]
    assert sum(item["credits_total"] for item in summed["items"]) == pytest.approx(summed["total_spent"])


def changes_the_plan(agent: Agent) -> None:
    plans = agent.run("credits_plans")["plans"]
    assert agent.run("subscription_status")["plan_type"] == "starter"
    assert agent.run("subscription_change_plan", plan="pro")["change_type"] == "upgrade"
    assert agent.run("credits_balance")["credits_remaining"] == plans["pro"]["credits_allocated"]
    planned = agent.run("subscription_change_plan", plan="starter")
    assert planned["change_type"] == "downgrade_scheduled"
    pending = agent.run("subscription_status")["pending_change"]
    assert pending == {"new_plan": "starter", "effective_date": planned["new_period_start"]}
    assert agent.refused("subscription_change_plan", plan="power")["code"] == "pending_change_exists"
    assert agent.run("subscription_cancel_change")["success"]
    assert agent.run("subscription_status")["pending_change"] is None
    agent.gone("subscription_cancel_change")


def looks_at_referrals(agent: Agent) -> None:
    assert agent.run("referrals_code")["is_active"]
    waiting = agent.run("referrals_stats")
    newcomer = one(agent.run("referrals_history")["referrals"], status="pending")
    allocated = agent.run("credits_balance")["credits_allocated"]
    agent.wait(3 * 24 * 3600)
    assert agent.run("referrals_stats")["converted"] == waiting["converted"] + 1
    converted = one(agent.run("referrals_history")["referrals"], id=newcomer["id"])
    assert agent.run("credits_balance")["credits_allocated"] == allocated + converted["referrer_reward_credits"]


def sees_what_waits(agent: Agent) -> None:
    pending = agent.run("notifications_pending")
    assert pending["total_pending"] == sum(pending[group]["count"] for group in ("actions", "goals", "inbox"))
    asked = agent.run("ask", message="Order a taxi to the airport, ask me first")["goal_id"]
    assert one(agent.run("notifications_pending")["goals"]["items"], id=asked)["status"] == "needs_input"


SCRIPT = (counts_credits, sees_what_waits, looks_at_referrals, changes_the_plan)
