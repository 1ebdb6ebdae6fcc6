"""The receptionist in the sandbox: received calls, rules, voicemails, contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kallyai_mcp.sandbox.areas.inbound import EVERY, TALK
from tests.sandbox_telephone import Telephone

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

SPARE = "+12025550170"
PRIYA = "+12025550166"


async def active_call(phone: Telephone) -> str:
    return (await phone.got("inbound calls", status="active"))["calls"][0]["id"]


def ring(phone: Telephone, number: str) -> None:
    phone.world.happen("incoming_call", number=number)


async def newest(phone: Telephone) -> dict[str, Any]:
    return (await phone.got("inbound calls", limit=1))["calls"][0]


async def test_a_world_begins_with_calls_of_every_kind() -> None:
    phone = Telephone(speed=0)
    found = await phone.got("inbound calls")
    assert {call["status"] for call in found["calls"]} == {"active", "completed", "missed", "rejected"}
    assert found["total"] == len(found["calls"])
    times = [call["created_at"] for call in found["calls"]]
    assert times == sorted(times, reverse=True)


FILTERS: tuple[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]], ...] = (
    ({"status": "missed"}, lambda call: call["status"] == "missed"),
    ({"vip_only": True}, lambda call: call["is_vip"]),
    ({"date_from": "2026-02-26"}, lambda call: call["created_at"] >= "2026-02-26"),
    ({"date_to": "2026-02-26"}, lambda call: call["created_at"] < "2026-02-27"),
    ({"date_from": "2026-02-26", "date_to": "2026-02-26"}, lambda call: call["created_at"][:10] == "2026-02-26"),
)


@pytest.mark.parametrize(("wanted", "kept"), FILTERS)
async def test_calls_are_filtered(wanted: dict[str, Any], kept: Callable[[dict[str, Any]], bool]) -> None:
    phone = Telephone(speed=0)
    whole = (await phone.got("inbound calls"))["calls"]
    expected = [call for call in whole if kept(call)]
    assert 0 < len(expected) < len(whole)
    assert (await phone.got("inbound calls", **wanted))["calls"] == expected


async def test_calls_are_paged_and_a_bad_date_is_refused() -> None:
    phone = Telephone(speed=0)
    whole = await phone.got("inbound calls")
    part = await phone.got("inbound calls", limit=2, offset=1)
    assert part == {"calls": whole["calls"][1:3], "total": whole["total"]}
    assert await phone.refused("inbound calls", date_from="yesterday") == (422, None)


async def test_a_completed_call_can_be_read_and_heard() -> None:
    phone = Telephone(speed=0)
    call = (await phone.got("inbound calls", status="completed"))["calls"][0]
    assert await phone.got("inbound call", call_id=call["id"]) == call
    assert call["summary"]
    said = await phone.got("inbound transcript", call_id=call["id"])
    assert {entry["speaker"] for entry in said["entries"]} == {"AI", "HUMAN"}
    sound = await phone.got("inbound recording", call_id=call["id"])
    assert sound["url"].endswith(f"/recordings/{call['id']}.wav")
    assert sound["duration_seconds"] == call["duration_seconds"]


async def test_a_missed_call_left_a_voicemail_and_nothing_else() -> None:
    phone = Telephone(speed=0)
    call = (await phone.got("inbound calls", status="missed"))["calls"][0]
    assert await phone.refused("inbound transcript", call_id=call["id"]) == (404, "transcript_not_found")
    assert await phone.refused("inbound recording", call_id=call["id"]) == (404, "recording_not_found")
    listed = (await phone.got("inbound voicemails"))["voicemails"]
    voicemail = await phone.got("inbound voicemail", voicemail_id=call["voicemail_id"])
    assert voicemail in listed
    assert voicemail["transcript"]
    sound = await phone.got("inbound voicemail-playback", voicemail_id=voicemail["id"])
    assert sound["url"].endswith(f"/recordings/{voicemail['id']}.wav")
    assert await phone.refused("inbound voicemail", voicemail_id="sbx_none") == (404, None)


@pytest.mark.parametrize(
    ("words", "more", "after"),
    [
        ("transfer", {"to": SPARE}, {"status": "completed", "handled_by": "transfer", "transferred_to": SPARE}),
        ("reject", {}, {"status": "rejected", "reject_reason": "user_rejected"}),
        ("reject", {"reason": "busy"}, {"status": "rejected", "reject_reason": "busy"}),
        ("takeover", {}, {"status": "active", "handled_by": "user"}),
    ],
)
async def test_an_active_call_is_dealt_with_once(words: str, more: dict[str, Any], after: dict[str, Any]) -> None:
    phone = Telephone(speed=0)
    call_id = await active_call(phone)
    phone.world.clock.advance(20)
    dealt = await phone.got(f"inbound {words}", call_id=call_id, **more)
    assert {name: dealt[name] for name in after} == after
    assert await phone.got("inbound call", call_id=call_id) == dealt
    assert await phone.refused(f"inbound {words}", call_id=call_id, **more) == (409, None)


async def test_a_call_taken_over_ends_by_itself() -> None:
    phone = Telephone(speed=0)
    call_id = await active_call(phone)
    await phone.got("inbound takeover", call_id=call_id)
    phone.world.clock.advance(TALK + 1)
    assert (await phone.got("inbound call", call_id=call_id))["status"] == "completed"


async def test_a_call_is_not_passed_on_to_an_emergency_service() -> None:
    phone = Telephone(speed=0)
    call_id = await active_call(phone)
    assert await phone.refused("inbound transfer", call_id=call_id, to="+1911") == (422, "emergency_number")


@pytest.mark.parametrize("words", ["call", "transcript", "recording", "takeover", "reject"])
async def test_an_unknown_received_call_is_not_found(words: str) -> None:
    phone = Telephone(speed=0)
    assert await phone.refused(f"inbound {words}", call_id="sbx_inbound_none") == (404, "call_not_found")


async def test_without_a_number_nothing_comes_in_and_nothing_is_routed() -> None:
    phone = Telephone(speed=0)
    call_id = await active_call(phone)
    for number in phone.world.all("phone_number"):
        await phone.got("phone release", phone_number_id=number["id"])
    before = len(phone.world.all("inbound_call"))
    ring(phone, PRIYA)
    assert len(phone.world.all("inbound_call")) == before
    assert await phone.refused("inbound add-rule", name="All", action="reject") == (400, "phone_not_provisioned")
    assert await phone.refused("inbound takeover", call_id=call_id) == (400, "phone_not_provisioned")


async def test_calls_come_in_now_and_then() -> None:
    phone = Telephone(speed=0)
    before = (await phone.got("inbound calls"))["total"]
    phone.world.clock.advance(3 * EVERY + 200)
    assert (await phone.got("inbound calls"))["total"] == before + 3


@pytest.mark.parametrize(
    ("rule", "after"),
    [
        ({"action": "reject"}, {"status": "rejected"}),
        ({"action": "voicemail"}, {"status": "missed"}),
        ({"action": "transfer", "action_config": {"target_number": SPARE}}, {"transferred_to": SPARE}),
        ({"action": "answer"}, {"status": "active"}),
        ({"action": "reject", "is_active": False}, {"status": "active"}),
        ({"action": "reject", "conditions": {"caller_vip": False}}, {"status": "active"}),
        ({"action": "reject", "conditions": {"caller_number": PRIYA}}, {"status": "rejected"}),
        ({"action": "reject", "conditions": {"moon": "full"}}, {"status": "active"}),
        ({"action": "reject", "priority": 90}, {"status": "active"}),
    ],
)
async def test_a_rule_decides_what_becomes_of_a_call(rule: dict[str, Any], after: dict[str, Any]) -> None:
    phone = Telephone(speed=0)
    made = await phone.got("inbound add-rule", **{"name": "Mine", "priority": 5, **rule})
    ring(phone, PRIYA)
    call = await newest(phone)
    assert {name: call[name] for name in after} == after
    applied = call["rule_id"] == made["id"]
    assert applied == (after != {"status": "active"} or rule["action"] == "answer")


async def test_a_rule_is_made_changed_listed_and_deleted() -> None:
    phone = Telephone(speed=0)
    made = await phone.got("inbound add-rule", name="Night", action="voicemail", priority=7)
    assert made["is_active"] is True
    changed = await phone.got("inbound update-rule", rule_id=made["id"], is_active=False)
    assert (changed["name"], changed["priority"], changed["is_active"]) == ("Night", 7, False)
    listed = (await phone.got("inbound rules"))["rules"]
    assert [rule["priority"] for rule in listed] == sorted(rule["priority"] for rule in listed)
    assert changed in listed
    await phone.got("inbound delete-rule", rule_id=made["id"])
    assert made["id"] not in [rule["id"] for rule in (await phone.got("inbound rules"))["rules"]]
    assert await phone.refused("inbound delete-rule", rule_id=made["id"]) == (404, None)
    assert await phone.refused("inbound update-rule", rule_id=made["id"], name="x") == (404, None)


async def test_a_rule_cannot_transfer_to_a_premium_number() -> None:
    phone = Telephone(speed=0)
    config = {"target_number": "+19005550199"}
    refused = await phone.refused("inbound add-rule", name="x", action="transfer", action_config=config)
    assert refused == (422, "toll_number")


async def test_a_contact_is_made_changed_and_deleted_and_that_can_be_undone() -> None:
    phone = Telephone(speed=0)
    made = await phone.got("inbound add-contact", name="Zoe", phone=SPARE, vip=True, notes="Aunt")
    assert (made["name"], made["phone_number"], made["is_vip"], made["notes"]) == ("Zoe", SPARE, True, "Aunt")
    assert await phone.refused("inbound add-contact", name="Again", phone=SPARE) == (409, None)
    changed = await phone.got("inbound update-contact", contact_id=made["id"], vip=False)
    assert (changed["name"], changed["is_vip"]) == ("Zoe", False)
    assert changed in (await phone.got("inbound contacts"))["contacts"]
    await phone.got("inbound delete-contact", contact_id=made["id"])
    assert await phone.refused("inbound delete-contact", contact_id=made["id"]) == (404, None)
    action = phone.world.all("action")[-1]
    await phone.got("actions undo", action_id=action["id"])
    assert changed in (await phone.got("inbound contacts"))["contacts"]


@pytest.mark.parametrize("source", ["google", "csv"])
async def test_contacts_are_imported_once(source: str) -> None:
    phone = Telephone()
    before = (await phone.got("inbound contacts"))["total"]
    first = await phone.got("inbound import-contacts", source=source)
    assert first["imported"] > 0
    assert (await phone.got("inbound contacts"))["total"] == before + first["imported"]
    again = await phone.got("inbound import-contacts", source=source)
    assert (again["imported"], again["skipped"]) == (0, first["imported"] + first["skipped"])


async def test_an_unknown_source_of_contacts_is_refused() -> None:
    assert await Telephone().refused("inbound import-contacts", source="fax") == (422, None)


async def test_the_figures_agree_with_the_list() -> None:
    phone = Telephone(speed=0)
    calls = (await phone.got("inbound calls"))["calls"]
    totals = await phone.got("inbound summary")
    for status in ("active", "completed", "missed", "rejected"):
        assert totals[status] == sum(1 for call in calls if call["status"] == status)
    assert totals["total_calls"] == len(calls)
    figures = await phone.got("inbound analytics", date_from="2026-02-26", date_to="2026-03-01")
    period = [call for call in calls if "2026-02-26" <= call["created_at"][:10] <= "2026-03-01"]
    assert figures["total_calls"] == len(period) == sum(day["count"] for day in figures["calls_by_day"])


async def test_the_log_tells_what_happened_and_is_filtered() -> None:
    phone = Telephone(speed=0)
    ring(phone, PRIYA)
    entries = (await phone.got("inbound events"))["events"]
    assert entries[0]["type"] == "call_started"
    assert entries[0]["call_id"] == (await newest(phone))["id"]
    today = await phone.got("inbound events", date_from="2026-03-02", date_to="2026-03-02")
    assert today["events"] == [entry for entry in entries if entry["created_at"].startswith("2026-03-02")]
    assert 0 < len(today["events"]) < len(entries)
