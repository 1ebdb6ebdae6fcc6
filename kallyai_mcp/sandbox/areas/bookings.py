"""Restaurants and bookings: what a search finds, and how a booking is confirmed, declined, called off."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox import triggers
from kallyai_mcp.sandbox.areas import actionlog
from kallyai_mcp.sandbox.areas.paging import without
from kallyai_mcp.sandbox.clock import moment
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

SEARCH_PRICE = 0.5
BOOKING_PRICE = 0.5
CONFIRMED_AFTER = 40.0
"""Sandbox seconds until the place answers."""

_FIRST = ("Trattoria", "Casa", "Bistro", "Taverna", "Osteria", "Café", "The Old", "Little", "Blue", "Golden")
_SECOND = ("Verde", "Luna", "Moreno", "Harbour", "Garden", "Saffron", "Olive", "Lantern", "Fig", "Corner")
_CUISINES = ("Italian", "Spanish", "Japanese", "Indian", "Mexican", "French", "Thai", "Greek")
_STREETS = ("Mercer St", "Canal St", "Orchard St", "Bond St", "Grove St", "Pine St", "Elm Ave", "Mill Rd")


def chance(*parts: str | None) -> random.Random:
    """Return a source of chance that the same texts always make the same."""
    digest = hashlib.sha256("\0".join((part or "").casefold() for part in parts).encode()).digest()
    return random.Random(int.from_bytes(digest[:8]))  # noqa: S311 - results that must be repeatable


def find_restaurants(
    world: World,
    query: str,
    location: str | None = None,
    *,
    party_size: int | None = None,
    day: str | None = None,
    hour: str | None = None,
    name: str | None = None,
    goal_id: str | None = None,
) -> list[dict[str, Any]]:
    """Return the restaurants that a query finds; the same query and place find the same ones. Charged.

    Args:
        world: Where they are kept, for a booking.
        query: What to look for.
        location: Where.
        party_size: How many people, for whom there is room or not.
        day: Day wanted, ISO 8601.
        hour: Time wanted, HH:MM.
        name: Restaurant that is asked for by name; it is found first.
        goal_id: Goal it is done for.

    Raises:
        Refusal: `search_failed`, free; `quota_exceeded`; `scheduling_violation`.
    """
    check_time(world, day, hour)
    fixed = triggers.outcome("restaurant", query)
    if fixed == "fails":
        raise Refusal("search_failed")
    world.charge(SEARCH_PRICE, type="search", description=f"Restaurants: {query}", goal_id=goal_id)
    if fixed == "empty":
        return []
    random_ = chance("restaurant", query, location, name)
    cuisine = next((name for name in _CUISINES if name.casefold() in query.casefold()), None)
    found: list[dict[str, Any]] = []
    for rank in range(random_.randint(3, 5)):
        made_up = f"{random_.choice(_FIRST)} {random_.choice(_SECOND)}"
        street = f"{random_.randint(2, 198)} {random_.choice(_STREETS)}"
        restaurant: dict[str, Any] = {
            "id": f"sbx_restaurant_{random_.getrandbits(48):012x}",
            "name": name if name and rank == 0 else made_up,
            "cuisine": cuisine or random_.choice(_CUISINES),
            "rating": round(4.9 - rank * 0.2 - random_.random() * 0.2, 1),
            "price_range": "$" * random_.randint(1, 3),
            "phone": f"+121255501{random_.randint(20, 99)}",
            "address": f"{street}, {location}" if location else street,
        }
        if world.get("restaurant", restaurant["id"]) is None:
            world.add("restaurant", restaurant)
        world.save("restaurant", restaurant | {"full": fixed == "full"})
        free = "unavailable" if fixed == "full" else _availability(restaurant["id"], party_size, day, hour)
        found.append(restaurant | {"availability": free})
    return found


def _availability(restaurant_id: str, party_size: int | None, day: str | None, hour: str | None) -> str:
    if day is None and hour is None:
        return "unknown"
    return (
        "limited"
        if party_size and party_size > 8
        else chance(restaurant_id, day, hour).choice(("available", "available", "limited"))
    )


def check_time(world: World, day: str | None, hour: str | None) -> None:
    """Refuse a day, or a day and time, that is over.

    Raises:
        Refusal: `scheduling_violation`.
    """
    if day is not None and moment(f"{day}T{hour or '23:59'}") < world.clock.now():
        raise Refusal("scheduling_violation", "The time asked for is over.")


def book(
    world: World,
    *,
    type_: str,
    restaurant_id: str | None = None,
    day: str | None = None,
    hour: str | None = None,
    party_size: int | None = None,
    name: str | None = None,
    notes: str | None = None,
    goal_id: str | None = None,
) -> dict[str, Any]:
    """Ask for a booking, which the place answers by itself. Charged.

    Raises:
        Refusal: 404 for an unknown restaurant, 409 for one that is full, `scheduling_violation`, `quota_exceeded`.
    """
    restaurant = world.need("restaurant", restaurant_id) if restaurant_id else None
    if restaurant is not None and type_ != "restaurant":
        raise Refusal(status=422, message="restaurant_id goes with the type restaurant only.")
    if restaurant is not None and restaurant.get("full"):
        raise Refusal(status=409, message="The restaurant has no table free.")
    check_time(world, day, hour)
    where = restaurant["name"] if restaurant else type_
    booking: dict[str, Any] = {
        "id": world.new_id("booking"),
        "type": type_,
        "restaurant_id": restaurant_id,
        "restaurant_name": restaurant["name"] if restaurant else None,
        "date": day,
        "time": hour,
        "party_size": party_size,
        "name": name,
        "notes": notes,
        "status": "pending",
        "confirmation_code": None,
        "created_at": world.now(),
        "description": f"Booking: {where}",
        "goal_id": goal_id,
    }
    actionlog.spend(world, booking, BOOKING_PRICE, "booking", booking["description"])
    action = world.act(
        "booking",
        booking["description"],
        undoable=True,
        undo={"event": "booking_undone", "booking_id": booking["id"]},
        status="in_progress",
    )
    asked = {name: booking[name] for name in ("restaurant_id", "date", "time", "party_size", "name")}
    world.save("action", action | asked | {"booking_id": booking["id"]})
    booking = world.add("booking", booking | {"action_id": action["id"]})
    world.later(CONFIRMED_AFTER, "booking_answered", booking_id=booking["id"])
    world.later(actionlog.UNDO_WINDOW, "undo_window_closes", action_id=action["id"])
    return booking


def answered(world: World, data: dict[str, Any]) -> None:
    """Event: the place confirms or declines."""
    booking = world.get("booking", data["booking_id"])
    if booking is None or booking["status"] != "pending":
        return
    if triggers.outcome("booking", booking["notes"]) == "declined":
        actionlog.refund(world, booking, "booking")
        world.save("booking", booking | {"status": "declined"})
        actionlog.update(world, booking["action_id"], "failed")
        return
    code = f"{chance(booking['id']).getrandbits(24):06X}"
    world.save("booking", booking | {"status": "confirmed", "confirmation_code": code})
    actionlog.update(world, booking["action_id"], "completed", undoable=True)


def call_off(world: World, booking: dict[str, Any]) -> dict[str, Any]:
    """Cancel a booking; what it cost stays charged. One that is off already stays as it is."""
    if booking["status"] not in ("cancelled", "declined"):
        booking = booking | {"status": "cancelled", "cancelled_at": world.now()}
        world.save("booking", booking)
        actionlog.update(world, booking["action_id"], "cancelled")
    return booking


def undone(world: World, data: dict[str, Any]) -> None:
    """Event: a booking is taken back, and its credits with it."""
    booking = world.need("booking", data["booking_id"])
    actionlog.refund(world, booking, "booking")
    world.save("booking", booking | {"status": "cancelled", "cancelled_at": world.now()})


def shown(booking: dict[str, Any]) -> dict[str, Any]:
    """Return a booking as the API answers it."""
    return without(booking, "description")
