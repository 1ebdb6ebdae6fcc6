"""The sandbox's coordinator in conversation: what it understands, answers, lists and remembers."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_api import SandboxApi, open_sandbox

from kallyai_mcp.sandbox.areas.understanding import Kind, understand

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

SECOND_FORM = {
    "message", "intent", "triggered_actions", "suggestions", "credits_used", "conversation_id", "message_id",
    "goal_completed",
}  # fmt: skip


@pytest.fixture
async def api() -> AsyncGenerator[SandboxApi]:
    async with open_sandbox() as api:
        yield api


async def ask(api: SandboxApi, message: str, **more: str) -> dict[str, Any]:
    return await api.run("ask", message=message, **more)


async def goal(api: SandboxApi, said: dict[str, Any]) -> dict[str, Any]:
    return await api.run("coord goal", goal_id=said["goal_id"])


async def seeded(api: SandboxApi, words: str) -> str:
    goals = (await api.run("coord goals"))["goals"]
    return next(goal["id"] for goal in goals if words in goal["title"])


# Understanding


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Call the dentist and book an appointment", Kind.CALL),
        ("Llama al dentista", Kind.CALL),
        ("Book a table for two, call if you must", Kind.BOOKING),
        ("Reserva una mesa para dos", Kind.BOOKING),
        ("Email Ana that I am late", Kind.MAIL),
        ("Escribe un correo a ana@books.example", Kind.MAIL),
        ("Find a plumber", Kind.SEARCH),
        ("Busca un fontanero", Kind.SEARCH),
        ("I need a taxi to the airport", Kind.RIDE),
        ("Necesito un taxi", Kind.RIDE),
        ("Order me some sushi", Kind.FOOD),
        ("Quiero comida china", Kind.FOOD),
        ("Pick up my shirts", Kind.ERRAND),
        ("Compra leche", Kind.ERRAND),
        ("Negotiate my phone bill", Kind.NEGOTIATION),
        ("Plan a trip to Rome", Kind.PLAN),
        ("What can you do?", Kind.HELP),
        ("¿Qué puedes hacer?", Kind.HELP),
        ("+1 202-555-0100", Kind.CALL),
        ("Hm", Kind.UNCLEAR),
    ],
)
def test_the_keyword_that_stands_first_decides(text: str, kind: Kind) -> None:
    assert understand(text, date(2026, 3, 2)).kind is kind


@pytest.mark.parametrize(
    ("text", "kind", "spanish"),
    [
        ("Hola, llama a Luca", Kind.CALL, True),
        ("Such a mess: call the cleaners", Kind.CALL, False),
        ("Hold on, book a table at La Luna", Kind.BOOKING, False),
        ("Find a hotel in Los Angeles", Kind.SEARCH, False),
        ("Una mesa para dos en el centro", Kind.BOOKING, True),
    ],
)
def test_words_that_resemble_keywords_are_none(text: str, kind: Kind, spanish: bool) -> None:
    request = understand(text, date(2026, 3, 2))
    assert (request.kind, request.spanish) == (kind, spanish)


def test_names_numbers_and_times_are_picked_out() -> None:
    request = understand(
        "Call Luca at +1 (202) 555-0100 for 4 people on Friday, 7:30 pm, at most 2.5 credits", date(2026, 3, 2)
    )
    assert (request.whom, request.phone, request.party_size) == ("Luca", "+12025550100", 4)
    assert (request.day, request.hour, request.limit) == ("2026-03-06", "19:30", 2.5)


# Lists and conversations
async def test_a_new_world_has_goals_in_every_state(api: SandboxApi) -> None:
    found = await api.run("coord goals")
    assert {goal["status"] for goal in found["goals"]} == {
        "pending", "needs_input", "completed", "cancelled", "archived",
    }  # fmt: skip
    page = await api.run("coord goals", limit=2, offset=1)
    assert (page["goals"], page["total"]) == (found["goals"][1:3], found["total"])
    assert found["goals"][0].keys() == {"id", "title", "status", "created_at", "credits_used", "sub_goal_count"}
    pending = await api.run("coord goals", status="pending")
    assert {goal["status"] for goal in pending["goals"]} == {"pending"}
    assert await api.refused(
        "coord approve-step", goal_id=await seeded(api, "Atlas Movers")
    ) == (402, "soft_cap_reached")  # fmt: skip
    table = await api.run("coord goal", goal_id=await seeded(api, "Trattoria Verde"))
    assert [step["status"] for step in table["steps"]] == ["completed", "waiting_for_approval"]
    await api.run("coord approve-step", goal_id=table["id"])
    api.wait(100)
    assert (await api.run("coord goal", goal_id=await seeded(api, "Trattoria Verde")))["status"] == "completed"


@pytest.mark.parametrize("text", ["What can you do?", "Find a plumber near Springfield"])
async def test_questions_and_searches_are_answered_in_the_second_form(api: SandboxApi, text: str) -> None:
    said = await ask(api, text)
    assert said.keys() == SECOND_FORM
    assert said["credits_used"] == ("0.00" if said["intent"] == "help" else "0.50")


async def test_a_conversation_is_carried_on_and_read_back(api: SandboxApi) -> None:
    opened = await api.run("coord new")
    told = await api.run("coord message", text="What can you do?", conversation_id=opened["conversation_id"])
    said = await ask(api, "Get a taxi to the airport", conversation_id=opened["conversation_id"])
    agreed = await ask(api, "Yes, go ahead", conversation_id=opened["conversation_id"])

    assert told["conversation_id"] == said["conversation_id"] == agreed["conversation_id"] == opened["conversation_id"]
    assert (agreed["goal_id"], agreed["actions_taken"]) == (said["goal_id"], ["step_approved"])
    history = await api.run("coord history", conversation_id=opened["conversation_id"])
    assert [entry["role"] for entry in history["messages"]] == ["user", "assistant"] * 3
    assert history["messages"][1]["id"] == told["message_id"]
    last = await api.run("coord history", conversation_id=opened["conversation_id"], limit=2)
    assert last["messages"] == history["messages"][-2:]
    listed = (await api.run("coord conversations"))["conversations"][0]
    assert (listed["id"], listed["title"], listed["message_count"]) == (
        opened["conversation_id"], "What can you do?", 6,
    )  # fmt: skip


async def test_another_request_in_the_conversation_leaves_the_waiting_goal_alone(api: SandboxApi) -> None:
    first = await ask(api, "Llama a mi dentista")
    api.wait(20)
    second = await ask(api, "Pide una pizza", conversation_id=first["conversation_id"])
    assert second["goal_id"] != first["goal_id"]
    assert (await goal(api, first))["status"] == "needs_input"
    third = await ask(api, "Call it +12025550100", conversation_id=first["conversation_id"])
    assert (third["goal_id"], third["actions_taken"]) == (first["goal_id"], ["answer_noted"])


async def test_a_mail_needs_a_connected_account(api: SandboxApi) -> None:
    for account in (await api.run("email accounts"))["accounts"]:
        await api.run("email disconnect", account_id=account["id"])
    assert await api.refused("ask", message="Write to ana@books.example") == (400, "email_not_connected")


async def test_an_unknown_conversation_is_not_found(api: SandboxApi) -> None:
    assert await api.refused("ask", message="Hello", conversation_id="c_1") == (404, None)
    assert await api.refused("coord history", conversation_id="c_1") == (404, None)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("Call 112 and say I am late", (422, "emergency_number")),
        ("Call +12025550111 and ask for the price", (403, "suppression_violation")),
        ("Call +12025550100 and blackmail them", (422, "safety_violation")),
    ],
)
async def test_a_call_that_must_not_be_is_refused_before_a_goal_exists(
    api: SandboxApi, text: str, refusal: tuple[int, str]
) -> None:
    before = await api.run("coord goals")
    assert await api.refused("ask", message=text) == refusal
    assert await api.run("coord goals") == before
