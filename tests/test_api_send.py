"""What a request holds, when it is repeated, and whose token goes where."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from api_world import (
    CALENDAR,
    CANCEL_GOAL,
    COSTS,
    GET_GOALS,
    GOAL,
    GOALS,
    MAKE,
    POST_CALL,
    POST_MAIL,
    RUN,
    SEND_MAIL,
    VERIFY,
    FakeTokens,
    Sleeps,
    raw,
    reply,
    scripted,
)
from hypothesis import given
from hypothesis import strategies as st

from kallyai_mcp.api import quiet_http_logs
from kallyai_mcp.api.target import Origin
from kallyai_mcp.catalog import all_commands
from kallyai_mcp.errors import ApiError, InvalidArguments, InvalidSettings, SignInRequired, TransportError
from kallyai_mcp.model import ApiRequest, Defaults, build_request

if TYPE_CHECKING:
    from kallyai_mcp.model import Command

pytestmark = pytest.mark.anyio

READ_COSTS = ApiRequest("GET", "/v1/credits/costs")


async def test_a_get_carries_these_headers_and_no_others() -> None:
    client, script = scripted(reply(200, {"a": 1}))
    await client.send(GOALS, ApiRequest("GET", "/v1/coordination/goals", (("q", "a b&c/ü"),)), FakeTokens(), run_id=RUN)
    (request,) = script.requests
    assert str(request.url) == "https://api.kallyai.com/v1/coordination/goals?q=a%20b%26c%2F%C3%BC"
    assert dict(request.headers) == {
        "host": "api.kallyai.com",
        "user-agent": "kallyai-mcp/9.9",
        "accept": "application/json",
        "accept-encoding": "identity",
        "authorization": "Bearer token-1",
    }
    assert request.content == b""


async def test_a_post_carries_its_body_and_a_call_its_key() -> None:
    client, script = scripted(reply())
    await client.send(MAKE, POST_CALL, FakeTokens(), run_id=RUN)
    await client.send(CANCEL_GOAL, ApiRequest("POST", "/v1/coordination/goals/g/cancel"), FakeTokens(), run_id=RUN)
    await client.send(SEND_MAIL, ApiRequest("POST", "/v1/actions/email/send", (), {}), FakeTokens(), run_id=RUN)
    call, cancel, mail = script.requests
    assert (json.loads(call.content), call.headers["content-type"]) == (POST_CALL.body, "application/json")
    assert call.headers["idempotency-key"] == RUN
    assert (cancel.content, cancel.headers.get("content-type")) == (b"", None)
    assert "idempotency-key" not in mail.headers
    assert (mail.content, mail.headers["content-type"]) == (b"{}", "application/json")


@pytest.mark.parametrize("command", [c for c in all_commands() if c.public and c.method], ids=lambda c: c.tool)
async def test_public_commands_are_sent_without_a_token(command: Command) -> None:
    client, script = scripted(reply())
    tokens = FakeTokens()
    await client.send(command, ApiRequest(command.method or "", command.path), tokens, run_id=RUN)
    assert "authorization" not in script.requests[0].headers


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 226])
async def test_every_2xx_means_the_same(status: int) -> None:
    client, _ = scripted(reply(status, {"new": [1]}))
    answer = await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)
    assert (answer.status, answer.data, answer.sandbox) == (status, {"new": [1]}, False)


@pytest.mark.parametrize("body", [b"", b" \n"])
@pytest.mark.parametrize("status", [200, 204])
async def test_an_empty_answer_has_no_data(status: int, body: bytes) -> None:
    client, _ = scripted(raw(body, status=status))
    assert (await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)).data is None


@pytest.mark.parametrize("data", [[1], "text", 7, False, None], ids=str)
async def test_json_that_is_no_object_is_kept(data: Any) -> None:
    client, _ = scripted(reply(200, data))
    assert (await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)).data == data


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"\xef\xbb\xbf{}", {}),
        (b'{"a":"\\ud83d","\\ude00":1}', {"a": "\ufffd", "\ufffd": 1}),
        (b'{"a":NaN,"b":-Infinity,"c":1e999}', {"a": None, "b": None, "c": None}),
        (b'{"a":' + b"7" * 5000 + b"}", {"a": "7" * 5000}),
        (b'{"a":9007199254740992,"b":9007199254740991}', {"a": "9007199254740992", "b": 9007199254740991}),
        (b'{"a":"\xff"}', {"a": "\ufffd"}),
        (b'{"a":"one\ntwo"}', {"a": "one\ntwo"}),
        (b"[" * 70 + b"]" * 70, json.loads("[" * 64 + "null" + "]" * 64)),
    ],
    ids=["bom", "surrogate", "nan", "digits", "2**53", "utf-8", "raw newline", "depth"],
)
async def test_odd_json_is_read_as_far_as_it_goes(body: bytes, data: Any) -> None:
    client, _ = scripted(raw(body))
    assert (await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)).data == data


@pytest.mark.parametrize(
    "answer",
    [
        raw(b"<html>secret</html>", "text/html"),
        raw(b'{"a":1}', "text/html; charset=utf-8"),
        raw(b"secret", "text/plain"),
        raw(b"{", "application/json"),
        raw(b"[" * 200_000),
        raw(b"[" * 200_000 + b"]" * 200_000),
        raw(b"\x00\x01", "image/png\x7f; secret"),
        httpx2.Response(200, content=b"x", headers={"Content-Encoding": "br"}),
        httpx2.Response(200, stream=httpx2.ByteStream(b"not gzip"), headers={"Content-Encoding": "gzip"}),
    ],
    ids=range(9),
)
async def test_an_answer_that_is_no_json_is_reported_without_its_content(answer: httpx2.Response) -> None:
    client, _ = scripted(answer)
    with pytest.raises(TransportError) as caught:
        await client.send(SEND_MAIL, POST_MAIL, FakeTokens(), run_id=RUN)
    assert caught.value.error_code == "unexpected_answer"
    assert "secret" not in str(caught.value.as_dict())
    assert caught.value.details["outcome"] == "unknown"


@pytest.mark.parametrize("media_type", ["text/calendar; charset=utf-8", "application/octet-stream"])
async def test_a_calendar_is_text(media_type: str) -> None:
    client, script = scripted(raw(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", media_type))
    answer = await client.send(CALENDAR, ApiRequest("GET", "/v1/calls/c/calendar.ics"), FakeTokens(), run_id=RUN)
    assert (answer.text, answer.data) == ("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", None)
    assert script.requests[0].headers["accept"] == "text/calendar"


async def test_an_expected_redirect_is_reported_and_not_followed() -> None:
    client, script = scripted(httpx2.Response(302, headers={"Location": "https://kallyai.com/app?verified=1"}))
    answer = await client.send(VERIFY, ApiRequest("GET", VERIFY.path, (("token", "t"),)), FakeTokens(), run_id=RUN)
    assert (answer.status, answer.location) == (302, "https://kallyai.com/app?verified=1")
    assert [r.url.path for r in script.requests] == [VERIFY.path]


@pytest.mark.parametrize("location", ["https://a/" + "x" * 2048, "https://a/\x1b[0m", "https://a/ b", ""])
async def test_an_address_that_cannot_be_shown_is_not(location: str) -> None:
    client, _ = scripted(httpx2.Response(302, headers={"Location": location}))
    with pytest.raises(TransportError) as caught:
        await client.send(VERIFY, ApiRequest("GET", VERIFY.path), None, run_id=RUN)
    assert caught.value.error_code == "unexpected_answer"


PATH_COMMANDS = [command for command in all_commands() if command.path_args and not command.environment]


@pytest.mark.parametrize("command", PATH_COMMANDS, ids=lambda command: command.tool)
@given(
    value=st.text(st.characters(exclude_categories=("Cs",)), min_size=1)
    | st.sampled_from(["..", ".", "../x", "a?b", "a#b", "%2e%2e", "a\r\nb", "\\"])
)
def test_a_value_stays_in_its_segment_or_is_refused(command: Command, value: str) -> None:
    args = command.args.model_construct(set(command.path_args), **dict.fromkeys(command.path_args, value))
    try:
        request = build_request(command, args, Defaults())
    except InvalidArguments:
        return
    url = Origin("https://api.kallyai.com").address(command, request)
    path = url.raw_path.partition(b"?")[0]
    assert path == request.path.encode()
    assert path.count(b"/") == command.path.count("/")


@pytest.mark.parametrize(
    "segment",
    [
        "..",
        ".",
        "",
        "%2e%2e",
        "%2E",
        "..%2f".replace("%2f", "/"),
        "a?b=c",
        "a#b",
        "a/b",
        "\\..\\x",
        "a b",
        "é",
        "\r\n",
        "@evil.example",
    ],
)
async def test_a_path_that_was_not_quoted_is_refused_before_anything_is_sent(segment: str) -> None:
    client, script = scripted(reply())
    request = ApiRequest("GET", "/v1/coordination/goals/" + segment)
    if segment == "@evil.example":
        await client.send(GOAL, request, FakeTokens(), run_id=RUN)
        assert script.requests[0].url.host == "api.kallyai.com"
        return
    with pytest.raises(InvalidArguments):
        await client.send(GOAL, request, FakeTokens(), run_id=RUN)
    assert script.requests == []


async def test_a_body_that_is_no_unicode_is_refused_before_anything_is_sent() -> None:
    client, script = scripted(reply())
    with pytest.raises(InvalidArguments):
        await client.send(SEND_MAIL, ApiRequest("POST", SEND_MAIL.path, (), {"x": "\ud83d"}), FakeTokens(), run_id=RUN)
    assert script.requests == []


TRANSIENT = [
    httpx2.ConnectError("x"),
    httpx2.ConnectTimeout("x"),
    httpx2.PoolTimeout("x"),
    httpx2.ReadTimeout("x"),
    httpx2.ReadError("x"),
    httpx2.RemoteProtocolError("x"),
    *(reply(status) for status in (429, 502, 503, 504)),
]
NAMES = [str(getattr(t, "status_code", type(t).__name__)) for t in TRANSIENT]


@pytest.mark.parametrize("trouble", TRANSIENT, ids=NAMES)
@pytest.mark.parametrize(("command", "request_"), [(GOALS, GET_GOALS), (MAKE, POST_CALL)], ids=["get", "keyed"])
async def test_a_get_and_a_keyed_call_are_tried_three_times(command: Any, request_: Any, trouble: Any) -> None:
    sleeps = Sleeps()
    client, script = scripted(trouble, trouble, reply(200, {"ok": 1}), sleep=sleeps)
    assert (await client.send(command, request_, FakeTokens(), run_id=RUN)).data == {"ok": 1}
    assert sleeps.waited == [0.25, 0.5]
    assert {r.headers.get("idempotency-key") for r in script.requests} == {RUN if command is MAKE else None}


@pytest.mark.parametrize("trouble", TRANSIENT, ids=NAMES)
async def test_after_three_attempts_the_last_failure_is_reported(trouble: Any) -> None:
    client, script = scripted(trouble)
    with pytest.raises((ApiError, TransportError)) as caught:
        await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)
    assert len(script.requests) == 3
    assert caught.value.retryable


@pytest.mark.parametrize("trouble", TRANSIENT, ids=NAMES)
@pytest.mark.parametrize(
    "command",
    [c for c in all_commands() if c.method not in (None, "GET") and not c.idempotency_key and not c.path_args][::4],
    ids=lambda c: c.tool,
)
async def test_everything_else_is_sent_once(command: Command, trouble: Any) -> None:
    client, script = scripted(trouble)
    with pytest.raises((ApiError, TransportError)) as caught:
        await client.send(command, ApiRequest(command.method or "", command.path), FakeTokens(), run_id=RUN)
    assert len(script.requests) == 1
    if isinstance(caught.value, TransportError) and caught.value.error_code == "connection_failed":
        assert (caught.value.details["outcome"], caught.value.retryable) == ("not_sent", True)


async def test_an_unknown_outcome_names_the_tool_that_shows_it() -> None:
    for command, request, tool in (
        (MAKE, POST_CALL, "kallyai_calls_history"),
        (SEND_MAIL, POST_MAIL, "kallyai_actions_log"),
    ):
        client, _ = scripted(httpx2.ReadError("https://api.kallyai.com/secret"))
        with pytest.raises(TransportError) as caught:
            await client.send(command, request, FakeTokens(), run_id=RUN)
        error = caught.value
        assert (error.details["outcome"], error.retryable) == ("unknown", False)
        assert tool in error.next_step
        assert "http" not in str(error.as_dict())


async def test_retry_after_is_waited_for() -> None:
    sleeps = Sleeps()
    client, _ = scripted(reply(429, None, Retry_After="20"), reply(), sleep=sleeps)
    await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)
    assert sleeps.waited == [20.0]


@pytest.mark.parametrize(("command", "request_", "seconds"), [(GOALS, GET_GOALS, "46"), (MAKE, POST_CALL, "61")])
async def test_a_wait_that_is_too_long_is_reported_at_once(command: Any, request_: Any, seconds: str) -> None:
    sleeps = Sleeps()
    client, script = scripted(reply(429, None, Retry_After=seconds), sleep=sleeps)
    with pytest.raises(ApiError) as caught:
        await client.send(command, request_, FakeTokens(), run_id=RUN)
    assert (len(script.requests), sleeps.waited) == (1, [])
    assert caught.value.details["retry_after_seconds"] == int(seconds)


async def test_without_a_token_nothing_is_sent() -> None:
    client, script = scripted(reply())
    for tokens in (None, FakeTokens([None]), FakeTokens(["two\r\nlines"]), FakeTokens([""])):
        with pytest.raises(SignInRequired) as caught:
            await client.send(GOALS, GET_GOALS, tokens, run_id=RUN)
        assert "kallyai_login" in caught.value.next_step
        assert "kallyai-mcp login" in caught.value.next_step
    assert script.requests == []


async def test_a_refused_token_is_renewed_once_and_the_request_repeated_once() -> None:
    client, script = scripted(reply(401), reply(200, {"sent": 1}))
    tokens = FakeTokens(["old", "new"])
    assert (await client.send(SEND_MAIL, POST_MAIL, tokens, run_id=RUN)).data == {"sent": 1}
    assert tokens.refused == ["old"]
    assert [r.headers["authorization"] for r in script.requests] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize(("tokens", "sent"), [(["old", "new", "newer"], 2), (["old", None], 1)], ids=["again", "none"])
async def test_a_second_refusal_asks_for_a_sign_in(tokens: list[str | None], sent: int) -> None:
    client, script = scripted(reply(401))
    fake = FakeTokens(tokens)
    with pytest.raises(SignInRequired) as caught:
        await client.send(GOALS, GET_GOALS, fake, run_id=RUN)
    assert (len(script.requests), fake.refused, caught.value.http_status) == (sent, ["old"], 401)


async def test_a_401_to_a_public_command_is_a_plain_failure() -> None:
    client, _ = scripted(reply(401))
    with pytest.raises(ApiError):
        await client.send(COSTS, READ_COSTS, FakeTokens(), run_id=RUN)


@pytest.mark.parametrize(
    ("origin", "sandbox", "tokens"),
    [
        ("https://api.kallyai.com", False, ["kallyai_sandbox_at_1"]),
        ("https://api.kallyai.com", False, ["live", "kallyai_sandbox_at_1"]),
        ("http://127.0.0.1:9", True, ["live"]),
        ("http://127.0.0.1:9", True, ["kallyai_sandbox_at_1", "live"]),
    ],
)
async def test_sandbox_and_live_are_never_mixed(origin: str, sandbox: bool, tokens: list[str | None]) -> None:
    client, script = scripted(reply(401), origin=origin, sandbox=sandbox)
    with pytest.raises(InvalidSettings) as caught:
        await client.send(GOALS, GET_GOALS, FakeTokens(tokens), run_id=RUN)
    assert caught.value.error_code == "token_origin_mismatch"
    assert len(script.requests) == len(tokens) - 1


async def test_an_origin_that_says_it_is_a_sandbox_gets_no_live_token_from_then_on() -> None:
    client, script = scripted(reply(200, {}, X_KallyAI_Sandbox="1"), origin="http://127.0.0.1:9")
    assert (await client.send(COSTS, READ_COSTS, None, run_id=RUN)).sandbox
    with pytest.raises(InvalidSettings):
        await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)
    assert len(script.requests) == 1


async def test_cookies_are_not_kept() -> None:
    client, script = scripted(reply(200, {}, Set_Cookie="a=b; Path=/"))
    for _ in range(2):
        await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)
    assert "cookie" not in script.requests[1].headers


async def test_the_log_holds_no_address(caplog: pytest.LogCaptureFixture) -> None:
    levels = {name: logging.getLogger(name).level for name in ("httpx2", "httpcore2")}
    try:
        quiet_http_logs()
        caplog.set_level(logging.DEBUG)
        client, _ = scripted(reply())
        await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)
        assert caplog.records == []
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
