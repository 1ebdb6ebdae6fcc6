"""Calls in the sandbox: what becomes of them by number, and everything that can be done with one."""

from __future__ import annotations

import re
from typing import Any

import anyio
import httpx2
import pytest

from kallyai_mcp.model.codes import CODES
from kallyai_mcp.sandbox.areas import telephony
from kallyai_mcp.sandbox.areas.conversations import Order
from kallyai_mcp.sandbox.clock import FIXED_START
from kallyai_mcp.sandbox.numbers import NUMBERS, PHRASES, Outcome, TestNumber, TestPhrase, outcome_of
from tests.sandbox_telephone import Telephone

pytestmark = pytest.mark.anyio

TASK = "Book a table by the window, and ask about parking"
GOOD = "+12025550100"
STATUS = {
    Outcome.SUCCESS: ("success", True),
    Outcome.APPOINTMENT: ("success", True),
    Outcome.SLOW: ("success", True),
    Outcome.BUSY: ("busy", False),
    Outcome.NO_ANSWER: ("no_answer", False),
    Outcome.CALLS_BACK: ("no_answer", False),
    Outcome.VOICEMAIL: ("voicemail", True),
    Outcome.FAILED: ("failed", False),
    Outcome.DECLINED: ("failed", True),
    Outcome.DISCONNECTED: ("failed", True),
}


async def used(phone: Telephone) -> float:
    return (await phone.got("credits balance"))["credits_used"]


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: f"{row.outcome}{row.number}")
async def test_every_number_of_the_table_has_its_outcome(row: TestNumber) -> None:
    phone = Telephone()
    before = await used(phone)
    response = await phone.run("calls make", phone=row.number, task=TASK)
    if row.outcome.refusal:
        assert response.status_code == CODES[row.outcome.refusal].http_status
        assert response.json()["error"]["code"] == row.outcome.refusal
        assert await used(phone) == before
        return
    call = response.json()
    status, answered = STATUS[row.outcome]
    assert (response.status_code, call["status"]) == (201, status)
    assert (call["credits_used"] > 0, call["duration_seconds"] > 0) == (answered, answered)
    assert await used(phone) == pytest.approx(before + call["credits_used"])
    assert await phone.got("calls info", call_id=call["call_id"]) == call
    said = await phone.run("calls transcript", call_id=call["call_id"])
    sound = await phone.run("calls recording", call_id=call["call_id"])
    assert (said.status_code, sound.status_code) == ((200, 200) if answered else (404, 404))
    if answered:
        audio = await phone.send("GET", httpx2.URL(sound.json()["url"]).path)
        assert (audio.status_code, audio.content[:4]) == (200, b"RIFF")


async def test_the_table_has_every_outcome_and_rings_nobody() -> None:
    """Fiction ranges: 555-0100 to 555-0199 in North America, Ofcom's drama numbers; the rest is no subscriber's."""
    assert {row.outcome for row in NUMBERS} == set(Outcome)
    assert len({row.number for row in NUMBERS}) == len(NUMBERS)
    fiction = re.compile(r"\+1[0-9]{3}55501[0-9]{2}|\+447700900[0-9]{3}|\+449098790[0-9]{3}|\+999[0-9]*|\+[0-9]{3,5}")
    assert [row.number for row in NUMBERS if not fiction.fullmatch(row.number)] == []


@pytest.mark.parametrize("row", PHRASES, ids=lambda row: row.phrase)
async def test_a_task_with_a_listed_phrase_is_refused(row: TestPhrase) -> None:
    phone = Telephone()
    task = f"Call them and {row.phrase.upper()} until they pay"
    assert await phone.refused("calls make", phone=GOOD, task=task) == (CODES[row.code].http_status, row.code)


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        ("+15550103344", Outcome.SUCCESS),
        ("+34112", Outcome.EMERGENCY),
        ("+999", Outcome.EMERGENCY),
        ("+49110", Outcome.EMERGENCY),
        ("+34902123456", Outcome.TOLL),
        ("+850212345678", Outcome.UNSUPPORTED),
        ("+97141234567", Outcome.RESTRICTED),
        ("+12", Outcome.IMPOSSIBLE),
    ],
)
def test_numbers_outside_the_table_follow_the_numbering_plan(number: str, outcome: Outcome) -> None:
    assert outcome_of(number) is outcome


