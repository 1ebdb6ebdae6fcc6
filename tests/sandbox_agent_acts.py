"""What the agent and its user do about acts: agree to some in advance, look at them, stop them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sandbox_agent import has, one

from kallyai_mcp.catalog import find

if TYPE_CHECKING:
    from sandbox_agent import Agent

NUMBER = "+12025550100"


def agrees_in_advance(agent: Agent) -> None:
    """Has to come before strangers' words are read: a mandate of later does not hold."""
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="minutes")
    bounds = {"tools": ["kallyai_calls_make"], "recipients": [NUMBER], "acts": 1, "credits": 10}
    agreed = agent.run("mandate", purpose="Ask when the cobbler opens", until=until, **bounds)["mandate"]
    assert (agreed["acts_left"], agreed["credits_left"]) == (1, 10)
    call = agent.run("calls_make", phone=NUMBER, task="Ask when they open")
    seen = agent.run("acts")
    (act,) = seen["acts"]
    assert (act["tool"], act["outcome"], act["charged_credits"]) == ("kallyai_calls_make", "done", call["credits_used"])
    assert (act["agreed"], act["mandate"]) == ("a person, by a mandate", agreed["id"])
    left = one(seen["mandates"], id=agreed["id"])
    assert (left["acts_left"], left["credits_left"]) == (0, 10 - call["credits_used"])
    assert agent.run("mandate_revoke", mandate_id=agreed["id"])["revoked"]
    assert agent.run("acts")["mandates"] == []


def sees_what_was_done(agent: Agent) -> None:
    agent.run("actions_errand", description="Have the watch repaired")
    acts = agent.run("acts", limit=100)["acts"]
    assert acts[0]["tool"] == "kallyai_actions_errand"
    assert {act["outcome"] for act in acts} <= {"done", "failed"}
    assert all(find(act["tool"]).is_recorded for act in acts)


def stops_everything(agent: Agent) -> None:
    goal_id = agent.run("ask", message="Call +12025550107 and ask what a new heel costs")["goal_id"]
    stopped = agent.run("stop")
    assert stopped["stopped"]
    assert has(stopped["cancelled"], tool="kallyai_ask")
    assert agent.run("coord_goal", goal_id=goal_id)["status"] == "cancelled"
    assert agent.run("acts")["stopped"]["by"] == "the tool kallyai_stop"
    with agent.paying(0):
        assert agent.refused("calls_make", phone=NUMBER, task="Ask when they close")["code"] == "stopped"
