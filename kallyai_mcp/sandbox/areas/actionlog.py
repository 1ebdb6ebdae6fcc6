"""The log of actions: how an entry moves on, stops being undoable, and is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

UNDO_WINDOW = 300.0
"""Sandbox seconds during which an order can be taken back."""


def update(world: World, action_id: str, status: str, *, undoable: bool = False, **more: Any) -> None:
    """Set the state of an entry; what is not said to be undoable any longer never becomes so again."""
    action = world.get("action", action_id)
    if action is not None and action["status"] != "undone":
        kept = action["undoable"] and undoable
        world.save("action", action | more | {"status": status, "undoable": kept})


def close_window(world: World, data: dict[str, Any]) -> None:
    """Event: the time in which an action could be taken back is over."""
    action = world.get("action", data["action_id"])
    if action is not None and action["undoable"]:
        world.save("action", action | {"undoable": False})


def undo(world: World, action_id: str) -> dict[str, Any]:
    """Take an action back by the event that it names.

    Raises:
        Refusal: 404, or `action_not_undoable`.
    """
    action = world.need("action", action_id)
    if not action["undoable"] or not action.get("undo"):
        raise Refusal("action_not_undoable")
    how = dict(action["undo"])
    world.happen(how.pop("event"), **how)
    undone = world.need("action", action_id) | {"status": "undone", "undoable": False, "undone_at": world.now()}
    world.save("action", undone)
    return undone


def spend(world: World, document: dict[str, Any], credits_: float, type_: str, description: str) -> None:
    """Charge for a document, on the account of the goal it belongs to.

    Raises:
        Refusal: `quota_exceeded`.
    """
    world.charge(credits_, type=type_, description=description, goal_id=document.get("goal_id"))
    document["credits_used"] = round(document.get("credits_used", 0) + credits_, 2)


def refund(world: World, document: dict[str, Any], type_: str) -> None:
    """Return to the account what a document has cost."""
    if document.get("credits_used"):
        world.charge(
            -document["credits_used"],
            type=type_,
            description=f"Returned: {document.get('description') or document['id']}",
            goal_id=document.get("goal_id"),
        )
        document["credits_used"] = 0
