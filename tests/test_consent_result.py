"""A host of 2026-07-28 is asked by an input-required result; what it sends back is good for the act shown, and once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from consent_world import ALLOWED, IN_TIME, MAIL, OTHER, QUESTION, TOOL, Book, Engine, Person, error_of, raw, serve
from hosts import MODERN
from mcp import Client, MCPError
from mcp_types import ElicitResult, InputRequiredResult

from kallyai_mcp.model import Consent
from kallyai_mcp.model.records import Question

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from mcp_types import CallToolResult

pytestmark = pytest.mark.anyio

REPLAYS = 50
ACCEPTED = {"consent": ElicitResult(action="accept")}


async def ask(client: Client) -> str:
    """Run the tool as far as the question, and return the state."""
    first = await client.session.call_tool(TOOL, MAIL, allow_input_required=True)
    assert isinstance(first, InputRequiredResult)
    assert first.request_state is not None
    return first.request_state


async def retry(
    client: Client, state: str, tool: str = TOOL, arguments: dict[str, Any] | None = None, answers: Any = ACCEPTED
) -> CallToolResult | InputRequiredResult:
    return await client.session.call_tool(
        tool, MAIL if arguments is None else arguments, input_responses=answers, request_state=state,
        allow_input_required=True,
    )  # fmt: skip


def code_of(result: CallToolResult | InputRequiredResult) -> str:
    """Return the code of an error, `asked` for another question, or `ran`."""
    if isinstance(result, InputRequiredResult):
        return "asked"
    if not result.is_error:
        return "ran"
    assert result.structured_content is not None
    return result.structured_content["error"]["code"]


@pytest.fixture
def engine() -> Engine:
    return Engine(Book())


@pytest.fixture
async def asked(engine: Engine) -> AsyncGenerator[tuple[Client, str]]:
    """A host that was asked, and the state that it holds."""
    with anyio.fail_after(IN_TIME):
        async with Client(serve(engine), elicitation_callback=Person()) as client:
            yield client, await ask(client)


Asked = tuple[Client, str]


async def test_the_question_goes_over_the_wire_as_a_form_without_fields(engine: Engine) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), MODERN) as host:
            result = await host.result()
    state = result.pop("requestState")
    result.pop("_meta")
    form: dict[str, Any] = {
        "mode": "form",
        "message": QUESTION.text(),
        "requestedSchema": {"type": "object", "properties": {}},
    }
    assert result == {
        "resultType": "input_required",
        "inputRequests": {"consent": {"method": "elicitation/create", "params": form}},
    }
    assert "consent" not in state
    assert engine.book.last.id not in state
    assert engine.done == []


@pytest.mark.parametrize("declared", [{}, {"form": {}}, {"form": {}, "url": {}}], ids=str)
async def test_a_person_who_accepts_lets_it_happen_once(engine: Engine, declared: dict[str, Any]) -> None:
    """Elicitation without any mode means forms."""
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), MODERN, {"elicitation": declared}) as host:
            first = await host.result()
            answers: dict[str, Any] = {"consent": {"action": "accept", "content": {}}}
            second = await host.result(inputResponses=answers, requestState=first["requestState"])
    assert second["structuredContent"] == {"sent": True}
    assert engine.done == [MAIL]
    assert (engine.book.last.decision, engine.book.last.consent) == (True, Consent.ELICITATION)


async def test_the_sdks_client_takes_its_person_through(engine: Engine) -> None:
    person = Person()
    with anyio.fail_after(IN_TIME):
        async with Client(serve(engine), elicitation_callback=person) as client:
            assert not (await client.call_tool(TOOL, MAIL)).is_error
    assert [shown.message for shown in person.shown] == [QUESTION.text()]
    assert engine.done == [MAIL]


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_who_does_not_accept_ends_it_for_good(engine: Engine, asked: Asked, action: str) -> None:
    client, state = asked
    refused = await retry(client, state, answers={"consent": ElicitResult(action=action)})  # type: ignore[arg-type] - one of the actions
    assert code_of(refused) == "approval_declined"
    assert (engine.book.last.decision, engine.book.last.consent) == (False, Consent.ELICITATION)
    for answers in (ACCEPTED, None, {}):
        assert code_of(await retry(client, state, answers=answers)) == "approval_declined"
    assert engine.done == []


async def test_one_approval_replayed_one_after_the_other_runs_once(engine: Engine, asked: Asked) -> None:
    client, state = asked
    codes = [code_of(await retry(client, state)) for _ in range(REPLAYS)]
    assert codes == ["ran"] + ["approval_used"] * (REPLAYS - 1)
    assert engine.done == [MAIL]


@pytest.mark.parametrize("answers", [ACCEPTED, None, {}, {"consent": ElicitResult(action="decline")}], ids=str)
async def test_a_replay_after_the_run_tries_nothing(engine: Engine, asked: Asked, answers: Any) -> None:
    client, state = asked
    assert code_of(await retry(client, state)) == "ran"
    tries = engine.tries
    assert code_of(await retry(client, state, answers=answers)) == "approval_used"
    assert engine.tries == tries


async def gather(pairs: list[tuple[Client, str]]) -> list[str]:
    """Send the same final leg many times at once, and return what came of each."""
    codes: list[str] = []

    async def go(client: Client, state: str) -> None:
        codes.append(code_of(await retry(client, state)))

    async with anyio.create_task_group() as group:
        for client, state in pairs:
            group.start_soon(go, client, state)
    return sorted(codes)


async def test_one_approval_replayed_at_once_runs_once(engine: Engine, asked: Asked) -> None:
    client, state = asked
    assert await gather([(client, state)] * REPLAYS) == ["approval_used"] * (REPLAYS - 1) + ["ran"]
    assert engine.done == [MAIL]


async def test_final_legs_in_two_processes_at_once_run_once(engine: Engine, tmp_path: Path) -> None:
    with anyio.fail_after(IN_TIME):
        async with (
            Client(serve(engine, tmp_path), elicitation_callback=Person()) as one,
            Client(serve(engine, tmp_path), elicitation_callback=Person()) as two,
        ):
            state = await ask(one)
            codes = await gather([(one, state), (two, state)] * 10)
    assert codes == ["approval_used"] * 19 + ["ran"]
    assert engine.done == [MAIL]


async def test_of_two_legs_the_later_one_is_not_asked_anew(engine: Engine, asked: Asked) -> None:
    """Its approval was used by the other one between its answer and its run."""
    client, state = asked
    approval = engine.book.last.id

    async def meanwhile(_: Any) -> None:
        engine.book.use(approval)

    engine.before = meanwhile
    assert code_of(await retry(client, state)) == "approval_used"
    assert engine.done == []


async def test_an_answer_is_good_after_a_restart(engine: Engine, tmp_path: Path) -> None:
    with anyio.fail_after(IN_TIME):
        async with Client(serve(engine, tmp_path), elicitation_callback=Person()) as before:
            state = await ask(before)
        async with Client(serve(engine, tmp_path), elicitation_callback=Person()) as after:
            assert code_of(await retry(after, state)) == "ran"
            assert code_of(await retry(after, state)) == "approval_used"
    assert engine.done == [MAIL]


def refused_state() -> Any:
    return pytest.raises(MCPError, match="Invalid or expired requestState")


async def test_an_answer_is_nothing_to_a_server_with_another_key(engine: Engine, asked: Asked, tmp_path: Path) -> None:
    _, state = asked
    async with Client(serve(engine, tmp_path), elicitation_callback=Person()) as other:
        with refused_state():
            await retry(other, state)
    assert (engine.done, engine.book.last.decision) == ([], None)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (TOOL, MAIL | {"to": "else@hotel.example"}),
        (TOOL, MAIL | {"body": f"{MAIL['body']} "}),
        (TOOL, MAIL | {"dry_run": False}),
        (TOOL, {}),
        (OTHER, MAIL),
        (OTHER, {"message": "Hello"}),
    ],
)
async def test_the_state_of_another_act_is_refused(
    engine: Engine, asked: Asked, tool: str, arguments: dict[str, Any]
) -> None:
    client, state = asked
    with refused_state():
        await retry(client, state, tool, arguments)
    assert (engine.done, engine.book.last.decision) == ([], None)


async def test_the_state_of_another_account_is_refused_before_anything_has_run(tmp_path: Path) -> None:
    book = Book()
    mine, theirs = Engine(book), Engine(book, account="two")
    with anyio.fail_after(IN_TIME):
        async with (
            Client(serve(mine, tmp_path), elicitation_callback=Person()) as client,
            Client(serve(theirs, tmp_path), elicitation_callback=Person()) as other,
        ):
            state = await ask(client)
            with refused_state():
                await retry(other, state)
    assert (theirs.tries, book.last.decision) == (0, None)


@pytest.mark.parametrize("where", [0, 5, 12, 60, -1])
async def test_an_altered_state_is_refused(engine: Engine, asked: Asked, where: int) -> None:
    client, state = asked
    other = "A" if state[where] != "A" else "B"
    with refused_state():
        await retry(client, state[:where] + other + (state[where + 1 :] if where != -1 else ""))
    assert (engine.done, engine.book.last.decision) == ([], None)


@pytest.mark.parametrize("state", ["", "consent:approval0", "consent:approval0:", "sign_in:x", "v1.", "v1.AAAA"])
async def test_a_made_up_state_is_refused(engine: Engine, asked: Asked, state: str) -> None:
    client, _ = asked
    with refused_state():
        await retry(client, state)
    assert (engine.done, engine.book.last.decision) == ([], None)


@pytest.mark.parametrize(
    "answers",
    [
        None,
        {},
        {"else": ElicitResult(action="accept")},
        {"sign_in": ElicitResult(action="accept")},
        {"approval0": ElicitResult(action="accept")},
        {"Consent": ElicitResult(action="accept"), "consent ": ElicitResult(action="accept")},
    ],
    ids=str,
)
async def test_a_retry_without_the_answer_is_asked_again(engine: Engine, asked: Asked, answers: Any) -> None:
    client, state = asked
    again = await retry(client, state, answers=answers)
    assert isinstance(again, InputRequiredResult)
    assert again.request_state is not None
    assert (engine.done, len(engine.book.approvals), engine.book.last.decision) == ([], 1, None)
    assert code_of(await retry(client, again.request_state)) == "ran"


async def test_what_was_approved_elsewhere_meanwhile_runs_without_an_answer(engine: Engine, asked: Asked) -> None:
    client, state = asked
    await engine.book.decide(engine.book.last.id, agreed=True, how=Consent.PAGE)
    assert code_of(await retry(client, state, answers=None)) == "ran"
    assert engine.book.last.consent is Consent.PAGE


async def test_what_was_declined_elsewhere_meanwhile_stays_declined(engine: Engine, asked: Asked) -> None:
    client, state = asked
    await engine.book.decide(engine.book.last.id, agreed=False, how=Consent.TERMINAL)
    assert code_of(await retry(client, state)) == "approval_declined"
    assert engine.done == []


async def test_an_answer_that_came_too_late_is_asked_for_anew(engine: Engine, asked: Asked) -> None:
    client, state = asked
    engine.book.ahead = ALLOWED
    assert code_of(await retry(client, state)) == "asked"
    assert [approval.decision for approval in engine.book.approvals.values()] == [None, None]
    assert engine.done == []


async def test_a_question_that_changed_since_it_was_shown_is_asked_anew(engine: Engine, asked: Asked) -> None:
    client, state = asked
    engine.question = Question("Send a mail", TOOL, (("Reaches", "somebody else"),))
    assert code_of(await retry(client, state, answers=None)) == "asked"
    again = await retry(client, state)
    assert isinstance(again, InputRequiredResult)
    assert again.input_requests is not None
    assert again.input_requests["consent"].params.message == engine.question.text()  # type: ignore[union-attr] - an elicitation
    assert (engine.done, engine.book.last.decision) == ([], None)
    assert code_of(await retry(client, again.request_state or "")) == "ran"


async def test_a_question_that_changes_while_the_answer_is_kept_is_asked_anew(
    engine: Engine, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, state = asked
    decide = engine.book.decide

    async def late(approval: str, **said: Any) -> Any:
        engine.question = Question("Send a mail", TOOL, (("Reaches", "somebody else"),))
        engine.book.change(approval, question=engine.question)
        return await decide(approval, **said)

    monkeypatch.setattr(engine.book, "decide", late)
    assert code_of(await retry(client, state)) == "asked"
    assert (engine.done, engine.book.last.decision) == ([], None)


async def test_a_run_that_needs_other_consent_after_all_is_asked_anew(engine: Engine, asked: Asked) -> None:
    client, state = asked
    first = engine.book.last

    async def change(_: Any) -> None:
        engine.account = "one, at another price"

    engine.before = change
    again = await retry(client, state)
    assert code_of(again) == "asked"
    assert engine.book.last.id != first.id
    assert engine.done == []


async def test_what_a_state_is_for_is_known_without_any_run_before(engine: Engine, tmp_path: Path) -> None:
    """The key and the account are there before the engine is."""
    with anyio.fail_after(IN_TIME):
        async with Client(serve(engine, tmp_path), elicitation_callback=Person()) as before:
            state = await ask(before)
        tries = engine.tries
        async with raw(serve(engine, tmp_path), MODERN) as host:
            changed = await host.result(arguments=MAIL | {"to": "x@y.example"}, requestState=state)
            assert (changed["code"], engine.tries) == (-32602, tries)
            answers = {"consent": {"action": "accept"}}
            assert (await host.result(inputResponses=answers, requestState=state))["isError"] is False


async def test_an_error_says_what_to_do(engine: Engine) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), MODERN) as host:
            first = await host.result()
            answers = {"consent": {"action": "decline"}}
            error = error_of(await host.result(inputResponses=answers, requestState=first["requestState"]))
    assert error == {
        "code": "approval_declined",
        "message": "The user declined; the tool was not run.",
        "next_step": "Do not run it again, nor something else to the same end, unless the user asks for it.",
        "retryable": False,
        "outcome": "not_sent",
    }
