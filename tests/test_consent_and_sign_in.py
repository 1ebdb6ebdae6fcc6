"""A run may wait for a sign-in and for consent; what answers the one is nothing to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from consent_world import IN_TIME, MAIL, QUESTION, TOOL, Book, Engine, Ran, error_of, raw, serve
from hosts import MODERN
from mcp import MCPError
from mcp_types import CallToolRequestParams, ElicitResult

from kallyai_mcp.auth.flow import Pending
from kallyai_mcp.errors import SignInRequired
from kallyai_mcp.server.consent import ConsentDesk
from kallyai_mcp.server.sign_in import SignInDesk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from consent_world import RawHost

pytestmark = pytest.mark.anyio

BOTH: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
ACCEPT = {"action": "accept"}


class SignIn:
    """A sign-in that is done when the test says so."""

    account = "https://api.example /home/a/token.json"
    has_fixed_token = False
    completed = 0
    where = "on this machine"
    is_settled = False

    def __init__(self) -> None:
        self.is_done = False
        self.pending: Pending | None = None

    def standing(self) -> None:
        return None

    async def sync(self) -> None:
        return None

    async def begin(self, *, show: bool = True) -> Pending:
        del show
        self.pending = Pending("device", "https://api.example/activate", None, "ABCD-EFGH", 600, "Open it.")
        return self.pending

    async def wait(self, seconds: float, **more: Any) -> Pending | None:
        del seconds, more
        return None if self.is_done else self.pending


class House:
    """An engine that wants a sign-in first, and consent then."""

    def __init__(self, host: RawHost, engine: Engine, sign_in: SignIn) -> None:
        self.host = host
        self.engine = engine
        self.sign_in = sign_in
        self.needs_sign_in = True

    async def want(self, _: Any) -> None:
        if self.needs_sign_in and not self.sign_in.is_done:
            raise SignInRequired("Nobody is signed in.", next_step="Sign in.")

    async def state_of(self, kind: str) -> str:
        """Have the run wait for a sign-in or for consent, and return its state."""
        self.needs_sign_in = kind == "sign_in"
        result = await self.host.result()
        assert list(result["inputRequests"]) == [kind]
        return result["requestState"]

    async def retry(self, state: str, **answers: Any) -> dict[str, Any]:
        return await self.host.result(requestState=state, inputResponses=answers)


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    engine, sign_in = Engine(Book()), SignIn()

    async def give() -> Any:
        return sign_in

    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, sign_in=give), MODERN, BOTH) as host:
            made = House(host, engine, sign_in)
            engine.before = made.want
            yield made


async def test_a_run_that_needs_both_asks_for_one_after_the_other(house: House) -> None:
    state = await house.state_of("sign_in")
    house.sign_in.is_done = True
    asked = await house.retry(state, sign_in=ACCEPT)
    assert list(asked["inputRequests"]) == ["consent"]
    assert (await house.retry(asked["requestState"], consent=ACCEPT))["isError"] is False
    assert house.engine.done == [MAIL]


async def test_a_sign_in_that_is_missing_after_the_consent_does_not_have_it_asked_again(house: House) -> None:
    state = await house.state_of("consent")
    house.needs_sign_in = True
    asked = await house.retry(state, consent=ACCEPT)
    assert list(asked["inputRequests"]) == ["sign_in"]
    assert house.engine.done == []
    house.sign_in.is_done = True
    assert (await house.retry(asked["requestState"], sign_in=ACCEPT))["isError"] is False
    assert house.engine.done == [MAIL]


async def test_an_answer_about_the_sign_in_is_none_to_the_consent(house: House) -> None:
    state = await house.state_of("consent")
    again = await house.retry(state, sign_in=ACCEPT)
    assert list(again["inputRequests"]) == ["consent"]
    assert (house.engine.done, house.engine.book.last.decision) == ([], None)


async def test_an_answer_about_the_consent_is_none_to_the_sign_in(house: House) -> None:
    state = await house.state_of("sign_in")
    again = await house.retry(state, consent=ACCEPT)
    assert list(again["inputRequests"]) == ["sign_in"]
    assert (house.engine.done, house.engine.book.approvals) == ([], {})


async def test_an_answer_to_both_counts_for_what_the_state_is_about(house: House) -> None:
    state = await house.state_of("sign_in")
    house.sign_in.is_done = True
    asked = await house.retry(state, sign_in=ACCEPT, consent=ACCEPT)
    assert list(asked["inputRequests"]) == ["consent"]
    assert (house.engine.done, house.engine.book.last.decision) == ([], None)
    declined = await house.retry(asked["requestState"], sign_in=ACCEPT, consent={"action": "decline"})
    assert error_of(declined)["code"] == "approval_declined"
    assert house.engine.done == []


async def test_the_sign_in_never_sees_a_state_of_the_consent() -> None:
    seen: list[CallToolRequestParams] = []
    book = Book()
    approval = book.open(TOOL, "digest", QUESTION)

    async def give() -> Book:
        return book

    async def run(params: CallToolRequestParams, until: float | None) -> Any:
        del until
        seen.append(params)
        return Ran()

    desk = ConsentDesk(give)
    answers = {"consent": ElicitResult(action="accept"), "sign_in": ElicitResult(action="accept")}
    given = {"name": TOOL, "arguments": MAIL, "input_responses": answers}
    params = CallToolRequestParams(**given, request_state=f"consent:{approval.id}:x")  # type: ignore[arg-type] - as it comes over the wire
    await desk.run(cast("Any", None), params, run)
    assert [(one.request_state, one.input_responses, one.arguments) for one in seen] == [(None, None, MAIL)]

    ours = CallToolRequestParams(**given, request_state="sign_in:x")  # type: ignore[arg-type] - as it comes over the wire
    await desk.run(cast("Any", None), ours, run)
    assert seen[1] is ours


@pytest.mark.parametrize("state", ["consent:approval0:x", "", "x", "sign_in:", "sign_in:x"])
async def test_the_sign_in_refuses_a_state_that_it_has_not_given(state: str) -> None:
    sign_in = SignIn()

    async def give() -> Any:
        return sign_in

    async def run() -> Any:
        raise AssertionError

    params = CallToolRequestParams(name=TOOL, arguments=MAIL, request_state=state)
    with pytest.raises(MCPError, match="Invalid or expired requestState"):
        await SignInDesk(give).run(cast("Any", None), params, run)


@pytest.mark.parametrize("state", ["", "x", "Consent:approval0", "approval0"])
async def test_the_consent_refuses_a_state_of_no_known_kind(state: str) -> None:
    async def run(params: CallToolRequestParams, until: float | None) -> Any:
        raise AssertionError(params, until)

    async def give() -> Any:
        raise AssertionError

    params = CallToolRequestParams(name=TOOL, arguments=MAIL, request_state=state)
    with pytest.raises(MCPError, match="Invalid or expired requestState"):
        await ConsentDesk(give).run(cast("Any", None), params, run)
