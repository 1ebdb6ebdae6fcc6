"""What waits for the user, gathered from the other subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.areas.goals import BUDGET_CODES

if TYPE_CHECKING:
    from kallyai_mcp.commands.notifications import ShowPendingNotifications
    from kallyai_mcp.sandbox.world import World

area = Area()


@area.answers("notifications pending")
def pending(world: World, args: ShowPendingNotifications) -> dict[str, Any]:
    goals = world.all("goal")
    groups = {
        "actions": _group([*_mails(world), *_budgets(goals), *_steps(goals)]),
        "goals": _group(
            [
                {"id": goal["id"], "status": "needs_input", "summary": goal.get("question") or goal["title"]}
                for goal in goals
                if goal["status"] == "needs_input"
            ]
        ),
        "inbox": _group(
            [
                {"id": message["id"], "channel": message["channel"], "preview": message["preview"]}
                for message in world.all("message", unread=True)
            ]
        ),
    }
    return {
        **groups,
        "total_pending": sum(group["count"] for group in groups.values()),
        "active_goal": _active(goals),
        "generated_at": world.now(),
    }


def _group(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"count": len(items), "items": items}


def _mails(world: World) -> list[dict[str, Any]]:
    return [
        {"id": mail["id"], "type": "email_approval", "summary": f"Mail to {mail['to']}: {mail['subject']}"}
        for mail in world.all("outbox_email", status="pending_approval")
    ]


def _budgets(goals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"id": goal["id"], "type": "budget_approval", "summary": f"Budget of {goal['title']}"}
        for goal in goals
        if goal["status"] == "pending" and goal["budget"]["state"] in BUDGET_CODES
    ]


def _steps(goals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the steps that wait for consent; a mail's is listed as the mail itself."""
    return [
        {"id": goal["id"], "type": "step_approval", "summary": f"{goal['title']}: {step['description']}"}
        for goal in goals
        if goal["status"] == "pending"
        for step in goal.get("steps", [])
        if step["status"] == "waiting_for_approval" and step.get("do") != "mail"
    ]


def _active(goals: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the goal worked on last, with its step."""
    active = [goal for goal in goals if goal["status"] == "active"]
    if not active:
        return None
    goal = max(active, key=lambda goal: str(goal.get("updated_at", "")))
    step = next((step for step in goal.get("steps", []) if step["status"] == "in_progress"), None)
    return {
        "id": goal["id"],
        "summary": goal["title"],
        "status": goal["status"],
        "current_step_description": step["description"] if step else None,
    }
