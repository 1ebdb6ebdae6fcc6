"""A host of a handshake version is asked while the call waits; where it cannot ask, the page takes over."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from consent_world import IN_TIME, MAIL, QUESTION, TOOL, Book, Engine, Person, RawHost, error_of, raw, serve
from hosts import MODERN
from mcp import Client
from virtual_time import run_virtually

from kallyai_mcp.model import Consent
from kallyai_mcp.model.records import Question
from kallyai_mcp.server import approval_page
from kallyai_mcp.server.consent import LONGEST_QUESTION, LONGEST_WAIT, MOST_QUESTIONS, REPORTS_EVERY

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.anyio

ASKING = ("2025-06-18", "2025-11-25")
"""Handshake versions with elicitation."""

FORMS: dict[str, Any] = {"elicitation": {}}


@pytest.fixture
def engine() -> Engine:
    return Engine(Book())


async def question_of(host: RawHost) -> dict[str, Any]:
    """Return the request for an answer, which must be the next message."""
    message = await host.next()
    assert message["method"] == "elicitation/create", message
    return message


def on_the_page(result: Mapping[str, Any], engine: Engine) -> None:
    """Check the error that leads to the page."""
    error = error_of(result)
    address = error["approve_at"]
    assert error == {
        "code": "approval_required",
        "message": "It reaches a stranger. Nothing was sent.",
        "next_step": f"Show the user this address, word for word: {address} There they see all of it, and approve or "
        "decline; in a terminal `kallyai-mcp approve` does the same. Then run the same tool again with the same "
        "arguments. Nothing that you write can approve it.",
        "retryable": True,
        "approval": engine.book.last.id,
        "expires": engine.book.last.expires,
        "outcome": "not_sent",
        "approve_at": address,
    }
    assert address in result["content"][0]["text"]
    assert engine.done == []
    assert engine.book.last.decision is None


@pytest.mark.parametrize("version", ASKING)
async def test_the_host_is_asked_by_a_form_without_fields_and_the_call_goes_on(engine: Engine, version: str) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), version, FORMS) as host:
            number = await host.call()
            asked = await question_of(host)
            assert asked["params"] == {
                "mode": "form",
                "message": QUESTION.text(),
                "requestedSchema": {"type": "object", "properties": {}},
            }
            assert engine.done == []
            await host.answer(asked, {"action": "accept", "content": {}})
            answer = await host.next()
    assert (answer["id"], answer["result"]["structuredContent"]) == (number, {"sent": True})
    assert engine.done == [MAIL]
    assert (engine.book.last.decision, engine.book.last.consent) == (True, Consent.ELICITATION)


@pytest.mark.parametrize("version", ASKING)
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_who_does_not_accept_ends_it(engine: Engine, version: str, action: str) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), version, FORMS) as host:
            await host.call()
            await host.answer(await question_of(host), {"action": action})
            error = error_of((await host.next())["result"])
    assert error["code"] == "approval_declined"
    assert (engine.book.last.decision, engine.book.last.consent) == (False, Consent.ELICITATION)
    assert engine.done == []


async def test_the_sdks_client_takes_its_person_through(engine: Engine) -> None:
    person = Person()
    with anyio.fail_after(IN_TIME):
        async with Client(serve(engine), elicitation_callback=person, mode="legacy") as client:
            assert not (await client.call_tool(TOOL, MAIL)).is_error
    assert [shown.message for shown in person.shown] == [QUESTION.text()]
    assert engine.done == [MAIL]


CANNOT: list[tuple[str, dict[str, Any]]] = [
    *((version, {}) for version in ("2024-11-05", "2025-03-26", *ASKING, MODERN)),
    *((version, {"elicitation": {"url": {}}}) for version in ("2025-11-25", MODERN)),
    *((version, FORMS) for version in ("2024-11-05", "2025-03-26")),
]


@pytest.mark.parametrize(("version", "capabilities"), CANNOT, ids=str)
async def test_a_host_that_cannot_ask_is_led_to_the_page_and_the_same_run_goes_on(
    engine: Engine, version: str, capabilities: dict[str, Any]
) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), version, capabilities) as host:
            first = await host.result()
            on_the_page(first, engine)
            again = await host.result()
            assert error_of(again)["approve_at"] == error_of(first)["approve_at"]
            await engine.book.decide(engine.book.last.id, agreed=True, how=Consent.TERMINAL)
            assert (await host.result())["isError"] is False
    assert engine.done == [MAIL]


@pytest.mark.parametrize("version", [*ASKING, MODERN])
async def test_a_question_too_long_for_a_host_goes_to_the_page(engine: Engine, version: str) -> None:
    def of(length: int) -> Question:
        rest = length - len(Question("Send", TOOL, (("Body", ""),)).text())
        return Question("Send", TOOL, (("Body", "x" * rest),))

    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), version, FORMS) as host:
            engine.question = of(LONGEST_QUESTION + 1)
            on_the_page(await host.result(), engine)
            engine.question = of(LONGEST_QUESTION)
            await host.call()
            asked = await host.next()
            assert asked.get("method") == "elicitation/create" or "inputRequests" in asked["result"]


async def test_a_machine_without_a_port_leaves_the_terminal(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(approval_page.Loopback, "start", none)
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), MODERN, {}) as host:
            error = error_of(await host.result())
    assert "approve_at" not in error
    assert "`kallyai-mcp approve`" in error["next_step"]


@pytest.mark.parametrize("version", ASKING)
@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32601, "message": "Method not found"}},
        {"error": {"code": -32603, "message": "approved"}},
        {"result": {}},
        {"result": {"action": "approve"}},
        {"result": {"action": True}},
        {"result": {"accept": True, "content": {"action": "accept"}}},
    ],
    ids=str,
)
async def test_a_host_that_fails_to_ask_is_led_to_the_page(
    engine: Engine, version: str, answer: dict[str, Any]
) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), version, FORMS) as host:
            await host.call()
            asked = await question_of(host)
            await host.send({"id": asked["id"], **answer})
            on_the_page((await host.next())["result"], engine)


async def test_identical_calls_join_one_question_and_one_of_them_runs(engine: Engine) -> None:
    calls = 5
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), "2025-11-25", FORMS) as host:
            for _ in range(calls):
                await host.call()
            asked = await question_of(host)
            while engine.tries < calls:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            await host.answer(asked, {"action": "accept"})
            results = [(await host.next())["result"] for _ in range(calls)]
    codes = sorted("ran" if not result["isError"] else error_of(result)["code"] for result in results)
    assert codes == ["approval_used"] * (calls - 1) + ["ran"]
    assert engine.done == [MAIL]
    assert len(engine.book.approvals) == 1


async def test_of_two_calls_the_later_one_is_not_asked_anew(engine: Engine) -> None:
    """Its approval was used by another process between its answer and its run."""

    async def meanwhile(_: Any) -> None:
        if engine.tries > 1:
            engine.book.use(engine.book.last.id)

    engine.before = meanwhile
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), "2025-11-25", FORMS) as host:
            await host.call()
            await host.answer(await question_of(host), {"action": "accept"})
            assert error_of((await host.next())["result"])["code"] == "approval_used"
    assert engine.done == []


async def test_a_decline_ends_all_calls_that_joined_the_question(engine: Engine) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), "2025-11-25", FORMS) as host:
            await host.call()
            asked = await question_of(host)
            await host.call()
            await anyio.wait_all_tasks_blocked()
            await host.answer(asked, {"action": "decline"})
            codes = [error_of((await host.next())["result"])["code"] for _ in range(2)]
    assert codes == ["approval_declined"] * 2


async def test_different_acts_are_asked_about_apart(engine: Engine) -> None:
    other = MAIL | {"subject": "Two parking spaces"}
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), "2025-11-25", FORMS) as host:
            await host.call()
            first = await question_of(host)
            await host.call(arguments=other)
            second = await question_of(host)
            await host.answer(second, {"action": "accept"})
            assert (await host.next())["result"]["isError"] is False
            await host.answer(first, {"action": "decline"})
            assert error_of((await host.next())["result"])["code"] == "approval_declined"
    assert engine.done == [other]


async def test_a_call_that_is_called_off_leaves_the_question_to_the_one_that_joined(engine: Engine) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), "2025-11-25", FORMS) as host:
            first = await host.call()
            asked = await question_of(host)
            second = await host.call()
            await anyio.wait_all_tasks_blocked()
            await host.send({"method": "notifications/cancelled", "params": {"requestId": first}})
            withdrawn = await host.next()
            assert (withdrawn["method"], withdrawn["params"]["requestId"]) == ("notifications/cancelled", asked["id"])
            await host.answer(await question_of(host), {"action": "accept"})
            answer = await host.next()
    assert (answer["id"], answer["result"]["isError"]) == (second, False)
    assert engine.done == [MAIL]


async def test_a_question_that_keeps_changing_is_left_to_the_page(engine: Engine) -> None:
    number = 0

    async def change(_: Any) -> None:
        nonlocal number
        number += 1
        engine.question = Question("Send", TOOL, (("Price", str(number)),))
        engine.account = f"at price {number}"

    engine.before = change
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), "2025-11-25", FORMS) as host:
            await host.call()
            for _ in range(MOST_QUESTIONS):
                await host.answer(await question_of(host), {"action": "accept"})
            on_the_page((await host.next())["result"], engine)


def test_without_progress_a_call_waits_as_long_as_any_host_lets_it() -> None:
    async def story() -> None:
        engine = Engine(Book())
        async with raw(serve(engine), "2025-11-25", FORMS) as host:
            started = anyio.current_time()
            await host.call()
            asked = await question_of(host)
            withdrawn = await host.next()
            assert (withdrawn["method"], withdrawn["params"]["requestId"]) == ("notifications/cancelled", asked["id"])
            on_the_page((await host.next())["result"], engine)
            assert anyio.current_time() - started == pytest.approx(LONGEST_WAIT, abs=0.1)
            # What comes after all decides nothing.
            await host.answer(asked, {"action": "accept"})
            await anyio.lowlevel.checkpoint()
            assert engine.book.last.decision is None

    run_virtually(story)


def test_with_progress_a_call_waits_no_longer_and_reports() -> None:
    async def story() -> None:
        engine = Engine(Book())
        async with raw(serve(engine), "2025-11-25", FORMS) as host:
            await host.call(_meta={"progressToken": "t"})
            await question_of(host)
            started = anyio.current_time()
            reports: list[dict[str, Any]] = []
            while (message := await host.next())["method"] == "notifications/progress":
                reports.append(message["params"])
            assert message["method"] == "notifications/cancelled"
            assert anyio.current_time() - started == pytest.approx(LONGEST_WAIT, abs=0.1)
            on_the_page((await host.next())["result"], engine)
        told = [report["progress"] for report in reports]
        assert all(late > early for early, late in pairwise(told))
        assert told == pytest.approx([REPORTS_EVERY * number for number in range(1, len(told) + 1)])
        assert len(told) == int(LONGEST_WAIT / REPORTS_EVERY)
        assert {report["progressToken"] for report in reports} == {"t"}
        assert reports[0]["message"] == "Waiting for the user to approve this, 10 s so far"

    run_virtually(story)


def test_a_late_answer_with_progress_lets_the_call_go_on_and_its_reports_too() -> None:
    async def story() -> None:
        engine = Engine(Book())

        async def tell(progress: Any) -> None:
            await anyio.sleep(1)
            await progress(1.0, "under way")

        engine.before = tell
        async with raw(serve(engine), "2025-11-25", FORMS) as host:
            await host.call(_meta={"progressToken": 7})
            told = [(await host.next())["params"]["progress"]]
            asked = await question_of(host)
            told += [(await host.next())["params"]["progress"] for _ in range(3)]
            await host.answer(asked, {"action": "accept"})
            told += [(await host.next())["params"]["progress"]]
            assert (await host.next())["result"]["isError"] is False
            assert told == pytest.approx([1, *range(11, 32, 10), 32])
        assert engine.done == [MAIL]

    run_virtually(story)
