"""The sandbox's coordinator: messages become goals, and goals live to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_api import SandboxApi, open_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

NOBODY = "+12025550102"
FIRST_FORM = {"response", "goal_id", "conversation_id", "actions_taken"}


@pytest.fixture
async def api() -> AsyncGenerator[SandboxApi]:
    async with open_sandbox() as api:
        yield api


async def ask(api: SandboxApi, message: str, **more: str) -> dict[str, Any]:
    return await api.run("ask", message=message, **more)


async def goal(api: SandboxApi, said: dict[str, Any]) -> dict[str, Any]:
    return await api.run("coord goal", goal_id=said["goal_id"])


def statuses(goal: dict[str, Any]) -> list[str]:
    return [step["status"] for step in goal["steps"]]


async def seeded(api: SandboxApi, words: str) -> str:
    goals = (await api.run("coord goals"))["goals"]
    return next(goal["id"] for goal in goals if words in goal["title"])


# A goal from message to end


async def test_a_request_with_a_number_is_phoned_at_once_and_completed(api: SandboxApi) -> None:
    left = await api.credits_left()
    said = await ask(api, "Call +12025550100 and ask when they close on Sunday")
    assert said.keys() == FIRST_FORM
    assert said["actions_taken"] == ["goal_created", "call_initiated"]
    begun = await goal(api, said)
    assert (begun["status"], statuses(begun)) == ("active", ["in_progress"])

    api.wait(600)

    done = await goal(api, said)
    call = await api.run("calls info", call_id=done["steps"][0]["call_id"])
    assert (done["status"], statuses(done)) == ("completed", ["completed"])
    assert done["outcome"]["summary"] == call["highlights"]
    assert done["credits_used"] == call["credits_used"] == pytest.approx(left - await api.credits_left())
    budget = await api.run("coord budget", goal_id=done["id"])
    assert budget["breakdown"] == [{"action": "phone_call", "credits": call["credits_used"]}]


async def test_a_booking_waits_for_consent_and_then_stands(api: SandboxApi) -> None:
    said = await ask(api, "Book a table for two at Luca on Friday at 19:30")
    api.wait(20)
    waiting = await goal(api, said)
    assert (waiting["status"], statuses(waiting)) == ("pending", ["completed", "waiting_for_approval"])
    api.wait(5000)
    assert await goal(api, said) == waiting

    assert statuses(await api.run("coord approve-step", goal_id=said["goal_id"])) == ["completed", "in_progress"]
    api.wait(100)

    done = await goal(api, said)
    booking = api.world.need("booking", done["steps"][1]["booking_id"])
    assert done["status"] == "completed"
    assert (booking["restaurant_name"], booking["date"], booking["time"]) == ("Luca", "2026-03-06", "19:30")
    assert (booking["party_size"], booking["status"]) == (2, "confirmed")
    assert (done["credits_used"], done["credits_estimated"]) == (1.0, 1.0)
    assert await api.refused("coord approve-step", goal_id=done["id"]) == (409, "goal_already_completed")


async def test_a_step_can_be_released_before_its_turn(api: SandboxApi) -> None:
    said = await ask(api, "Book a table for two at Luca")
    await api.run("coord approve-step", goal_id=said["goal_id"])
    assert await api.refused("coord approve-step", goal_id=said["goal_id"]) == (409, None)
    api.wait(200)
    assert (await goal(api, said))["status"] == "completed"


async def test_a_mail_approved_in_the_outbox_moves_its_goal(api: SandboxApi) -> None:
    said = await ask(api, "Write to ana@books.example that I come later")
    api.wait(20)
    mail = (await api.run("actions email outbox"))["emails"][0]
    assert (mail["to"], mail["status"], mail["goal_id"]) == ("ana@books.example", "pending_approval", said["goal_id"])

    await api.run("actions email approve", email_id=mail["id"])
    api.wait(60)

    assert (await goal(api, said))["status"] == "completed"


async def test_a_mail_dropped_in_the_outbox_is_asked_about(api: SandboxApi) -> None:
    said = await ask(api, "Write to ana@books.example that I come later")
    api.wait(20)
    mail = (await api.run("actions email outbox"))["emails"][0]
    await api.run("actions email cancel", email_id=mail["id"])
    api.wait(20)
    assert (await goal(api, said))["status"] == "needs_input"


async def test_an_unknown_number_is_asked_for_in_the_conversation(api: SandboxApi) -> None:
    said = await ask(api, "Llama a mi dentista y pide una limpieza")
    api.wait(20)
    stuck = await goal(api, said)
    assert (stuck["status"], stuck["question"]) == ("needs_input", "No sé el número. ¿A cuál llamo?")

    answer = await ask(api, "+34 911 123 456", conversation_id=said["conversation_id"])
    api.wait(600)

    assert (answer["goal_id"], answer["actions_taken"]) == (said["goal_id"], ["answer_noted"])
    done = await goal(api, said)
    assert done["status"] == "completed"
    assert (await api.run("calls info", call_id=done["steps"][1]["call_id"]))["to"] == "+34911123456"


async def test_a_call_that_nobody_answers_can_be_tried_again_or_left(api: SandboxApi) -> None:
    said = await ask(api, f"Call {NOBODY} and ask when they close")
    api.wait(120)
    first = await goal(api, said)
    assert (first["status"], statuses(first)) == ("needs_input", ["failed"])

    again = await api.run("coord continue", goal_id=said["goal_id"])
    assert (again["status"], statuses(again)) == ("active", ["in_progress"])
    api.wait(120)
    second = await goal(api, said)
    assert second["steps"][0]["call_id"] != first["steps"][0]["call_id"]

    left = await ask(api, "No, forget it", conversation_id=said["conversation_id"])
    assert left["actions_taken"] == ["goal_cancelled"]
    assert (await goal(api, said))["status"] == "cancelled"


async def test_a_failed_call_takes_another_number(api: SandboxApi) -> None:
    said = await ask(api, f"Call {NOBODY} and ask when they close")
    api.wait(120)
    given = {"conversation_id": said["conversation_id"]}
    assert await api.refused("ask", message="Then +1911", **given) == (422, "emergency_number")
    await ask(api, "Then +12025550100", **given)
    api.wait(600)
    assert (await goal(api, said))["status"] == "completed"


async def test_a_negotiation_goes_on_until_the_last_word_and_is_accepted(api: SandboxApi) -> None:
    said = await ask(api, "Negotiate my internet bill with Comcast")
    assert await api.refused("coord accept", goal_id=said["goal_id"]) == (409, None)
    api.wait(600)
    first = await goal(api, said)
    assert (first["status"], first["outcome"]["summary"]) == ("needs_input", "10 % off")

    await api.run("coord continue", goal_id=said["goal_id"])
    api.wait(600)
    await ask(api, "Try for a better price", conversation_id=said["conversation_id"])
    api.wait(600)
    last = await goal(api, said)
    assert last["outcome"]["summary"] == "18 % off"
    assert last["credits_used"] > first["credits_used"]
    assert await api.refused("coord continue", goal_id=said["goal_id"]) == (409, None)

    done = await api.run("coord accept", goal_id=said["goal_id"])
    assert (done["status"], done["outcome"]["accepted"]) == ("completed", True)
    assert await api.refused("coord accept", goal_id=said["goal_id"]) == (409, "goal_already_completed")


async def test_what_is_not_understood_is_asked_about_and_then_planned(api: SandboxApi) -> None:
    said = await ask(api, "The thing from yesterday")
    assert said["actions_taken"] == ["goal_created", "input_requested"]
    answer = await ask(api, "Call +12025550100 about it", conversation_id=said["conversation_id"])
    assert (answer["goal_id"], answer["actions_taken"]) == (said["goal_id"], ["goal_planned"])
    api.wait(600)
    assert (await goal(api, said))["status"] == "completed"


async def test_a_goal_can_ask_before_it_begins(api: SandboxApi) -> None:
    said = await ask(api, "Ask me first, then get a taxi to the airport")
    assert (await goal(api, said))["status"] == "needs_input"
    answer = await ask(api, "At noon please", conversation_id=said["conversation_id"])
    api.wait(10)
    assert answer["actions_taken"] == ["answer_noted"]
    assert statuses(await goal(api, said)) == ["completed", "waiting_for_approval"]


# Plans and budgets


async def test_a_plan_waits_for_its_budget_and_completes_with_its_parts(api: SandboxApi) -> None:
    said = await ask(api, "Plan a farewell dinner for six at Casa Luna")
    assert said["actions_taken"] == ["goal_created", "budget_requested"]
    assert (await goal(api, said))["status"] == "pending"
    code = (402, "budget_approval_required")
    assert await api.refused("coord approve-step", goal_id=said["goal_id"]) == code
    assert await api.refused("coord continue", goal_id=said["goal_id"]) == code

    await api.run("budget approve", goal_id=said["goal_id"])
    for _ in range(12):
        api.wait(600)
        now = await goal(api, said)
        if now["status"] == "completed":
            break
        await api.send("coord approve-step", goal_id=said["goal_id"])

    tree = await api.run("coord goal-tree", goal_id=said["goal_id"])
    assert (tree["status"], statuses(tree)) == ("completed", ["completed"] * 4)
    assert [part["status"] for part in tree["sub_goals"]] == ["completed"] * 4
    assert tree["credits_used"] == pytest.approx(sum(part["credits_used"] for part in tree["sub_goals"]))
    listed = (await api.run("coord goals", limit=1))["goals"][0]
    assert (listed["id"], listed["sub_goal_count"]) == (said["goal_id"], 4)


@pytest.mark.parametrize(
    ("words", "state", "code", "cure"),
    [
        ("needs a budget", "approval_required", "budget_approval_required", "budget approve"),
        ("over budget", "exceeded", "budget_exceeded", "budget approve"),
        ("soft cap", "soft_cap", "soft_cap_reached", "budget ack-cap"),
    ],
)
async def test_a_budget_stops_a_goal_until_it_is_settled(
    api: SandboxApi, words: str, state: str, code: str, cure: str
) -> None:
    said = await ask(api, f"Book a table for two at Luca, {words}")
    api.wait(60)
    stopped = await goal(api, said)
    assert (stopped["status"], stopped["budget"]["state"]) == ("pending", state)
    assert await api.refused("coord approve-step", goal_id=said["goal_id"]) == (402, code)

    await api.run(cure, goal_id=said["goal_id"])
    api.wait(60)
    await api.run("coord approve-step", goal_id=said["goal_id"])
    api.wait(100)

    assert (await goal(api, said))["status"] == "completed"


async def test_a_limit_in_the_message_is_kept(api: SandboxApi) -> None:
    said = await ask(api, "Call +12025550100 and ask when they close, at most 1 credit")
    assert (await goal(api, said))["budget"]["state"] == "exceeded"
    assert api.world.all("call", goal_id=said["goal_id"]) == []


async def test_without_credits_a_goal_stops_and_goes_on_when_there_are_some(api: SandboxApi) -> None:
    said = await ask(api, "Book a table for two at Luca")
    api.wait(20)
    account = api.world.need("account", "me")
    api.spend_all()
    await api.run("coord approve-step", goal_id=said["goal_id"])
    assert (await goal(api, said))["status"] == "needs_input"
    assert await api.refused("ask", message="Find a plumber") == (402, "quota_exceeded")
    assert await api.refused("ask", message="Call +12025550100 and ask") == (402, "quota_exceeded")

    api.world.save("account", account)
    await api.run("coord continue", goal_id=said["goal_id"])
    api.wait(100)
    assert (await goal(api, said))["status"] == "completed"


# Ending, handing over, putting away


async def test_cancelling_ends_the_running_call_and_drops_the_waiting_mail(api: SandboxApi) -> None:
    calling = await ask(api, "Call +12025550100 and ask when they close")
    api.wait(10)
    cancelled = await api.run("coord cancel-goal", goal_id=calling["goal_id"])
    assert (cancelled["status"], statuses(cancelled)) == ("cancelled", ["cancelled"])
    assert api.world.need("call", cancelled["steps"][0]["call_id"])["status"] == "cancelled"

    writing = await ask(api, "Write to ana@books.example that I come later")
    api.wait(20)
    await api.run("coord cancel-goal", goal_id=writing["goal_id"])
    assert (await api.run("actions email outbox"))["emails"][0]["status"] == "cancelled"

    api.wait(1000)
    assert (await goal(api, calling))["status"] == "cancelled"
    assert await api.refused("coord cancel-goal", goal_id=calling["goal_id"]) == (409, "goal_already_cancelled")
    assert await api.refused("coord escalate", goal_id=calling["goal_id"]) == (409, "goal_already_cancelled")


async def test_a_cascade_cancels_everything_below_and_a_plain_cancel_does_not(api: SandboxApi) -> None:
    one, two = [await ask(api, "Plan a weekend in Rome") for _ in range(2)]
    await api.run("coord cancel-goal", goal_id=one["goal_id"])
    answer = await api.run("coord cascade-cancel", goal_id=two["goal_id"])

    tree_one = await api.run("coord goal-tree", goal_id=one["goal_id"])
    tree_two = await api.run("coord goal-tree", goal_id=two["goal_id"])
    assert {part["status"] for part in tree_one["sub_goals"]} == {"pending"}
    assert {part["status"] for part in tree_two["sub_goals"]} == {"cancelled"}
    assert answer["cancelled_goal_ids"] == [two["goal_id"], *(part["id"] for part in tree_two["sub_goals"])]


async def test_an_escalated_goal_stands_still_until_the_user_goes_on(api: SandboxApi) -> None:
    said = await ask(api, "Book a table for two at Luca")
    escalated = await api.run("coord escalate", goal_id=said["goal_id"])
    assert escalated["status"] == "needs_input"
    api.wait(1000)
    assert await goal(api, said) == escalated

    await api.run("coord continue", goal_id=said["goal_id"])
    api.wait(20)
    assert statuses(await goal(api, said)) == ["completed", "waiting_for_approval"]
    assert await api.refused("coord continue", goal_id=said["goal_id"]) == (409, None)


async def test_only_what_has_ended_is_archived(api: SandboxApi) -> None:
    done, gone = await seeded(api, "birthday dinner"), await seeded(api, "Corner Books")
    open_ = await seeded(api, "farewell")

    assert await api.refused("coord archive", goal_id=open_) == (409, None)
    assert await api.refused("coord batch-archive", goal_ids=[done, open_]) == (409, None)
    assert await api.refused("coord batch-archive", goal_ids=[done, "sbx_goal_none"]) == (404, "goal_not_found")
    assert (await api.run("coord goal", goal_id=done))["status"] == "completed"

    assert (await api.run("coord archive", goal_id=done))["status"] == "archived"
    assert (await api.run("coord batch-archive", goal_ids=[done, gone]))["archived"] == [done, gone]
    archived = await api.run("coord goals", status="archived")
    assert {done, gone} <= {goal["id"] for goal in archived["goals"]}


@pytest.mark.parametrize(
    "words",
    [
        "coord goal", "coord goal-tree", "coord cancel-goal", "coord cascade-cancel", "coord escalate",
        "coord approve-step", "coord accept", "coord continue", "coord archive", "coord budget",
    ],
)  # fmt: skip
async def test_an_unknown_goal_is_not_found(api: SandboxApi, words: str) -> None:
    assert await api.refused(words, goal_id="sbx_goal_none") == (404, "goal_not_found")
