"""The coordinator: messages to it, its goals, conversations with it. It serves `ask` as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.areas import coord_seeds, goals, steering, talk
from kallyai_mcp.sandbox.areas.paging import page
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.commands.ask import (
        AskAssistant,
    )
    from kallyai_mcp.commands.coord import (
        AcceptOutcome,
        ApproveGoalStep,
        ArchiveGoal,
        ArchiveSeveralGoals,
        CancelGoal,
        CancelGoalTree,
        ContinueNegotiating,
        EscalateGoal,
        ListCoordinatorConversations,
        ListGoals,
        MessageCoordinator,
        ReadCoordinatorHistory,
        ShowGoal,
        ShowGoalBudget,
        ShowGoalTree,
        StartConversation,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()
area.event("goal_moves")(goals.move)
area.seeds(coord_seeds.seed)

_SHOWN = (
    "id",
    "title",
    "status",
    "description",
    "created_at",
    "updated_at",
    "credits_used",
    "credits_estimated",
    "parent_goal_id",
    "conversation_id",
    "question",
    "outcome",
    "budget",
)
_STEP_SHOWN = ("step", "description", "status", "result", "call_id", "email_id", "booking_id", "action_id", "goal_id")
_ACTIONS = {"call": "phone_call"}


def show(world: World, goal: dict[str, Any]) -> dict[str, Any]:
    """Return a goal as the API answers it."""
    steps = [{name: step[name] for name in _STEP_SHOWN if name in step} for step in goal["steps"]]
    return {name: goal[name] for name in _SHOWN} | {"credits_used": goals.spent(world, goal["id"]), "steps": steps}


@area.answers("ask")
def ask(world: World, args: AskAssistant) -> dict[str, Any]:
    return talk.hear(world, args.message, args.conversation_id)


@area.answers("coord message")
def message(world: World, args: MessageCoordinator) -> dict[str, Any]:
    return talk.hear(world, args.text, args.conversation_id)


@area.answers("coord goals")
def list_goals(world: World, args: ListGoals) -> dict[str, Any]:
    found = [
        goal
        for goal in sorted(world.all("goal", parent_goal_id=None), key=lambda goal: goal["created_at"], reverse=True)
        if args.status in (None, goal["status"])
    ]
    entries = [
        {name: goal[name] for name in ("id", "title", "status", "created_at")}
        | {
            "credits_used": goals.spent(world, goal["id"]),
            "sub_goal_count": len(goals.children(world, goal["id"])),
        }
        for goal in page(found, args)
    ]
    return {"goals": entries, "total": len(found)}


@area.answers("coord goal")
def goal(world: World, args: ShowGoal) -> dict[str, Any]:
    return show(world, goals.need(world, args.goal_id))


@area.answers("coord goal-tree")
def goal_tree(world: World, args: ShowGoalTree) -> dict[str, Any]:
    return _tree(world, goals.need(world, args.goal_id))


def _tree(world: World, root: dict[str, Any]) -> dict[str, Any]:
    below = [_tree(world, child) for child in goals.children(world, root["id"])]
    return show(world, root) | {"sub_goals": below}


@area.answers("coord cancel-goal")
def cancel_goal(world: World, args: CancelGoal) -> dict[str, Any]:
    return show(world, goals.cancel(world, goals.need_open(world, args.goal_id)))


@area.answers("coord cascade-cancel")
def cascade_cancel(world: World, args: CancelGoalTree) -> dict[str, Any]:
    root = goals.need_open(world, args.goal_id)
    cancelled = _cancel_below(world, root)
    return show(world, goals.need(world, root["id"])) | {"cancelled_goal_ids": cancelled}


def _cancel_below(world: World, root: dict[str, Any]) -> list[str]:
    cancelled: list[str] = []
    if root["status"] in goals.OPEN:
        goals.cancel(world, root)
        cancelled.append(root["id"])
    for child in goals.children(world, root["id"]):
        cancelled += _cancel_below(world, child)
    return cancelled


@area.answers("coord escalate")
def escalate(world: World, args: EscalateGoal) -> dict[str, Any]:
    return show(world, steering.escalate(world, goals.need_open(world, args.goal_id)))


@area.answers("coord approve-step")
def approve_step(world: World, args: ApproveGoalStep) -> dict[str, Any]:
    return show(world, steering.release(world, goals.need_open(world, args.goal_id)))


@area.answers("coord accept")
def accept(world: World, args: AcceptOutcome) -> dict[str, Any]:
    return show(world, steering.accept(world, goals.need(world, args.goal_id)))


@area.answers("coord continue")
def go_on(world: World, args: ContinueNegotiating) -> dict[str, Any]:
    return show(world, steering.go_on(world, goals.need_open(world, args.goal_id)))


@area.answers("coord archive")
def archive(world: World, args: ArchiveGoal) -> dict[str, Any]:
    return show(world, _archive(world, goals.need(world, args.goal_id)))


@area.answers("coord batch-archive")
def batch_archive(world: World, args: ArchiveSeveralGoals) -> dict[str, Any]:
    # All or none: a refusal takes back what was written.
    for goal_id in dict.fromkeys(args.goal_ids):
        _archive(world, goals.need(world, goal_id))
    return {"archived": list(dict.fromkeys(args.goal_ids)), "archived_count": len(set(args.goal_ids))}


def _archive(world: World, one: dict[str, Any]) -> dict[str, Any]:
    if one["status"] in goals.OPEN:
        raise Refusal(status=409, message="Only a goal that is completed or cancelled can be archived.")
    if one["status"] == "archived":
        return one
    return goals.save(world, one | {"status": "archived", "archived_from": one["status"]})


@area.answers("coord budget")
def budget(world: World, args: ShowGoalBudget) -> dict[str, Any]:
    one = goals.need(world, args.goal_id)
    used = goals.spent(world, one["id"])
    sums: dict[str, float] = {}
    for entry in _ledger(world, one):
        kind = str(entry["type"])
        action = _ACTIONS.get(kind, kind)
        sums[action] = round(sums.get(action, 0) + entry["credits"], 2)
    return {
        "goal_id": one["id"],
        "credits_estimated": one["credits_estimated"],
        "credits_used": used,
        "credits_remaining": max(0, round(one["credits_estimated"] - used, 2)),
        "breakdown": [{"action": action, "credits": credits_} for action, credits_ in sums.items()],
        "state": one["budget"]["state"],
        "credits_limit": one["budget"]["credits_limit"],
    }


def _ledger(world: World, root: dict[str, Any]) -> list[dict[str, Any]]:
    entries = world.all("ledger", goal_id=root["id"])
    for child in goals.children(world, root["id"]):
        entries += _ledger(world, child)
    return entries


@area.answers("coord history")
def history(world: World, args: ReadCoordinatorHistory) -> dict[str, Any]:
    if args.conversation_id:
        world.need("conversation", args.conversation_id)
        said = world.all("coordinator_message", conversation_id=args.conversation_id)
    else:
        said = world.all("coordinator_message")
    return {"messages": page(said[::-1], args)[::-1], "total": len(said)}


@area.answers("coord conversations")
def conversations(world: World, args: ListCoordinatorConversations) -> dict[str, Any]:
    said = world.all("coordinator_message")
    found = [
        {
            "id": one["id"],
            "title": one["title"],
            "created_at": one["created_at"],
            "message_count": sum(entry["conversation_id"] == one["id"] for entry in said),
        }
        for one in reversed(world.all("conversation"))
    ]
    return {"conversations": found, "total": len(found)}


@area.answers("coord new")
def new(world: World, args: StartConversation) -> dict[str, Any]:
    return {"conversation_id": world.add("conversation", {"title": "", "created_at": world.now()})["id"]}
