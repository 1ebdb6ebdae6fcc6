"""What the agent does by telephone: calls, contacting people, received calls, numbers."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Any

from sandbox_agent import has, one

if TYPE_CHECKING:
    from sandbox_agent import Agent


def places_calls(agent: Agent) -> None:
    before = agent.run("calls_history")["total"]
    with agent.paying(1.1):
        call = agent.run("calls_make", phone="+12025550108", task="Book a haircut", name="Sam", business="Shear Joy")
    assert call["status"] == "success"
    assert call["credits_used"] == 1.1
    listed = agent.run("calls_history", limit=1)
    assert listed["total"] == before + 1
    assert listed["items"][0]["call_id"] == call["call_id"]
    assert agent.run("calls_info", call_id=call["call_id"]) == call
    assert agent.follow("wait", id=call["call_id"])["status"] == "success"
    said = agent.run("calls_transcript", call_id=call["call_id"])["entries"]
    assert {entry["speaker"] for entry in said} == {"AI", "HUMAN"}
    sound = agent.run("calls_recording", call_id=call["call_id"])
    with wave.open(io.BytesIO(agent.browser.get(sound["url"]).content)) as heard:
        assert heard.getnframes() > 0
    calendar = agent.file("calls_calendar", call_id=call["call_id"])
    assert calendar.startswith("BEGIN:VCALENDAR\r\n")
    assert "LOCATION:Shear Joy" in calendar
    with agent.paying(0):
        assert agent.run("calls_make", phone="+12025550101", task="Ask when they open")["status"] == "busy"
        assert agent.refused("calls_make", phone="+1911", task="Report a fire")["code"] == "emergency_number"
    assert agent.run("calls_history")["total"] == before + 2


def moves_and_ends_calls(agent: Agent) -> None:
    planned = one(agent.run("calls_history")["items"], status="scheduled")["call_id"]
    moved = agent.run("calls_reschedule", call_id=planned, date="2026-03-20", time="10:30")
    assert moved["scheduled_for"] == "2026-03-20T14:30:00Z"
    assert agent.run("calls_info", call_id=planned)["scheduled_for"] == moved["scheduled_for"]
    assert agent.run("calls_cancel", call_id=planned)["status"] == "cancelled"
    assert agent.run("calls_info", call_id=planned)["status"] == "cancelled"
    assert agent.refused("calls_cancel", call_id=planned)["http_status"] == 409
    agent.run("ask", message="Call +12025550107 and ask whether the sofa has come in")
    running = agent.run("calls_history", limit=1)["items"][0]
    assert running["status"] == "queued"
    agent.wait(20)
    assert agent.run("calls_info", call_id=running["call_id"])["status"] == "in_progress"
    with agent.paying(1.1):
        assert agent.run("calls_stop", call_id=running["call_id"])["status"] == "cancelled"
    assert agent.refused("calls_stop", call_id=running["call_id"])["http_status"] == 409


def contacts_people(agent: Agent) -> None:
    club = {"target": "club@books.example", "recipient_name": "Book club"}
    task = agent.run("outreach_create", description="Tell them that Thursday is off", **club)
    assert (task["status"], task["selected_channel"]) == ("pending", "email")
    assert has(agent.run("outreach_tasks", status="pending")["tasks"], id=task["id"])
    with agent.paying(0.3):
        agent.wait(90)
    assert agent.run("outreach_task", task_id=task["id"])["status"] == "completed"
    assert one(agent.run("outreach_tasks")["tasks"], id=task["id"])["completed_via_channel"] == "email"
    failed = one(agent.run("outreach_tasks", status="failed")["tasks"], recipient_name="Frame Shop")["id"]
    assert agent.run("outreach_retry", task_id=failed)["status"] == "pending"
    agent.wait(10)
    assert agent.run("outreach_task", task_id=failed)["status"] == "in_progress"
    assert agent.run("outreach_cancel", task_id=failed)["status"] == "cancelled"
    cancelled = agent.run("outreach_task", task_id=failed)
    assert [attempt["status"] for attempt in cancelled["attempts"]] == ["no_answer", "cancelled"]
    assert agent.run("calls_history", limit=1)["items"][0]["status"] == "cancelled"


def looks_after_received_calls(agent: Agent) -> None:
    number = agent.run("phone_list")["phone_numbers"][0]["phone_number"]
    active = agent.run("inbound_calls", status="active")["calls"]
    call_id = active[0]["id"]
    assert agent.run("inbound_call", call_id=call_id) == active[0]
    assert agent.run("inbound_takeover", call_id=call_id)["handled_by"] == "user"
    passed = agent.run("inbound_transfer", call_id=call_id, to="+12025550177")
    assert passed["status"] == "completed"
    assert agent.run("inbound_call", call_id=call_id)["status"] == "completed"
    assert agent.refused("inbound_transfer", call_id=call_id, to=number)["http_status"] == 409
    call_id = _called_back(agent)
    assert agent.run("inbound_reject", call_id=call_id, reason="busy")["status"] == "rejected"
    assert has(agent.run("inbound_calls", status="rejected")["calls"], id=call_id)
    done = one(agent.run("inbound_calls")["calls"], caller_name=active[0]["caller_name"], id=active[0]["id"])["id"]
    assert agent.run("inbound_transcript", call_id=done)["entries"]
    sound = agent.run("inbound_recording", call_id=done)
    assert agent.browser.get(sound["url"]).headers["content-type"] == "audio/wav"
    total = agent.run("inbound_summary")
    analysed = agent.run("inbound_analytics")
    assert total["total_calls"] == analysed["total_calls"] == agent.run("inbound_calls")["total"]
    assert sum(day["count"] for day in analysed["calls_by_day"]) == total["total_calls"]
    assert agent.run("inbound_analytics", date_from="2031-01-01")["total_calls"] == 0
    told = [event for event in agent.run("inbound_events")["events"] if event.get("call_id") == done]
    assert {"call_started", "call_taken_over"} <= {event["type"] for event in told}


def _called_back(agent: Agent) -> str:
    """Phone somebody who does not answer and soon calls back."""
    agent.run("calls_make", phone="+12025550109", task="Ask whether the chair is mended")
    for _ in range(20):
        agent.wait(10)
        if calls := agent.run("inbound_calls", status="active")["calls"]:
            return calls[0]["id"]
    raise AssertionError("nobody calls")


def hears_voicemails(agent: Agent) -> None:
    first = agent.run("inbound_voicemails")["voicemails"][0]
    assert agent.run("inbound_voicemail", voicemail_id=first["id"]) == first
    sound = agent.run("inbound_voicemail_playback", voicemail_id=first["id"])
    assert agent.browser.get(sound["url"]).content[:4] == b"RIFF"
    agent.gone("inbound_voicemail", voicemail_id="sbx_voicemail_none")


def keeps_rules(agent: Agent) -> None:
    rule = agent.run("inbound_add_rule", name="Nights", action="voicemail", priority=5)
    assert has(agent.run("inbound_rules")["rules"], id=rule["id"], name="Nights")
    assert agent.run("inbound_update_rule", rule_id=rule["id"], is_active=False)["priority"] == 5
    assert has(agent.run("inbound_rules")["rules"], id=rule["id"], is_active=False)
    agent.run("inbound_delete_rule", rule_id=rule["id"])
    assert not has(agent.run("inbound_rules")["rules"], id=rule["id"])
    agent.gone("inbound_delete_rule", rule_id=rule["id"])


def keeps_contacts(agent: Agent) -> None:
    contact = agent.run("inbound_add_contact", name="Dr Ode", phone="+12025550181", vip=True)
    assert contact["is_vip"]
    agent.run("inbound_update_contact", contact_id=contact["id"], notes="Mornings only", vip=False)
    kept = one(agent.run("inbound_contacts")["contacts"], id=contact["id"])
    assert (kept["notes"], kept["is_vip"], kept["name"]) == ("Mornings only", False, "Dr Ode")
    agent.run("inbound_delete_contact", contact_id=contact["id"])
    agent.gone("inbound_update_contact", contact_id=contact["id"], name="Dr Ode")
    before = agent.run("inbound_contacts")["total"]
    agent.run("inbound_import_contacts", source="google")
    agent.wait(30)
    assert agent.run("inbound_contacts")["total"] > before


def rents_numbers(agent: Agent) -> None:
    country = one(agent.run("phone_countries")["countries"], iso_country="GB")
    assert country["numbers_offered"]
    offered = agent.run("phone_available", country="GB")["numbers"]
    rented = agent.run("phone_provision", country="GB")
    assert rented["phone_number"] == offered[0]["phone_number"]
    assert not has(agent.run("phone_available", country="GB")["numbers"], phone_number=rented["phone_number"])
    which: dict[str, Any] = {"phone_number_id": rented["id"]}
    assert agent.run("phone_forwarding", **which, target="+12025550182")["forwarding_active"]
    assert has(agent.run("phone_list")["phone_numbers"], id=rented["id"], forwarding_number="+12025550182")
    assert not agent.run("phone_remove_forwarding", **which)["forwarding_active"]
    agent.run("phone_caller_id", **which, name="Sam Rivera")
    shown = agent.run("phone_info", **which)
    assert (shown["caller_id_name"], shown["forwarding_number"]) == ("Sam Rivera", None)
    agent.run("phone_release", **which)
    agent.gone("phone_info", **which)
    assert not has(agent.run("phone_list")["phone_numbers"], id=rented["id"])


def verifies_numbers(agent: Agent) -> None:
    started = agent.run("phone_verify_start", number="+12025550183")
    assert started["status"] == "pending"
    assert agent.refused("phone_verify_check", number="+12025550183", code="123456")["http_status"] == 422
    assert agent.run("phone_verify_check", number="+12025550183", code="000000")["verified"]
    agent.gone("phone_verify_check", number="+12025550183", code="000000")


SCRIPT = (
    places_calls,
    moves_and_ends_calls,
    contacts_people,
    looks_after_received_calls,
    hears_voicemails,
    keeps_rules,
    keeps_contacts,
    rents_numbers,
    verifies_numbers,
)
