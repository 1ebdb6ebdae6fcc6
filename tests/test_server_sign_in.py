"""A run that needs a sign-in asks for it through the host, whatever the host can, and then runs once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client
from mcp.client.session import ClientSession
from mcp_types import ElicitCompleteNotification, ElicitResult, InputRequiredResult
from sign_in_world import MAIL, READ, WRITE, Person, house, issue_pair

from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.errors import OWN_CODES
from kallyai_mcp.server import sign_in as module

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.client import ClientRequestContext
    from mcp_types import CallToolResult, ElicitRequestParams, InputResponses

pytestmark = pytest.mark.anyio

MODERN_HOST: dict[str, Any] = {"mode": "auto"}
LEGACY_HOST: dict[str, Any] = {"mode": "legacy"}
IN_TIME = 90.0
"""Seconds within which a test must be through."""


def error_of(result: CallToolResult) -> dict[str, Any]:
    assert result.is_error, result
    assert result.structured_content is not None
    error = result.structured_content["error"]
    assert error["code"] in OWN_CODES
    return error


def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the SDK's clients declare elicitation by form only."""
    declared = ClientSession._build_capabilities  # pyright: ignore[reportPrivateUsage]  # the SDK has no other way

    def build(session: ClientSession, *given: Any, **more: Any) -> Any:
        capabilities = declared(session, *given, **more)
        if capabilities.elicitation is not None:
            capabilities.elicitation.url = None
        return capabilities

    monkeypatch.setattr(ClientSession, "_build_capabilities", build)


@pytest.mark.parametrize("host", [MODERN_HOST, LEGACY_HOST], ids=["2026-07-28", "2025-11-25"])
async def test_a_host_that_opens_addresses_takes_the_person_through_and_the_run_goes_on(
    tmp_path: Path, host: dict[str, Any]
) -> None:
    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world:
            person = Person(world)
            async with Client(world.server, elicitation_callback=person, **host) as client:
                result = await client.call_tool(WRITE, MAIL)
                assert not result.is_error, result
                assert (await client.call_tool(READ)).structured_content["credits_remaining"] > 0  # type: ignore[index] - an object
            (shown,) = person.shown
            (code,) = world.codes
            assert shown.url == f"{world.sandbox.origin}/activate?user_code={code}"
            assert code in shown.message
            assert WRITE in shown.message
            assert "http" not in shown.message
            assert len(world.sent()) == 1
            assert world.opened == []
            assert "access_token" in (tmp_path / "token.json").read_text()


async def test_a_handshake_host_is_told_when_what_it_showed_is_done(tmp_path: Path) -> None:
    told: list[str] = []

    async def listen(message: Any) -> None:
        if isinstance(message, ElicitCompleteNotification):
            told.append(message.params.elicitation_id)

    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world:
            person = Person(world)
            async with Client(
                world.server, elicitation_callback=person, message_handler=listen, **LEGACY_HOST
            ) as client:
                assert not (await client.call_tool(READ)).is_error
                await client.list_tools()
            assert told == [person.shown[0].elicitation_id]


@pytest.mark.parametrize("host", [MODERN_HOST, LEGACY_HOST], ids=["2026-07-28", "2025-11-25"])
@pytest.mark.parametrize("asks", ["nothing", "by form only"])
async def test_a_host_that_opens_no_addresses_gets_them_in_an_error_and_the_same_tool_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: dict[str, Any], asks: str
) -> None:
    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world:
            if asks == "by form only":
                no_url(monkeypatch)
                host = host | {"elicitation_callback": Person(world)}
            async with Client(world.server, **host) as client:
                result = await client.call_tool(WRITE, MAIL)
                error = error_of(result)
                (code,) = world.codes
                assert (error["code"], error["user_code"]) == ("sign_in_required", code)
                assert error["verification_uri"] == f"{world.sandbox.origin}/activate"
                for part in (error["show"], code, error["verification_uri"], "same tool again"):
                    assert part in result.content[0].text  # type: ignore[union-attr] - a text
                assert world.opened == [error["verification_uri_complete"]]
                assert world.sent() == []

                await world.decide(error["verification_uri_complete"])
                assert not (await client.call_tool(WRITE, MAIL)).is_error
                assert len(world.sent()) == 1
                assert world.codes == [code]


async def test_the_same_tool_called_again_too_early_waits_and_then_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world, Client(world.server, **MODERN_HOST) as client:
            assert error_of(await client.call_tool(READ))["code"] == "sign_in_required"
            monkeypatch.setattr(module, "LONGEST_WAIT", 1.5)
            error = error_of(await client.call_tool(READ))
            assert (error["code"], [error["user_code"]]) == ("sign_in_pending", world.codes)
            # Another run is told at once, so that a model which runs several sees the address soon.
            assert error_of(await client.call_tool(WRITE, MAIL))["code"] == "sign_in_required"
            assert world.sent() == []


@pytest.mark.parametrize("host", [MODERN_HOST, LEGACY_HOST], ids=["2026-07-28", "2025-11-25"])
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_who_does_not_want_to_ends_the_run(tmp_path: Path, host: dict[str, Any], action: str) -> None:
    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world:
            person = Person(world, action, decision=None)
            async with Client(world.server, elicitation_callback=person, **host) as client:
                error = error_of(await client.call_tool(WRITE, MAIL))
            assert (error["code"], error["action"]) == ("sign_in_required", action)
            assert ("declined" if action == "decline" else "closed") in error["message"]
            assert world.sent() == []


