"""What the agent gets done: appointments, bookings, bills, orders, searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox_agent import has, one

if TYPE_CHECKING:
    from sandbox_agent import Agent


def keeps_the_calendar(agent: Agent) -> None:
    day = "2026-03-20"
    free = agent.run("actions_calendar_slots", date=day, duration=60)["slots"]
    taken = free[0]
    event = agent.run("actions_calendar_create", title="Dentist", start=taken["start"], end=taken["end"])
    assert taken not in agent.run("actions_calendar_slots", date=day, duration=60)["slots"]
    count = agent.run("actions_calendar_sync")["event_count"]
    deleted = agent.run("actions_calendar_delete", event_id=event["id"])
    agent.gone("actions_calendar_delete", event_id=event["id"])
    assert agent.run("actions_calendar_sync")["event_count"] == count - 1
    assert agent.run("actions_undo", action_id=deleted["action_id"])["status"] == "undone"
    assert agent.run("actions_calendar_sync")["event_count"] == count


def books(agent: Agent) -> None:
    with agent.paying(0.5):
        found = agent.run("actions_restaurant_search", query="Italian", location="SoHo", party_size=2)["results"]
    wish: dict[str, Any] = {"type": "restaurant", "date": "2026-03-21", "time": "19:30", "party_size": 2}
    with agent.paying(0.5):
        booking = agent.run("actions_booking_create", **wish, restaurant_id=found[0]["id"])
    assert (booking["status"], booking["restaurant_name"]) == ("pending", found[0]["name"])
    agent.wait(60)
    assert agent.run("actions_booking_cancel", booking_id=booking["id"])["confirmation_code"]
    logged = one(agent.run("actions_log", type="booking", limit=5)["actions"], id=booking["action_id"])
    assert logged["status"] == "cancelled"
    with agent.paying(0):
        again = agent.run("actions_booking_create", **wish)
        agent.run("actions_undo", action_id=again["action_id"])
    assert agent.refused("actions_undo", action_id=again["action_id"])["code"] == "action_not_undoable"
    agent.gone("actions_booking_cancel", booking_id="sbx_booking_none")


def questions_bills(agent: Agent) -> None:
    with agent.paying(1):
        judged = agent.run("actions_bill_analyze", description="Internet, 100 Mbit/s", amount=400, provider="Acme")
    assert judged["analysis"]["overcharge_detected"]
    with agent.paying(1):
        dispute = agent.run("actions_bill_dispute", description="Internet, 100 Mbit/s", amount=400, reason="Doubled")
    agent.wait(300)
    settled = one(agent.run("actions_log", type="bill")["actions"], id=dispute["id"])
    assert (settled["status"], settled["credited_amount"]) == ("completed", 80)


def orders(agent: Agent) -> None:
    with agent.paying(0.5):
        ride = agent.run("actions_ride", pickup="Main St 1", destination="Airport")
    with agent.paying(0.5):
        meal = agent.run("actions_food", description="Two pizzas", address="Main St 1")
    agent.wait(400)
    for kind, order, stage in (("ride", ride, "arrived"), ("food", meal, "delivered")):
        assert one(agent.run("actions_log", type=kind)["actions"], id=order["id"])["stage"] == stage
    with agent.paying(0):
        errand = agent.run("actions_errand", description="Collect the parcel")
        agent.run("actions_undo", action_id=errand["id"])
    assert has(agent.run("actions_log", type="errand")["actions"], id=errand["id"], status="undone")


def searches(agent: Agent) -> None:
    with agent.paying(0.5):
        full = agent.run("search_run", query="Plumbers", location="Boston")
    with agent.paying(0.5):
        quick = agent.run("search_quick", query="Plumbers")
    assert all("Boston" in result["address"] for result in full["results"])
    assert 0 < len(quick["results"]) <= len(full["results"])
    kept = agent.run("search_history")["searches"]
    assert [entry["id"] for entry in kept[:2]] == [quick["search_id"], full["search_id"]]
    assert {"id", "name"} <= agent.run("search_sources")["sources"][0].keys()


SCRIPT = (keeps_the_calendar, books, questions_bills, orders, searches)