async def test_a_call_speaks_of_its_task_and_makes_the_appointment_asked_for() -> None:
    phone = Telephone()
    call = await phone.got(
        "calls make",
        phone=GOOD,
        task="Book a table by the window, möglichst ruhig, with a high chair; if that is not possible, one outside",
        category="restaurant",
        name="Ana Ruiz",
        business="Osteria, Mira; & Söhne",
        party_size=4,
        date="2026-03-07",
        time="19:15",
        timezone="Europe/Madrid",
        user_phone="+12025550150",
        additional_instructions=["One guest cannot eat nuts"],
    )
    said = await phone.got("calls transcript", call_id=call["call_id"])
    talk = " ".join(entry["content"] for entry in said["entries"])
    for words in ("Ana Ruiz", "book a table by the window", "for 4 people", "Saturday 7 March 2026 at 19:15", "nuts"):
        assert words in talk
    assert {entry["speaker"] for entry in said["entries"]} == {"AI", "HUMAN"}
    assert call["highlights"] == "Table made: Saturday 7 March 2026 at 19:15, for 4 people"
    assert call["submission"]["party_size"] == 4
    assert 30 <= call["duration_seconds"] <= 180
    response = await phone.run("calls calendar", call_id=call["call_id"])
    assert response.headers["content-type"].startswith("text/calendar")
    lines = response.text.split("\r\n")
    octets = [len(line.encode()) for line in lines]
    assert max(octets) == 75
    assert "möglichst ruhig\\, with a high chair\\; if that" in response.text.replace("\r\n ", "")
    assert "\n" not in "".join(lines)
    assert "DTSTART:20260307T181500Z" in lines
    assert "LOCATION:Osteria\\, Mira\\; & Söhne" in lines


async def test_a_call_in_spanish_is_spoken_in_spanish_and_summed_up_in_english() -> None:
    phone = Telephone()
    task = "Preguntar a qué hora abren los domingos"
    call = await phone.got("calls make", phone=GOOD, task=task, language="en", call_language="es")
    said = await phone.got("calls transcript", call_id=call["call_id"])
    assert "Quería saber a qué hora abren los domingos." in [entry["content"] for entry in said["entries"]]
    assert call["highlights"].startswith("Open every day")


async def test_a_call_without_an_appointment_has_no_calendar_file() -> None:
    phone = Telephone()
    call = await phone.got("calls make", phone=GOOD, task="Ask what the repair costs")
    assert await phone.refused("calls calendar", call_id=call["call_id"]) == (404, None)


@pytest.mark.parametrize(
    "wanted",
    [
        {"date": "2026-03-01"},
        {"date": "2026-03-02", "time": "03:59"},
        {"date": "2027-09-01"},
    ],
)
async def test_a_date_that_is_not_possible_is_refused(wanted: dict[str, Any]) -> None:
    phone = Telephone()
    assert await phone.refused("calls make", phone=GOOD, task=TASK, **wanted) == (422, "scheduling_violation")


async def test_today_later_is_possible() -> None:
    phone = Telephone()
    assert (await phone.got("calls make", phone=GOOD, task=TASK, date="2026-03-02", time="12:00"))[
        "status"
    ] == "success"


async def test_a_call_without_a_number_says_so() -> None:
    phone = Telephone()
    submission = {"task_description": TASK, "task_category": "general", "language": "en", "call_language": "en"}
    body = {"submission": submission, "timezone": "America/New_York"}
    response = await phone.send("POST", "/v1/calls", body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "missing_phone_number")


async def test_credits_run_out_into_quota_exceeded() -> None:
    phone = Telephone()
    account = phone.world.need("account", "me")
    phone.world.save("account", account | {"credits_allocated": account["credits_used"] + 1.2})
    slow = await phone.got("calls make", phone="+12025550107", task=TASK)
    assert slow["credits_used"] == 1.2
    assert await phone.refused("calls make", phone=GOOD, task=TASK) == (402, "quota_exceeded")


