"""The sandbox's outreach: tasks that reach somebody, or do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_api import SandboxApi, open_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

GOAL = "Ask whether the order has arrived"


@pytest.fixture
async def api() -> AsyncGenerator[SandboxApi]:
    async with open_sandbox() as api:
        yield api


async def create(api: SandboxApi, target: str, **more: Any) -> dict[str, Any]:
    answer = await api.send("outreach create", description=GOAL, target=target, **more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def later(api: SandboxApi, task: dict[str, Any], seconds: float = 600) -> dict[str, Any]:
    api.wait(seconds)
    return await api.run("outreach task", task_id=task["id"])


async def test_a_call_moves_from_pending_to_completed(api: SandboxApi) -> None:
    left = await api.credits_left()
    task = await create(api, "+12025550100", recipient_name="Ana", urgency="high", coordination_message_id="m_1")
    assert (task["status"], task["selected_channel"], task["attempts"]) == ("pending", "call", [])

    running = await later(api, task, 8)
    assert (running["status"], running["attempts"][0]["status"]) == ("in_progress", "in_progress")

    done = await later(api, task)
    call = await api.run("calls info", call_id=done["attempts"][0]["call_id"])
    assert (done["status"], done["completed_via_channel"]) == ("completed", "call")
    assert done["completion_summary"] == call["highlights"]
    assert await api.credits_left() == pytest.approx(left - call["credits_used"])


@pytest.mark.parametrize(
    ("target", "result"),
    [
        ("+12025550101", "busy"),
        ("+12025550102", "no_answer"),
        ("+12025550103", "voicemail"),
        ("+12025550104", "failed"),
    ],
)
async def test_a_number_that_is_not_reached_fails_and_is_tried_again(api: SandboxApi, target: str, result: str) -> None:
    failed = await later(api, await create(api, target))
    assert (failed["status"], [one["status"] for one in failed["attempts"]]) == ("failed", [result])

    retried = await api.run("outreach retry", task_id=failed["id"])
    assert retried["status"] == "pending"
    twice = await later(api, failed)
    assert (twice["status"], [one["status"] for one in twice["attempts"]]) == ("failed", [result, result])


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ({"target": "+12025550111"}, (403, "suppression_violation")),
        ({"target": "+1911"}, (422, "emergency_number")),
        ({"target": "Ana", "channel": "call"}, (422, "missing_phone_number")),
        ({"target": "Ana", "channel": "email"}, (422, None)),
        ({"target": "Ana"}, (422, None)),
        ({"target": "@ana_books"}, (409, None)),
    ],
)
async def test_who_can_never_be_reached_is_refused_at_once(
    api: SandboxApi, arguments: dict[str, str], refusal: tuple[int, str | None]
) -> None:
    before = await api.run("outreach tasks")
    assert await api.refused("outreach create", description=GOAL, **arguments) == refusal
    assert await api.run("outreach tasks") == before


async def test_a_mail_is_sent_or_comes_back(api: SandboxApi) -> None:
    good = await later(api, await create(api, "ana@books.example"))
    assert (good["selected_channel"], good["status"]) == ("email", "completed")
    assert (await api.run("actions email outbox"))["emails"][0]["status"] == "sent"

    for target in ("bounce@books.example", "late-bounce@books.example"):
        bad = await later(api, await create(api, target))
        assert (bad["status"], bad["attempts"][0]["status"]) == ("failed", "failed")

    for account in (await api.run("email accounts"))["accounts"]:
        await api.run("email disconnect", account_id=account["id"])
    arguments = {"description": GOAL, "target": "ana@books.example"}
    assert await api.refused("outreach create", **arguments) == (400, "email_not_connected")


async def test_a_handle_is_written_to_by_telegram_once_it_is_connected(api: SandboxApi) -> None:
    await api.run("channels connect", channel="telegram")
    done = await later(api, await create(api, "@ana_books"))
    assert (done["status"], done["completed_via_channel"]) == ("completed", "telegram")


async def test_a_task_that_may_not_begin_by_itself_waits_for_retry(api: SandboxApi) -> None:
    task = await create(api, "+12025550100", auto_execute=False)
    assert (await later(api, task))["status"] == "pending"
    await api.run("outreach retry", task_id=task["id"])
    assert (await later(api, task))["status"] == "completed"
    assert await api.refused("outreach retry", task_id=task["id"]) == (409, None)
    assert await api.refused("outreach cancel", task_id=task["id"]) == (409, None)


async def test_cancelling_ends_the_running_call(api: SandboxApi) -> None:
    running = await later(api, await create(api, "+12025550100"), 8)
    cancelled = await api.run("outreach cancel", task_id=running["id"])
    assert (cancelled["status"], cancelled["attempts"][0]["status"]) == ("cancelled", "cancelled")
    assert api.world.need("call", running["attempts"][0]["call_id"])["status"] == "cancelled"
    assert (await later(api, running)) == cancelled
    assert (await api.run("outreach cancel", task_id=running["id"])) == cancelled


async def test_without_credits_a_task_fails(api: SandboxApi) -> None:
    task = await create(api, "+12025550100")
    api.spend_all()
    assert (await later(api, task))["status"] == "failed"
    assert await api.refused("outreach create", description=GOAL, target="+12025550100") == (402, "quota_exceeded")


async def test_tasks_are_listed_by_state_and_in_pages(api: SandboxApi) -> None:
    everything = await api.run("outreach tasks")
    assert {task["status"] for task in everything["tasks"]} == {"completed", "failed", "pending"}
    assert everything["has_more"] is False
    assert "attempts" not in everything["tasks"][0]

    some = await api.run("outreach tasks", status="completed,failed")
    assert {task["status"] for task in some["tasks"]} == {"completed", "failed"}
    first = await api.run("outreach tasks", limit=1)
    last = await api.run("outreach tasks", limit=1, offset=everything["total"] - 1)
    assert (first["tasks"], first["total"], first["has_more"]) == (everything["tasks"][:1], everything["total"], True)
    assert (last["tasks"], last["has_more"]) == (everything["tasks"][-1:], False)


@pytest.mark.parametrize("words", ["outreach task", "outreach retry", "outreach cancel"])
async def test_an_unknown_task_is_not_found(api: SandboxApi, words: str) -> None:
    assert await api.refused(words, task_id="sbx_outreach_task_none") == (404, None)
