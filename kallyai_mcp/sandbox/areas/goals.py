"""Goals: how they begin, move on step by step, stop for the user, end.

    pending      waits for a budget or for consent to a step; a sub-goal also for its turn
    active       a step is being worked on
    needs_input  the user must answer, decide or try again; `question` says what
    completed, cancelled, archived

`goal_moves` is the one event. Whoever clears what a goal waits for lets it happen; it finds out by itself what is next.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.areas import plans, postbox, reach
from kallyai_mcp.sandbox.areas.understanding import Kind, Request
from kallyai_mcp.sandbox.areas.work import WORK, Stuck
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

OPEN = ("pending", "active", "needs_input")
BUDGET_CODES = {
    "approval_required": "budget_approval_required",
    "exceeded": "budget_exceeded",
    "soft_cap": "soft_cap_reached",
}
"""State of a budget that stops a goal, and the code that tells of it."""

_DONE = ("completed", "skipped", "cancelled")


def need(world: World, goal_id: str) -> dict[str, Any]:
    """Return a goal.

    Raises:
        Refusal: `goal_not_found`.
    """
    return world.need("goal", goal_id, "goal_not_found")


def need_open(world: World, goal_id: str) -> dict[str, Any]:
    """Return a goal that has not ended.

    Raises:
        Refusal: `goal_not_found`, `goal_already_completed`, `goal_already_cancelled`, 409 for an archived one.
    """
    goal = need(world, goal_id)
    if goal["status"] in ("completed", "cancelled"):
        raise Refusal(f"goal_already_{goal['status']}")
    if goal["status"] == "archived":
        raise Refusal(status=409, message="The goal is archived.")
    return goal


def create(
    world: World, request: Request, conversation_id: str | None, *, parent_goal_id: str | None = None
) -> dict[str, Any]:
    """Open a goal, and with it the sub-goals of a plan. It waits until `move`."""
    steps = plans.plan(request)
    now = world.now()
    goal = world.add(
        "goal",
        {
            "title": plans.title(request),
            "status": "pending",
            "description": request.text,
            "created_at": now,
            "updated_at": now,
            "credits_used": 0,
            "credits_estimated": plans.expected(steps),
            "parent_goal_id": parent_goal_id,
            "steps": steps,
            "conversation_id": conversation_id,
            "request": asdict(request),
            "facts": {"phone": request.phone, "email": request.email},
            "question": None,
            "outcome": None,
            "turn": 0,
        },
    )
    if request.kind is Kind.PLAN:
        for step, part in zip((s for s in steps if s["do"] == "sub_goal"), plans.sub_requests(request), strict=True):
            sub = create(world, part, conversation_id, parent_goal_id=goal["id"])
            step["goal_id"] = sub["id"]
            goal["credits_estimated"] = round(goal["credits_estimated"] + sub["credits_estimated"], 2)
    if parent_goal_id is None:
        goal["budget"] = plans.budget(request, goal["credits_estimated"])
    else:
        goal["budget"] = {"state": "none", "credits_limit": None, "soft_cap": None, "enforced": False}
    return save(world, goal)


def save(world: World, goal: dict[str, Any]) -> dict[str, Any]:
    """Keep a goal, with what it has cost by now."""
    goal |= {"updated_at": world.now(), "credits_used": spent(world, goal["id"])}
    world.save("goal", goal)
    return goal


def children(world: World, goal_id: str) -> list[dict[str, Any]]:
    """Return the goals directly below a goal."""
    return world.all("goal", parent_goal_id=goal_id)


def spent(world: World, goal_id: str) -> float:
    """Return the credits charged for a goal and everything below it."""
    own = sum(entry["credits"] for entry in world.all("ledger", goal_id=goal_id))
    return round(own + sum(spent(world, child["id"]) for child in children(world, goal_id)), 2)


def move(world: World, data: dict[str, Any]) -> None:
    """Event: see what is next for a goal. A `turn` that is over, or a goal that waits for the user, changes nothing."""
    goal = world.get("goal", data["goal_id"])
    if goal is None or goal["status"] not in ("pending", "active"):
        return
    if data.get("turn") is not None and data["turn"] != goal["turn"]:
        return
    if _stopped_by_budget(world, goal):
        return
    step = next((s for s in goal["steps"] if s["status"] not in _DONE), None)
    if step is None:
        complete(world, goal)
        return
    try:
        _work(world, goal, step)
    except Stuck as stuck:
        step["status"] = stuck.step_status
        ask(world, goal, stuck.question)
    except Refusal as refusal:
        step["status"] = "failed"
        ask(world, goal, refusal.message)


def _stopped_by_budget(world: World, goal: dict[str, Any]) -> bool:
    limits = goal["budget"]
    if limits["state"] in BUDGET_CODES:
        if goal["status"] != "pending":
            save(world, goal | {"status": "pending"})
        return True
    used = spent(world, goal["id"])
    ahead = sum(_price(world, step) for step in [s for s in goal["steps"] if s["status"] == "pending"][:1])
    if (
        limits["soft_cap"] is not None
        and used >= limits["soft_cap"]
        and any(step["status"] not in _DONE for step in goal["steps"])
    ):
        limits |= {"state": "soft_cap", "soft_cap": None}
    elif limits["enforced"] and ahead and used + ahead > limits["credits_limit"]:
        limits |= {"state": "exceeded", "enforced": False}
    else:
        return False
    save(world, goal | {"status": "pending"})
    return True


def _price(world: World, step: dict[str, Any]) -> float:
    return need(world, step["goal_id"])["credits_estimated"] if step["do"] == "sub_goal" else plans.expected([step])


def _work(world: World, goal: dict[str, Any], step: dict[str, Any]) -> None:
    work = WORK[step["do"]]
    if step["status"] in ("pending", "waiting_for_approval"):
        settled_elsewhere = step["status"] == "waiting_for_approval" and work.is_settled(world, step)
        if step["consent"] and not step.get("released") and not settled_elsewhere:
            step["status"] = "waiting_for_approval"
            save(world, goal | {"status": "pending"})
            return
        step["status"] = "in_progress"
        if not settled_elsewhere:
            wait(world, goal, work.begin(world, goal, step))
            return
    seconds = work.check(world, goal, step)
    if seconds == 0:
        step["status"] = "completed"
    wait(world, goal, seconds)


def wait(world: World, goal: dict[str, Any], seconds: float) -> None:
    """Keep a goal as active and look at it again after so many seconds."""
    goal |= {"status": "active", "question": None, "turn": goal["turn"] + 1}
    save(world, goal)
    world.later(seconds, "goal_moves", goal_id=goal["id"], turn=goal["turn"])


def ask(world: World, goal: dict[str, Any], question: str) -> None:
    """Stop a goal until the user has answered."""
    save(world, goal | {"status": "needs_input", "question": question, "turn": goal["turn"] + 1})


def resume(world: World, goal: dict[str, Any]) -> dict[str, Any]:
    """Let a goal that was stopped go on: what failed or was asked about is begun again."""
    for step in goal["steps"]:
        if step["status"] in ("failed", "needs_input"):
            step["status"] = "pending"
    save(world, goal | {"status": "active", "question": None, "turn": goal["turn"] + 1})
    move(world, {"goal_id": goal["id"]})
    return need(world, goal["id"])


def complete(world: World, goal: dict[str, Any], *, accepted: bool = False) -> dict[str, Any]:
    """End a goal well."""
    for step in goal["steps"]:
        if step["status"] not in _DONE:
            step["status"] = "completed" if step["do"] == "offer" else "skipped"
    results = [step["result"] for step in goal["steps"] if step.get("result")]
    outcome = (goal["outcome"] or {"summary": results[-1] if results else "Done."}) | {"accepted": accepted}
    now = {"completed_at": world.now(), "question": None, "outcome": outcome, "turn": goal["turn"] + 1}
    goal = save(world, goal | {"status": "completed"} | now)
    _tell_parent(world, goal)
    return goal


def cancel(world: World, goal: dict[str, Any]) -> dict[str, Any]:
    """Call a goal off: the call that is running ends, the mail that waits is dropped."""
    for step in goal["steps"]:
        if step["status"] in _DONE:
            continue
        step["status"] = "cancelled"
        if call_id := step.get("call_id"):
            reach.hang_up(world, call_id)
        mail = world.get("outbox_email", step.get("email_id") or "")
        if mail is not None and mail["status"] == "pending_approval":
            postbox.cancel(world, mail)
    ended = {"status": "cancelled", "cancelled_at": world.now(), "question": None, "turn": goal["turn"] + 1}
    goal = save(world, goal | ended)
    _tell_parent(world, goal)
    return goal


def _tell_parent(world: World, goal: dict[str, Any]) -> None:
    if goal["parent_goal_id"]:
        world.later(0, "goal_moves", goal_id=goal["parent_goal_id"])


def check_budget(goal: dict[str, Any]) -> None:
    """Refuse to go on with a goal whose budget is not settled.

    Raises:
        Refusal: `budget_approval_required`, `budget_exceeded` or `soft_cap_reached`.
    """
    code = BUDGET_CODES.get(goal["budget"]["state"])
    if code is not None:
        raise Refusal(
            code, details={"credits_estimated": goal["credits_estimated"], "credits_used": goal["credits_used"]}
        )
