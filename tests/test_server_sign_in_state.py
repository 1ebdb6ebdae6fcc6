"""What crosses the wire while a person signs in is sealed, bound to the run and the account, and good for once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import ElicitResult, InputRequiredResult
from sign_in_world import MAIL, READ, WRITE, House, Person, house

from kallyai_mcp.server.states import LIFETIME, MOST, States

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from mcp_types import CallToolResult

pytestmark = pytest.mark.anyio

ACCEPTED = {"sign_in": ElicitResult(action="accept")}


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncGenerator[tuple[House, Client, str]]:
    """A run that asked for the sign-in, which a person has approved since: world, client, state."""
    with anyio.fail_after(90):
        async with house(tmp_path) as world, Client(world.server, elicitation_callback=Person(world)) as client:
            first = await client.session.call_tool(WRITE, MAIL, allow_input_required=True)
            assert isinstance(first, InputRequiredResult)
            assert first.input_requests is not None
            assert first.request_state is not None
            await world.decide(first.input_requests["sign_in"].params.url)  # type: ignore[union-attr] - an elicitation
            yield world, client, first.request_state


Asked = tuple[House, Client, str]


async def retry(
    client: Client, state: str, tool: str = WRITE, arguments: dict[str, Any] | None = None, answers: Any = ACCEPTED
) -> CallToolResult | InputRequiredResult:
    return await client.session.call_tool(
        tool, MAIL if arguments is None else arguments, input_responses=answers, request_state=state,
        allow_input_required=True,
    )  # fmt: skip


async def test_a_state_is_good_for_one_run_only(asked: Asked) -> None:
    world, client, state = asked
    result = await retry(client, state)
    assert not isinstance(result, InputRequiredResult)
    assert not result.is_error
    for _ in range(2):
        with pytest.raises(MCPError, match="requestState was used already") as refused:
            await retry(client, state)
        assert (refused.value.error.code, refused.value.error.data) == (-32602, {"reason": "request_state_used"})
    assert len(world.sent()) == 1


async def test_of_two_retries_at_once_one_runs(asked: Asked) -> None:
    world, client, state = asked
    ends: list[str] = []

    async def go() -> None:
        try:
            result = await retry(client, state)
        except MCPError as error:
            ends.append(error.error.message.partition(".")[0])
        else:
            assert not isinstance(result, InputRequiredResult)
            ends.append("failed" if result.is_error else "ran")

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(go)
    assert sorted(ends) == ["This requestState was used already"] * 4 + ["ran"]
    assert len(world.sent()) == 1


@pytest.mark.parametrize("where", [0, 5, 40, -1])
async def test_an_altered_state_is_refused(asked: Asked, where: int) -> None:
    world, client, state = asked
    other = "A" if state[where] != "A" else "B"
    altered = state[:where] + other + (state[where + 1 :] if where != -1 else "")
    with pytest.raises(MCPError, match="Invalid or expired requestState"):
        await retry(client, altered)
    assert world.sent() == []
    assert isinstance(await retry(client, state), object)


@pytest.mark.parametrize("state", ["", "v1.", "x", json.dumps({"s": "x"})])
async def test_a_made_up_state_is_refused(asked: Asked, state: str) -> None:
    world, client, _ = asked
    with pytest.raises(MCPError, match="Invalid or expired requestState"):
        await retry(client, state)
    assert world.sent() == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [(WRITE, MAIL | {"to": "else@hotel.example"}), (WRITE, {}), (READ, {}), ("kallyai_ask", {"message": "Hello"})],
)
async def test_a_state_of_another_run_is_refused(asked: Asked, tool: str, arguments: dict[str, Any]) -> None:
    world, client, state = asked
    with pytest.raises(MCPError, match="Invalid or expired requestState"):
        await retry(client, state, tool, arguments)
    assert world.sent() == []


async def test_a_state_of_another_account_is_refused(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    world, client, state = asked
    monkeypatch.setattr(type(world.sign_in), "account", "http://127.0.0.1:1 /elsewhere/token.json")
    await client.call_tool("kallyai_credits_plans")
    with pytest.raises(MCPError, match="Invalid or expired requestState"):
        await retry(client, state)
    assert world.sent() == []


async def test_a_state_of_another_server_is_refused(asked: Asked, tmp_path: Path) -> None:
    _, _, state = asked
    async with house(tmp_path / "other") as other, Client(other.server, elicitation_callback=Person(other)) as client:
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await retry(client, state)
        assert other.codes == []


async def test_a_state_hides_what_it_holds(asked: Asked) -> None:
    world, _, state = asked
    for part in (*world.codes, "sign_in", str(world.sandbox.port), MAIL["to"]):
        assert part not in state


@pytest.mark.parametrize("answers", [None, {}, {"else": ElicitResult(action="accept")}])
async def test_a_retry_without_the_answer_runs_since_the_person_has_approved(asked: Asked, answers: Any) -> None:
    """A retry says nothing of its own; what counts is whether there is a token."""
    world, client, state = asked
    world.clock.ahead = 2
    result = await retry(client, state, answers=answers)
    assert not isinstance(result, InputRequiredResult)
    assert len(world.sent()) == 1


async def test_a_retry_that_declines_runs_nothing_although_the_page_was_approved(asked: Asked) -> None:
    world, client, state = asked
    result = await retry(client, state, answers={"sign_in": ElicitResult(action="decline")})
    assert not isinstance(result, InputRequiredResult)
    assert result.is_error
    assert world.sent() == []


async def test_states_end_and_do_not_pile_up() -> None:
    now = 0.0
    states = States(lambda: now)
    await states.give("a")
    now = LIFETIME
    assert not await states.use("a")
    for number in range(MOST + 5):
        await states.give(str(number))
    assert len(states) == MOST
    assert not await states.use("4")
    assert await states.use("5")
    assert not await states.use("5")
    now *= 2
    await states.give("z")
    assert len(states) == 1
