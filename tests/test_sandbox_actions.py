"""The sandbox's actions: calendar, bookings, bills, orders, mails, and the log that takes them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_api import SandboxApi, open_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api() -> AsyncGenerator[SandboxApi]:
    async with open_sandbox() as api:
        yield api


async def newest(api: SandboxApi, type_: str) -> dict[str, Any]:
    return (await api.run("actions log", type=type_, limit=1))["actions"][0]


# Calendar


async def test_an_event_takes_its_time_out_of_the_free_slots(api: SandboxApi) -> None:
    before = await api.run("actions calendar slots", date="2026-03-05", duration=60)
    event = await api.run(
        "actions calendar create", title="Review", start="2026-03-05T10:00", end="2026-03-05T11:00", location="Room 2"
    )
    during = await api.run("actions calendar slots", date="2026-03-05", duration=60)
    deleted = await api.run("actions calendar delete", event_id=event["id"])
    after = await api.run("actions calendar slots", date="2026-03-05", duration=60)

    assert {name: event[name] for name in ("title", "start", "end", "location")} == {
        "title": "Review",
        "start": "2026-03-05T10:00",
        "end": "2026-03-05T11:00",
        "location": "Room 2",
    }
    taken = [slot for slot in before["slots"] if slot not in during["slots"]]
    assert [slot["start"] for slot in taken] == ["2026-03-05T09:30", "2026-03-05T10:00", "2026-03-05T10:30"]
    assert deleted["status"] == "deleted"
    assert after == before


async def test_undoing_an_event_removes_it_and_undoing_its_removal_brings_it_back(api: SandboxApi) -> None:
    event = await api.run("actions calendar create", title="Review", start="2026-03-05T10:00")
    created = await newest(api, "calendar")
    await api.run("actions calendar delete", event_id=event["id"])
    removed = await newest(api, "calendar")

    assert await api.refused("actions undo", action_id=created["id"]) == (409, "action_not_undoable")
    await api.run("actions undo", action_id=removed["id"])
    assert api.world.get("event", event["id"]) == event
    undone = await api.run("actions undo", action_id=created["id"])
    assert (undone["status"], undone["undoable"]) == ("undone", False)
    assert api.world.get("event", event["id"]) is None


async def test_an_event_cannot_end_before_it_begins(api: SandboxApi) -> None:
    given = {"title": "Review", "start": "2026-03-05T10:00", "end": "2026-03-05T09:00"}
    assert await api.refused("actions calendar create", **given) == (422, "scheduling_violation")


async def test_synchronising_fails_while_an_event_of_that_title_exists(api: SandboxApi) -> None:
    assert (await api.run("actions calendar sync"))["status"] == "synced"
    event = await api.run("actions calendar create", title="Sync fails", start="2026-03-05T10:00")
    assert await api.refused("actions calendar sync") == (500, "calendar_sync_failed")
    await api.run("actions calendar delete", event_id=event["id"])
    assert (await api.run("actions calendar sync"))["status"] == "synced"


# Bookings


async def test_a_restaurant_search_finds_the_same_again_and_costs_half_a_credit(api: SandboxApi) -> None:
    left = await api.credits_left()
    given = {"query": "Italian", "location": "Springfield", "date": "2026-03-06", "time": "19:30"}
    first = await api.run("actions restaurant search", **given)
    second = await api.run("actions restaurant search", **given)

    assert first == second
    assert first["results"][0].keys() >= {
        "id", "name", "cuisine", "rating", "price_range", "phone", "address", "availability",
    }  # fmt: skip
    assert await api.credits_left() == pytest.approx(left - 1.0)


async def test_a_booking_is_confirmed_and_called_off(api: SandboxApi) -> None:
    found = await api.run("actions restaurant search", query="Thai")
    booking = await api.run(
        "actions booking create", type="restaurant", restaurant_id=found["results"][0]["id"], date="2026-03-06",
        time="19:30", party_size=2, name="Sam",
    )  # fmt: skip
    assert (booking["status"], booking["restaurant_name"]) == ("pending", found["results"][0]["name"])

    api.wait(60)
    assert api.world.need("booking", booking["id"])["status"] == "confirmed"
    assert (await newest(api, "booking"))["status"] == "completed"

    assert (await api.run("actions booking cancel", booking_id=booking["id"]))["status"] == "cancelled"
    assert (await api.run("actions booking cancel", booking_id=booking["id"]))["status"] == "cancelled"
    assert (await newest(api, "booking"))["undoable"] is False


async def test_undoing_a_booking_returns_its_credits(api: SandboxApi) -> None:
    left = await api.credits_left()
    booking = await api.run("actions booking create", type="hotel", date="2026-03-06")
    api.wait(60)
    action = await newest(api, "booking")

    assert action["undoable"] is True
    await api.run("actions undo", action_id=action["id"])

    assert api.world.need("booking", booking["id"])["status"] == "cancelled"
    assert await api.credits_left() == left
    assert await api.refused("actions undo", action_id=action["id"]) == (409, "action_not_undoable")


async def test_a_booking_cannot_be_undone_after_its_window(api: SandboxApi) -> None:
    await api.run("actions booking create", type="hotel")
    action = await newest(api, "booking")
    api.wait(301)
    assert await api.refused("actions undo", action_id=action["id"]) == (409, "action_not_undoable")


async def test_bookings_that_cannot_be_are_refused(api: SandboxApi) -> None:
    full = (await api.run("actions restaurant search", query="Fully booked tapas"))["results"][0]
    assert full["availability"] == "unavailable"
    booking = "actions booking create"
    assert await api.refused(booking, type="restaurant", restaurant_id=full["id"]) == (409, None)
    assert await api.refused(booking, type="restaurant", restaurant_id="rest_81b4") == (404, None)
    assert await api.refused(booking, type="hotel", date="2026-03-01") == (422, "scheduling_violation")
    assert await api.refused("actions booking cancel", booking_id="sbx_booking_none") == (404, None)


async def test_a_declined_booking_costs_nothing(api: SandboxApi) -> None:
    left = await api.credits_left()
    booking = await api.run("actions booking create", type="service", notes="to be declined")
    api.wait(60)
    assert api.world.need("booking", booking["id"])["status"] == "declined"
    assert await api.credits_left() == left


async def test_a_failing_search_is_free(api: SandboxApi) -> None:
    left = await api.credits_left()
    assert await api.refused("actions restaurant search", query="search fails") == (500, "search_failed")
    assert (await api.run("actions restaurant search", query="no results"))["results"] == []
    assert await api.credits_left() == pytest.approx(left - 0.5)


# Bills and orders


async def test_a_bill_is_judged_the_same_each_time_and_a_dispute_is_settled(api: SandboxApi) -> None:
    bill = {"description": "Internet, February", "amount": 500.0, "provider": "Wave"}
    first = await api.run("actions bill analyze", **bill)
    assert first == await api.run("actions bill analyze", **bill)
    assert first["analysis"]["overcharge_detected"] is True

    dispute = await api.run("actions bill dispute", **bill, reason="Twice the price agreed")
    assert (dispute["status"], dispute["undoable"]) == ("in_progress", False)
    api.wait(600)
    settled = next(a for a in (await api.run("actions log", type="bill"))["actions"] if a["id"] == dispute["id"])
    assert (settled["status"], settled["credited_amount"]) == ("completed", 100.0)


@pytest.mark.parametrize(
    ("words", "arguments", "price", "stages"),
    [
        ("actions ride", {"pickup": "Home", "destination": "Station"}, 0.5, ["driver_assigned", "on_board", "arrived"]),
        ("actions food", {"description": "Two pizzas"}, 0.5, ["preparing", "out_for_delivery", "delivered"]),
        ("actions errand", {"description": "Fetch the shirts"}, 1.0, ["under_way", "done"]),
    ],
)
async def test_an_order_moves_on_to_its_end(
    api: SandboxApi, words: str, arguments: dict[str, str], price: float, stages: list[str]
) -> None:
    left = await api.credits_left()
    order = await api.run(words, **arguments)
    assert (order["status"], order["undoable"], order["credits_used"]) == ("in_progress", True, price)
    assert await api.credits_left() == pytest.approx(left - price)

    seen: list[str] = []
    for _ in stages:
        api.wait(121)
        seen.append((await newest(api, order["type"]))["stage"])

    assert seen == stages
    assert (await newest(api, order["type"]))["status"] == "completed"
    assert await api.refused("actions undo", action_id=order["id"]) == (409, "action_not_undoable")


async def test_an_order_taken_back_at_once_costs_nothing_and_stops(api: SandboxApi) -> None:
    left = await api.credits_left()
    order = await api.run("actions ride", pickup="Home", destination="Station", time="2026-03-02T12:00")
    await api.run("actions undo", action_id=order["id"])
    api.wait(1000)
    assert (await newest(api, "ride"))["status"] == "undone"
    assert await api.credits_left() == left


async def test_an_order_that_is_given_up_costs_nothing(api: SandboxApi) -> None:
    left = await api.credits_left()
    order = await api.run("actions errand", description="An errand that fails")
    api.wait(130)
    assert (await newest(api, "errand"))["id"] == order["id"]
    assert (await newest(api, "errand"))["status"] == "failed"
    assert await api.credits_left() == left


async def test_without_credits_nothing_is_ordered(api: SandboxApi) -> None:
    before = await api.run("actions log")
    api.spend_all()
    assert await api.refused("actions errand", description="Fetch the shirts") == (402, "quota_exceeded")
    assert await api.refused("actions booking create", type="hotel") == (402, "quota_exceeded")
    assert await api.run("actions log") == before


# Mails


async def test_a_mail_waits_is_approved_leaves_and_is_answered(api: SandboxApi) -> None:
    left = await api.credits_left()
    mail = await api.run(
        "actions email send", to="desk@hotel.example", subject="Late", body="I come at 11.", cc="a@b.example"
    )
    assert mail["status"] == "pending_approval"
    assert (await api.run("actions email outbox"))["emails"][0] == mail
    assert await api.credits_left() == left

    assert (await api.run("actions email approve", email_id=mail["id"]))["status"] == "sending"
    assert await api.credits_left() == pytest.approx(left - 0.3)
    assert await api.refused("actions email approve", email_id=mail["id"]) == (409, None)
    assert await api.refused("actions email cancel", email_id=mail["id"]) == (409, None)
    api.wait(10)
    assert (await api.run("actions email outbox"))["emails"][0]["status"] == "sent"
    assert (await api.run("actions email replies", email_id=mail["id"]))["replies"] == []

    api.wait(200)
    (reply,) = (await api.run("actions email replies", email_id=mail["id"]))["replies"]
    (message, *_) = (await api.run("messages inbox", channel="email", unread=True))["messages"]
    thread = await api.run("messages thread", conversation_id=mail["conversation_id"])
    assert (reply["from"], reply["subject"]) == ("desk@hotel.example", "Re: Late")
    assert message["id"] == reply["message_id"]
    assert (await api.run("email read", message_id=reply["message_id"]))["body"] == reply["body"]
    assert [entry["id"] for entry in thread["messages"]] == [mail["id"], message["id"]]


async def test_a_waiting_mail_can_be_dropped_or_undone(api: SandboxApi) -> None:
    given = {"to": "desk@hotel.example", "subject": "Late", "body": "I come at 11."}
    dropped = await api.run("actions email send", **given)
    assert (await api.run("actions email cancel", email_id=dropped["id"]))["status"] == "cancelled"
    assert await api.refused("actions email approve", email_id=dropped["id"]) == (409, None)

    undone = await api.run("actions email send", **given)
    await api.run("actions undo", action_id=undone["action_id"])
    assert (await api.run("actions email outbox"))["emails"][0]["status"] == "cancelled"


async def test_an_address_that_refuses_mail_fails_free_of_charge(api: SandboxApi) -> None:
    left = await api.credits_left()
    mail = await api.run("actions email send", to="bounce@hotel.example", subject="Late", body="I come at 11.")
    assert await api.refused("actions email approve", email_id=mail["id"]) == (500, "email_send_failed")
    assert (await api.run("actions email outbox"))["emails"][0]["status"] == "failed"

    late = await api.run("actions email send", to="late-bounce@hotel.example", subject="Late", body="I come at 11.")
    await api.run("actions email approve", email_id=late["id"])
    api.wait(60)
    assert (await api.run("actions email outbox"))["emails"][0]["status"] == "failed"
    assert await api.credits_left() == left


async def test_mail_needs_a_connected_account(api: SandboxApi) -> None:
    mail = await api.run("actions email send", to="desk@hotel.example", subject="Late", body="I come at 11.")
    for account in (await api.run("email accounts"))["accounts"]:
        await api.run("email disconnect", account_id=account["id"])
    given = {"to": "desk@hotel.example", "subject": "Late", "body": "I come at 11."}
    assert await api.refused("actions email send", **given) == (400, "email_not_connected")
    assert await api.refused("actions email approve", email_id=mail["id"]) == (400, "email_not_connected")


@pytest.mark.parametrize("words", ["actions email approve", "actions email cancel", "actions email replies"])
async def test_an_unknown_mail_is_not_found(api: SandboxApi, words: str) -> None:
    assert await api.refused(words, email_id="sbx_email_none") == (404, None)


async def test_unknown_events_and_actions_are_not_found(api: SandboxApi) -> None:
    assert await api.refused("actions calendar delete", event_id="sbx_event_none") == (404, None)
    assert await api.refused("actions undo", action_id="sbx_action_none") == (404, None)


async def test_the_log_is_newest_first_and_shows_only_one_kind_when_asked(api: SandboxApi) -> None:
    await api.run("actions ride", pickup="Home", destination="Station")
    food = await api.run("actions food", description="Soup")
    log = await api.run("actions log", limit=2)
    assert log["actions"][0]["id"] == food["id"]
    assert [action["type"] for action in log["actions"]] == ["food", "ride"]
    assert {action["type"] for action in (await api.run("actions log", type="email"))["actions"]} == {"email"}
    assert "undo" not in log["actions"][0]