@pytest.mark.parametrize("host", [MODERN_HOST, LEGACY_HOST], ids=["2026-07-28", "2025-11-25"])
async def test_a_person_who_says_no_on_the_page_ends_the_run(tmp_path: Path, host: dict[str, Any]) -> None:
    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world:
            person = Person(world, decision="deny")
            async with Client(world.server, elicitation_callback=person, **host) as client:
                assert error_of(await client.call_tool(WRITE, MAIL))["code"] == "sign_in_denied"
            assert world.sent() == []


async def test_a_retry_before_the_approval_is_asked_again_and_goes_on_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world, Client(world.server, elicitation_callback=Person(world)) as client:
            session = client.session
            first = await session.call_tool(WRITE, MAIL, allow_input_required=True)
            assert isinstance(first, InputRequiredResult)
            monkeypatch.setattr(module, "LONGEST_WAIT", 0.5)
            answers: InputResponses = {"sign_in": ElicitResult(action="accept")}
            second = await session.call_tool(
                WRITE, MAIL, input_responses=answers, request_state=first.request_state, allow_input_required=True
            )
            assert isinstance(second, InputRequiredResult)
            assert second.input_requests is not None
            question = second.input_requests["sign_in"].params
            assert question.message.startswith("Nobody has approved the sign-in yet.")  # type: ignore[union-attr] - of an elicitation
            assert len(world.codes) == 1

            monkeypatch.setattr(module, "LONGEST_WAIT", 60.0)
            await world.decide(question.url)  # type: ignore[union-attr] - of an elicitation
            third = await session.call_tool(
                WRITE, MAIL, input_responses=answers, request_state=second.request_state, allow_input_required=True
            )
            assert not isinstance(third, InputRequiredResult)
            assert not third.is_error
            assert len(world.sent()) == 1


async def test_a_handshake_host_that_does_not_answer_gets_the_address_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.5)
    asked: list[bool] = []
    called_off: list[bool] = []

    async def never(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        del context, params
        asked.append(True)
        try:
            await anyio.sleep_forever()
        finally:
            called_off.append(True)
        raise AssertionError

    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world:
            await world.sign_in.begin()  # a busy machine may need longer for it than a call has here
            while not asked:
                async with Client(world.server, elicitation_callback=never, **LEGACY_HOST) as client:
                    error = error_of(await client.call_tool(READ))
                    assert [error["user_code"]] == world.codes
            assert called_off == asked


async def test_a_call_that_is_cancelled_leaves_the_sign_in_to_the_next(tmp_path: Path) -> None:
    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world, Client(world.server, **MODERN_HOST) as client:
            error = error_of(await client.call_tool(READ))
            async with anyio.create_task_group() as group:
                group.start_soon(client.call_tool, READ)
                await world.clock.waited_on.wait()
                group.cancel_scope.cancel()
            assert world.sign_in.pending is not None
            await world.decide(error["verification_uri_complete"])
            assert not (await client.call_tool(READ)).is_error
            assert world.codes == [error["user_code"]]


async def test_public_tools_and_wrong_arguments_start_no_sign_in(tmp_path: Path) -> None:
    async with house(tmp_path) as world:
        person = Person(world)
        async with Client(world.server, elicitation_callback=person) as client:
            assert error_of(await client.call_tool("kallyai_calls_make", {"phone": "x"}))["code"] == "invalid_arguments"
            assert not (await client.call_tool("kallyai_credits_plans")).is_error
            assert not (await client.call_tool("kallyai_auth_status")).is_error
        assert (world.codes, person.shown) == ([], [])


async def test_a_fixed_token_that_is_refused_starts_no_sign_in(tmp_path: Path) -> None:
    async with house(tmp_path, access_token="kallyai_sandbox_at_none") as world:
        person = Person(world)
        async with Client(world.server, elicitation_callback=person) as client:
            error = error_of(await client.call_tool(READ))
        assert error["code"] == "sign_in_required"
        assert "replace the token" in error["next_step"]
        assert (world.codes, person.shown) == ([], [])


async def test_a_sign_in_that_the_service_ended_is_asked_for_anew(tmp_path: Path) -> None:
    """The tokens look valid here; the service refuses both of them."""
    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world:
            gone = TokenPair("kallyai_sandbox_at_gone", "kallyai_sandbox_rt_gone", world.clock.now() + 3000, 0)
            assert await world.session.adopt(gone)
            person = Person(world)
            async with Client(world.server, elicitation_callback=person) as client:
                assert not (await client.call_tool(READ)).is_error
            assert len(person.shown) == 1


@pytest.mark.parametrize("host", [MODERN_HOST, LEGACY_HOST], ids=["2026-07-28", "2025-11-25"])
async def test_a_sign_in_in_another_program_lets_the_waiting_run_go_on(tmp_path: Path, host: dict[str, Any]) -> None:
    with anyio.fail_after(IN_TIME):
        async with house(tmp_path) as world:
            other = issue_pair(world)

            async def elsewhere(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
                del context, params
                pair = TokenPair(other.access_token, other.refresh_token, world.clock.now() + 3600, 0)
                assert await type(world.session)(world.session.settings).adopt(pair)
                return ElicitResult(action="accept")

            async with Client(world.server, elicitation_callback=elsewhere, **host) as client:
                assert not (await client.call_tool(READ)).is_error
