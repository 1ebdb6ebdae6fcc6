"""What the agent leaves to the assistant: requests, goals, their budgets, conversations about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandbox_agent import has, one

if TYPE_CHECKING:
    from sandbox_agent import Agent


def follows_a_goal_to_its_end(agent: Agent) -> None:
    asked = agent.run("ask", message="Call +12025550100 and ask whether they are open on Sunday")
    goal_id = asked["goal_id"]
    shown = agent.run("coord_goal", goal_id=goal_id)
    assert [step["status"] for step in shown["steps"]] == ["in_progress"]
    assert agent.run("notifications_pending")["active_goal"]["id"] == goal_id
    with agent.paying(1.1):
        agent.wait(120)
    done = agent.run("coord_goal", goal_id=goal_id)
    assert done["status"] == "completed"
    assert has(agent.run("coord_goals", status="completed")["goals"], id=goal_id)
    call_id = done["steps"][0]["call_id"]
    assert agent.run("calls_info", call_id=call_id)["goal_id"] == goal_id
    listed = agent.run("budget_breakdown", goal_id=goal_id)
    assert listed["total_credits"] == done["credits_used"] == 1.1
    assert agent.run("coord_accept", goal_id=goal_id)["outcome"]["accepted"]
    assert agent.refused("coord_cancel_goal", goal_id=goal_id)["code"] == "goal_already_completed"
    assert agent.run("coord_archive", goal_id=goal_id)["status"] == "archived"
    assert has(agent.run("coord_goals", status="archived")["goals"], id=goal_id)


def agrees_to_a_step(agent: Agent) -> None:
    asked = agent.run("coord_message", text="Book a table for two tomorrow at 19:30")
    goal_id = asked["goal_id"]
    agent.wait(20)
    assert agent.run("coord_goal", goal_id=goal_id)["steps"][1]["status"] == "waiting_for_approval"
    waiting = agent.run("notifications_pending")["actions"]["items"]
    assert has(waiting, id=goal_id, type="step_approval")
    with agent.paying(0.5):
        agent.run("coord_approve_step", goal_id=goal_id)
        agent.wait(60)
    assert agent.run("coord_goal", goal_id=goal_id)["status"] == "completed"


def agrees_to_budgets(agent: Agent) -> None:
    estimate = agent.run("budget_estimate", type="call", description="Find three restaurants and call them")
    assert estimate["breakdown"] == {"search": 0.5, "call": 3.9}
    assert estimate["estimated_credits"] == pytest.approx(4.4)
    goal_id = agent.run("ask", message="Call +12025550100 about the sofa, needs a budget")["goal_id"]
    assert agent.run("coord_budget", goal_id=goal_id)["state"] == "approval_required"
    assert agent.refused("coord_approve_step", goal_id=goal_id)["code"] == "budget_approval_required"
    with agent.paying(1.1):
        agent.wait(120)
        assert agent.run("coord_goal", goal_id=goal_id)["status"] == "pending"
        assert agent.run("budget_approve", goal_id=goal_id)["budget_state"] == "approved"
        agent.wait(120)
    assert agent.run("coord_budget", goal_id=goal_id)["credits_used"] == 1.1
    capped = agent.run("ask", message="Book a table for two on Friday at 20:00, soft cap")["goal_id"]
    agent.wait(20)
    assert agent.run("coord_budget", goal_id=capped)["state"] == "soft_cap"
    assert agent.run("budget_ack_cap", goal_id=capped)["acknowledged"]
    agent.wait(10)
    assert agent.run("coord_goal", goal_id=capped)["steps"][1]["status"] == "waiting_for_approval"
    assert agent.run("coord_cancel_goal", goal_id=capped)["status"] == "cancelled"
    assert agent.run("coord_goal", goal_id=capped)["status"] == "cancelled"


def negotiates(agent: Agent) -> None:
    goal_id = agent.run("ask", message="Negotiate my phone bill with Acme Telecom")["goal_id"]
    agent.wait(150)
    offered = agent.run("coord_goal", goal_id=goal_id)
    assert (offered["status"], offered["outcome"]["round"]) == ("needs_input", 1)
    agent.run("coord_continue", goal_id=goal_id)
    agent.wait(150)
    better = agent.run("coord_goal", goal_id=goal_id)
    assert better["outcome"]["round"] == 2
    assert agent.run("coord_accept", goal_id=goal_id)["status"] == "completed"


def takes_over_a_plan_and_drops_it(agent: Agent) -> None:
    goal_id = agent.run("ask", message="Plan a birthday party for six people on Saturday at 19:00")["goal_id"]
    tree = agent.run("coord_goal_tree", goal_id=goal_id)
    assert len(tree["sub_goals"]) == len(tree["steps"]) > 1
    assert agent.run("coord_escalate", goal_id=goal_id)["status"] == "needs_input"
    dropped = agent.run("coord_cascade_cancel", goal_id=goal_id)["cancelled_goal_ids"]
    assert set(dropped) == {goal_id, *(sub["id"] for sub in tree["sub_goals"])}
    after = agent.run("coord_goal_tree", goal_id=goal_id)
    assert {after["status"], *(sub["status"] for sub in after["sub_goals"])} == {"cancelled"}
    agent.run("coord_batch_archive", goal_ids=dropped)
    assert has(agent.run("coord_goals", status="archived")["goals"], id=goal_id)


def talks_in_conversations(agent: Agent) -> None:
    conversation = agent.run("coord_new")["conversation_id"]
    agent.run("ask", message="What can you do?", conversation_id=conversation)
    agent.run("coord_message", text="How many credits are left?", conversation_id=conversation)
    said = agent.run("coord_history", conversation_id=conversation)["messages"]
    assert [message["role"] for message in said] == ["user", "assistant"] * 2
    listed = one(agent.run("coord_conversations")["conversations"], id=conversation)
    assert listed["message_count"] == 4
    agent.gone("coord_history", conversation_id="sbx_conversation_none")


SCRIPT = (
    follows_a_goal_to_its_end,
    agrees_to_a_step,
    agrees_to_budgets,
    negotiates,
    takes_over_a_plan_and_drops_it,
    talks_in_conversations,
)