async def test_a_repeat_with_the_same_key_rings_once() -> None:
    phone = Telephone()
    submission = {"respondent_phone": GOOD, "task_description": TASK, "task_category": "general"}
    body = {"submission": submission, "timezone": "UTC"}
    before = len(phone.world.all("call"))
    answers = [await phone.send("POST", "/v1/calls", body, **{"Idempotency-Key": "k-1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(phone.world.all("call")) == before + 1


async def test_a_call_in_progress_is_stopped_and_its_caller_answered_at_once() -> None:
    phone = Telephone(speed=0)
    before = await used(phone)
    answered: list[dict[str, Any]] = []
    stopped: dict[str, Any] = {}
    call_id = ""

    async def make() -> None:
        answered.append(await phone.got("calls make", phone=GOOD, task=TASK))

    async def status() -> tuple[str, str]:
        newest = (await phone.got("calls history", limit=1))["items"][0]
        return newest["call_id"], newest["status"]

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(make)
            while (await status())[1] != "queued":
                await anyio.lowlevel.checkpoint()
            phone.world.clock.advance(2)
            call_id, now = await status()
            assert now == "ringing"
            assert await phone.refused("calls transcript", call_id=call_id) == (404, "transcript_not_found")
            assert await phone.refused("calls cancel", call_id=call_id) == (409, None)
            phone.world.clock.advance(18)
            assert (await status())[1] == "in_progress"
            stopped = await phone.got("calls stop", call_id=call_id)
    assert stopped["status"] == "cancelled"
    assert answered == [stopped]
    assert stopped["credits_used"] == 1.1
    assert await used(phone) == pytest.approx(before + 1.1)
    part = (await phone.got("calls transcript", call_id=call_id))["entries"]
    assert 0 < len(part) < 8
    phone.world.clock.advance(600)
    assert await phone.got("calls info", call_id=call_id) == stopped
    assert await phone.refused("calls stop", call_id=call_id) == (409, None)


async def test_a_world_begun_anew_has_lost_the_call_that_rang() -> None:
    phone = Telephone(speed=0)
    refused: list[tuple[int, str | None]] = []

    async def make() -> None:
        refused.append(await phone.refused("calls make", phone=GOOD, task=TASK))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(make)
            while not phone.world.all("call", status="queued"):
                await anyio.lowlevel.checkpoint()
            phone.world.reset()
    assert refused == [(404, "call_not_found")]


async def test_a_scheduled_call_is_moved_and_then_placed_by_itself() -> None:
    phone = Telephone(speed=0)
    scheduled = next(c for c in (await phone.got("calls history"))["items"] if c["status"] == "scheduled")
    call_id = scheduled["call_id"]
    assert scheduled["scheduled_for"] == "2026-03-04T09:00:00Z"
    assert await phone.refused("calls reschedule", call_id=call_id, date="2026-03-01") == (422, "scheduling_violation")
    assert (await phone.got("calls reschedule", call_id=call_id))["scheduled_for"] == "2026-03-05T09:00:00Z"
    moved = await phone.got("calls reschedule", call_id=call_id, date="2026-03-06", time="10:30")
    assert (moved["status"], moved["scheduled_for"]) == ("scheduled", "2026-03-06T15:30:00Z")
    phone.world.clock.advance(3.5 * 24 * 3600)
    assert (await phone.got("calls info", call_id=call_id))["status"] == "scheduled"
    phone.world.clock.advance(24 * 3600)
    done = await phone.got("calls info", call_id=call_id)
    assert (done["status"], done["metadata"]["ended_at"][:16]) == ("success", "2026-03-06T15:30")
    assert await phone.refused("calls reschedule", call_id=call_id) == (409, None)


async def test_a_cancelled_call_is_never_placed() -> None:
    phone = Telephone(speed=0)
    call_id = next(c["call_id"] for c in (await phone.got("calls history"))["items"] if c["status"] == "scheduled")
    cancelled = await phone.got("calls cancel", call_id=call_id)
    assert (cancelled["status"], cancelled["credits_used"]) == ("cancelled", 0.0)
    phone.world.clock.advance(5 * 24 * 3600)
    assert (await phone.got("calls info", call_id=call_id))["status"] == "cancelled"
    assert await phone.refused("calls cancel", call_id=call_id) == (409, None)


async def test_history_is_newest_first_and_paged() -> None:
    phone = Telephone()
    whole = await phone.got("calls history", limit=200)
    times = [call["created_at"] for call in whole["items"]]
    assert times == sorted(times, reverse=True)
    assert whole["total"] == len(times)
    part = await phone.got("calls history", limit=2, offset=1)
    assert part == {"items": whole["items"][1:3], "total": whole["total"]}


@pytest.mark.parametrize("words", ["info", "transcript", "recording", "calendar", "cancel", "reschedule", "stop"])
async def test_an_unknown_call_is_not_found(words: str) -> None:
    phone = Telephone()
    assert await phone.refused(f"calls {words}", call_id="sbx_call_none") == (404, "call_not_found")


async def test_a_number_that_calls_back_appears_among_the_received_calls() -> None:
    phone = Telephone(speed=0)
    telephony.place(phone.world, Order("+12025550109", TASK, business_name="Call Back Ltd"))
    phone.world.clock.advance(300)
    newest = (await phone.got("inbound calls", limit=1))["calls"][0]
    assert (newest["caller_number"], newest["caller_name"], newest["status"]) == (
        "+12025550109",
        "Call Back Ltd",
        "completed",
    )


async def test_two_worlds_of_one_seed_are_the_same() -> None:
    made = [await Telephone().got("calls make", phone=GOOD, task=TASK) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0]["created_at"] == FIXED_START.strftime("%Y-%m-%dT%H:%M:%SZ")
