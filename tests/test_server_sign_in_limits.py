"""One sign-in for all runs of an account, not more than one a minute, and no call that waits too long."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from auth_device_world import PENDING, TOKEN, error, grant, signing_in
from auth_world import VirtualClock, session_in
from hosts import SERVE, environment
from mcp import Client, StdioServerParameters
from mcp_types import ElicitResult
from sign_in_world import MAIL, READ, WRITE, Person, house

from kallyai_mcp.auth.device import POLL_DEADLINE
from kallyai_mcp.auth.http import Http
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.sign_in import STARTS_EVERY, SignIn
from kallyai_mcp.engine import Engine
from kallyai_mcp.errors import SignInFailed, SignInRequired
from kallyai_mcp.server.sign_in import LAST_STEP, LONGEST_WAIT

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.client import ClientRequestContext
    from mcp_types import ElicitRequestParams

pytestmark = pytest.mark.anyio

RUNS = 50
HOSTS_LIMIT = 45.0


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_many_runs_at_once_join_one_sign_in_and_each_runs_once(tmp_path: Path, mode: str) -> None:
    subjects: list[str] = []
    with anyio.fail_after(180):
        async with house(tmp_path) as world:
            person = Person(world)
            async with Client(world.server, elicitation_callback=person, mode=mode) as client:

                async def run(number: int) -> None:
                    mail = MAIL | {"subject": f"Space {number}"}
                    result = await client.call_tool(WRITE, mail)
                    assert not result.is_error, result
                    subjects.append(mail["subject"])

                async with anyio.create_task_group() as group:
                    for number in range(RUNS):
                        group.start_soon(run, number)
            assert len(world.codes) == 1
            assert len(world.sent()) == RUNS == len(set(subjects))
            assert len({shown.url for shown in person.shown}) == 1
            if mode == "legacy":
                assert len(person.shown) == 1


async def test_a_model_starts_one_sign_in_a_minute_and_is_told_to_wait(tmp_path: Path) -> None:
    with anyio.fail_after(90):
        async with house(tmp_path) as world:
            person = Person(world, decision="deny")
            async with Client(world.server, elicitation_callback=person) as client:
                codes: list[str] = []
                for tool in (READ, READ, "kallyai_login", "kallyai_logout", "kallyai_login", READ):
                    result = await client.call_tool(tool)
                    if result.is_error:
                        codes.append(result.structured_content["error"]["code"])  # type: ignore[index] - an error
                assert Counter(codes) == {"sign_in_denied": 1, "sign_in_too_soon": 4}
                assert len(world.codes) == 1

                refused = await client.call_tool(READ)
                assert refused.structured_content is not None
                seconds = refused.structured_content["error"]["retry_after"]
                assert 0 < seconds <= STARTS_EVERY
                assert f"in {seconds} s" in refused.structured_content["error"]["next_step"]

                world.clock.ahead += seconds
                person.decision = "approve"
                assert not (await client.call_tool(READ)).is_error
                assert len(world.codes) == 2


async def test_a_sign_in_that_waits_is_joined_however_often_it_is_asked_for(tmp_path: Path) -> None:
    with anyio.fail_after(90):
        async with house(tmp_path) as world:
            person = Person(world, "decline", decision=None)
            async with Client(world.server, elicitation_callback=person) as client:
                for _ in range(4):
                    assert (await client.call_tool(WRITE, MAIL)).is_error
                    world.clock.ahead += 61
                answer = (await client.call_tool("kallyai_login")).structured_content
                assert answer is not None
                assert answer["status"] == "pending"
                assert [answer["user_code"]] == world.codes


async def test_signing_in_by_its_own_tool_answers_as_ever(tmp_path: Path) -> None:
    async with house(tmp_path) as world:
        person = Person(world)
        async with Client(world.server, elicitation_callback=person) as client:
            answer = (await client.call_tool("kallyai_login")).structured_content
        assert answer is not None
        assert answer.keys() == {
            "status", "verification_uri", "verification_uri_complete", "user_code", "expires_in", "message",
        }  # fmt: skip
        assert (answer["status"], person.shown) == ("pending", [])


async def test_a_service_that_cannot_start_one_does_not_use_up_the_minute(tmp_path: Path) -> None:
    async with house(tmp_path) as world:
        from kallyai_mcp.sandbox.signin import set_options

        set_options(world.sandbox.world, {"next_code": ["503"]})
        with pytest.raises(SignInFailed):
            await world.sign_in.begin()
        assert (await world.sign_in.begin()).user_code in world.codes


async def test_a_wait_asks_only_when_it_may_and_ends_in_time(tmp_path: Path) -> None:
    sign_in, service, clock = signing_in(tmp_path, [error(PENDING)])
    await sign_in.begin()
    state = await sign_in.wait(38, since=0)
    assert state is not None
    assert state.user_code == "ABCD-EFGH"
    assert clock.elapsed == 38
    assert service.times == [5, 10, 15, 20, 25, 30, 35]


async def test_a_wait_ends_with_the_tokens_for_all_who_wait(tmp_path: Path) -> None:
    sign_in, service, _ = signing_in(tmp_path, [error(PENDING), grant()])
    await sign_in.begin()
    ends: list[Any] = []

    async def wait() -> None:
        ends.append(await sign_in.wait(38, since=0))

    async with anyio.create_task_group() as group:
        for _ in range(RUNS):
            group.start_soon(wait)
    assert ends == [None] * RUNS
    assert len(service.asked(TOKEN)) == 2
    assert sign_in.completed == 1
    assert await sign_in.wait(38, since=0) is None


def test_no_call_waits_longer_than_a_host_allows() -> None:
    assert LONGEST_WAIT + LAST_STEP < HOSTS_LIMIT
    assert LAST_STEP < POLL_DEADLINE


@pytest.mark.parametrize("hanging", ["/v1/auth/device/token", "/v1/auth/device/code"])
async def test_a_service_that_hangs_holds_no_call_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hanging: str
) -> None:
    from kallyai_mcp.server import sign_in as server_module

    monkeypatch.setattr(server_module, "LAST_STEP", 0.2)
    monkeypatch.setattr(server_module, "LONGEST_WAIT", 2.0)
    monkeypatch.setattr(server_module, "SHORTEST", 0.1)
    # What is not cut off by those takes as long as this.
    monkeypatch.setattr("kallyai_mcp.auth.device.POLL_DEADLINE", 60.0)
    monkeypatch.setattr("kallyai_mcp.auth.http.DEADLINE", 60.0)
    with anyio.fail_after(90):
        async with house(tmp_path) as world:
            network = world.session.http

            class Transport(httpx2.AsyncHTTPTransport):
                async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                    if request.url.path == hanging:
                        await anyio.sleep_forever()
                    return await super().handle_async_request(request)

            is_begun = hanging.endswith("token")
            if is_begun:  # a busy machine may need longer for it than a call has here
                await world.sign_in.begin()
            monkeypatch.setattr(network, "_transport", Transport, raising=True)

            async def agree(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
                del context, params
                return ElicitResult(action="accept")

            async with Client(world.server, elicitation_callback=agree, mode="legacy") as client:
                began = anyio.current_time()
                result = await client.call_tool(READ)
                assert anyio.current_time() - began < 40
                assert result.structured_content is not None
                code = result.structured_content["error"]["code"]
                assert code == ("sign_in_pending" if is_begun else "sign_in_failed")
            if is_begun:
                assert world.sign_in.pending is not None


async def test_tokens_on_their_way_survive_a_call_that_is_cancelled(tmp_path: Path) -> None:
    arrived, go_on = anyio.Event(), anyio.Event()
    clock = VirtualClock()
    service_sign_in, service, _ = signing_in(tmp_path, [grant()])
    del service_sign_in
    service.clock = clock

    class Transport(httpx2.MockTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = await super().handle_async_request(request)
            if request.url.path == TOKEN:
                arrived.set()
                await go_on.wait()
            return answer

    template = session_in(tmp_path)
    session = Session(template.settings, http=Http(lambda: Transport(service)), clock=clock)
    sign_in = SignIn(session)
    await sign_in.begin()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                await sign_in.wait(38, since=0)

            group.start_soon(wait)
            await arrived.wait()
            group.cancel_scope.cancel()
            go_on.set()
    assert await session.token() == "at-s3cret"


async def test_a_run_that_may_have_been_carried_out_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    async def run(*_: Any, **__: Any) -> None:
        runs.append("run")
        raise SignInRequired("Over.", next_step="Look it up.", details={"outcome": "unknown"})

    monkeypatch.setattr(Engine, "run", run)
    async with house(tmp_path) as world:
        person = Person(world)
        async with Client(world.server, elicitation_callback=person) as client:
            result = await client.call_tool(WRITE, MAIL)
        assert result.structured_content is not None
        assert result.structured_content["error"]["next_step"] == "Look it up."
        assert (runs, person.shown, world.codes) == (["run"], [], [])


async def test_a_run_that_missed_a_sign_in_completed_meanwhile_starts_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anyio.fail_after(90):
        async with house(tmp_path) as world:
            whole = Engine.run

            async def run(engine: Engine, *given: Any, **more: Any) -> Any:
                try:
                    return await whole(engine, *given, **more)
                except SignInRequired:
                    pending = await world.sign_in.begin()
                    await world.decide(pending.verification_uri_complete or "")
                    await world.sign_in.finish()
                    raise

            monkeypatch.setattr(Engine, "run", run)
            person = Person(world)
            async with Client(world.server, elicitation_callback=person) as client:
                assert not (await client.call_tool(WRITE, MAIL)).is_error
            assert (len(world.codes), person.shown, len(world.sent())) == (1, [], 1)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_program_itself_signs_a_person_in_over_its_pipes(tmp_path: Path, mode: str) -> None:
    with anyio.fail_after(90):
        async with house(tmp_path / "unused") as world:
            person = Person(world)
            home = tmp_path / "home"
            home.mkdir()
            command = StdioServerParameters(
                command=sys.executable,
                args=list(SERVE),
                env=environment(home, world.sandbox.origin, KALLYAI_ACCESS_TOKEN="", KALLYAI_NO_BROWSER="1"),
                cwd=home,
            )
            async with Client(command, elicitation_callback=person, mode=mode) as client:
                assert not (await client.call_tool(WRITE, MAIL)).is_error
            assert (len(person.shown), len(world.codes), len(world.sent())) == (1, 1, 1)
