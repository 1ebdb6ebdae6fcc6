"""Actions: calendar, restaurants and bookings, bills, rides, meals, errands, mails, and the log that undoes them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox import triggers
from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.areas import actionlog, bookings, postbox, tasks
from kallyai_mcp.sandbox.areas.paging import page
from kallyai_mcp.sandbox.clock import moment
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.commands.actions import (
        AnalyzeBill,
        CancelBooking,
        CancelQueuedEmail,
        CreateBooking,
        CreateCalendarEvent,
        DeleteCalendarEvent,
        DisputeBill,
        DraftEmail,
        ListActions,
        ListEmailReplies,
        ListFreeSlots,
        ListOutbox,
        OrderFood,
        OrderRide,
        RunErrand,
        SearchRestaurants,
        SendQueuedEmail,
        SyncCalendar,
        UndoAction,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()

_OPEN, _CLOSE = time(9), time(18)
"""Hours in which free times are looked for."""
_LENGTH = timedelta(hours=1)
"""Length of an event that states no end."""
_SLOT_MINUTES = 30

area.event("undo_window_closes")(actionlog.close_window)
area.event("booking_answered")(bookings.answered)
area.event("booking_undone")(bookings.undone)
area.event("order_moves")(tasks.moves)
area.event("order_undone")(tasks.undone)
area.event("mail_leaves")(postbox.leaves)
area.event("mail_bounces")(postbox.bounces)
area.event("mail_answered")(postbox.answered)
area.event("mail_undone")(postbox.undone)


# Calendar


@area.answers("actions calendar create")
def create_event(world: World, args: CreateCalendarEvent) -> dict[str, Any]:
    end = args.end or (datetime.fromisoformat(args.start) + _LENGTH).isoformat(timespec="minutes")
    if moment(end) <= moment(args.start):
        raise Refusal("scheduling_violation", "The end must be after the start.")
    event = {
        "title": args.title,
        "start": args.start,
        "end": end,
        "location": args.location,
        "description": args.description,
        "created_at": world.now(),
    }
    event = world.add("event", event)
    undo = {"event": "event_undone", "event_id": event["id"]}
    world.act("calendar", f"Event: {args.title}", undoable=True, undo=undo)
    return event


@area.answers("actions calendar slots")
def slots(world: World, args: ListFreeSlots) -> dict[str, Any]:
    now = world.clock.now()
    day = args.date or now.date().isoformat()
    step, length = timedelta(minutes=_SLOT_MINUTES), timedelta(minutes=args.duration or _SLOT_MINUTES)
    at = datetime.combine(datetime.fromisoformat(day), _OPEN, UTC)
    close = datetime.combine(at, _CLOSE, UTC)
    taken = [(moment(event["start"]), moment(event["end"])) for event in world.all("event")]
    free: list[dict[str, str]] = []
    while at + length <= close:
        if at >= now and not any(start < at + length and at < end for start, end in taken):
            free.append({"start": f"{at:%Y-%m-%dT%H:%M}", "end": f"{at + length:%Y-%m-%dT%H:%M}"})
        at += step
    return {"date": day, "duration_minutes": args.duration or _SLOT_MINUTES, "slots": free}


@area.answers("actions calendar sync")
def sync(world: World, args: SyncCalendar) -> dict[str, Any]:
    events = world.all("event")
    if any(triggers.outcome("calendar", event["title"]) == "fails" for event in events):
        raise Refusal("calendar_sync_failed")
    return {"status": "synced", "provider": "google", "event_count": len(events), "synced_at": world.now()}


@area.answers("actions calendar delete")
def delete_event(world: World, args: DeleteCalendarEvent) -> dict[str, Any]:
    event = world.need("event", args.event_id)
    _remove_event(world, event)
    undo = {"event": "event_restored", "document": event}
    action = world.act("calendar", f"Event removed: {event['title']}", undoable=True, undo=undo)
    return {"id": event["id"], "status": "deleted", "action_id": action["id"]}


@area.event("event_undone")
def event_undone(world: World, data: dict[str, Any]) -> None:
    _remove_event(world, world.need("event", data["event_id"]))


@area.event("event_restored")
def event_restored(world: World, data: dict[str, Any]) -> None:
    event = data["document"]
    world.add("event", event)
    undo = {"event": "event_undone", "event_id": event["id"]}
    for action in world.all("action", type="calendar", undo=undo, status="completed"):
        world.save("action", action | {"undoable": True})


def _remove_event(world: World, event: dict[str, Any]) -> None:
    world.delete("event", event["id"])
    for action in world.all("action", type="calendar", undo={"event": "event_undone", "event_id": event["id"]}):
        world.save("action", action | {"undoable": False})


# Restaurants and bookings


@area.answers("actions restaurant search")
def search_restaurants(world: World, args: SearchRestaurants) -> dict[str, Any]:
    found = bookings.find_restaurants(
        world, args.query, args.location, party_size=args.party_size, day=args.date, hour=args.time
    )
    return {"results": found}


@area.answers("actions booking create")
def create_booking(world: World, args: CreateBooking) -> dict[str, Any]:
    booking = bookings.book(
        world,
        type_=args.type,
        restaurant_id=args.restaurant_id,
        day=args.date,
        hour=args.time,
        party_size=args.party_size,
        name=args.name,
        notes=args.notes,
    )
    return bookings.shown(booking)


@area.answers("actions booking cancel")
def cancel_booking(world: World, args: CancelBooking) -> dict[str, Any]:
    return bookings.shown(bookings.call_off(world, world.need("booking", args.booking_id)))


# Bills and orders


@area.answers("actions bill analyze")
def analyse_bill(world: World, args: AnalyzeBill) -> dict[str, Any]:
    return tasks.analyse(world, args.description, args.amount, args.provider)


@area.answers("actions bill dispute")
def dispute_bill(world: World, args: DisputeBill) -> dict[str, Any]:
    facts: dict[str, Any] = {"amount": args.amount, "provider": args.provider, "reason": args.reason}
    return tasks.shown(tasks.order(world, "bill", args.description, **facts))


@area.answers("actions ride")
def ride(world: World, args: OrderRide) -> dict[str, Any]:
    if args.time and moment(args.time) < world.clock.now():
        raise Refusal("scheduling_violation", "The time asked for is over.")
    facts = {"pickup": args.pickup, "destination": args.destination, "pickup_time": args.time}
    return tasks.shown(tasks.order(world, "ride", f"Ride from {args.pickup} to {args.destination}", **facts))


@area.answers("actions food")
def food(world: World, args: OrderFood) -> dict[str, Any]:
    return tasks.shown(tasks.order(world, "food", args.description, delivery_address=args.address))


@area.answers("actions errand")
def errand(world: World, args: RunErrand) -> dict[str, Any]:
    return tasks.shown(tasks.order(world, "errand", args.description))


# Mails


@area.answers("actions email send")
def send(world: World, args: DraftEmail) -> dict[str, Any]:
    return postbox.shown(postbox.draft(world, args.to, args.subject, args.body, cc=args.cc))


@area.answers("actions email approve")
async def approve(world: World, args: SendQueuedEmail) -> dict[str, Any]:
    # Async, since a refusal takes back what a plain handler wrote, and the outbox must tell of the failure.
    with world.transaction():
        mail = postbox.approve(world, world.need("outbox_email", args.email_id))
    if mail["status"] == "failed":
        raise Refusal("email_send_failed")
    return postbox.shown(mail)


@area.answers("actions email cancel")
def cancel_mail(world: World, args: CancelQueuedEmail) -> dict[str, Any]:
    return postbox.shown(postbox.cancel(world, world.need("outbox_email", args.email_id)))


@area.answers("actions email outbox")
def outbox(world: World, args: ListOutbox) -> dict[str, Any]:
    mails = [postbox.shown(mail) for mail in reversed(world.all("outbox_email"))]
    return {"emails": mails, "total": len(mails)}


@area.answers("actions email replies")
def replies(world: World, args: ListEmailReplies) -> dict[str, Any]:
    mail = world.need("outbox_email", args.email_id)
    found = world.all("reply", email_id=mail["id"])
    return {"email_id": mail["id"], "replies": found, "total": len(found)}


# Log


@area.answers("actions log")
def log(world: World, args: ListActions) -> dict[str, Any]:
    entries = world.all("action", type=args.type) if args.type else world.all("action")
    return {"actions": [tasks.shown(entry) for entry in page(entries[::-1], args)], "total": len(entries)}


@area.answers("actions undo")
def undo(world: World, args: UndoAction) -> dict[str, Any]:
    return tasks.shown(actionlog.undo(world, args.action_id))
