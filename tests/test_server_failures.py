"""The API misbehaves in every way there is; each time the host gets an error it can act on, and the server lives."""

from __future__ import annotations

import gzip
import json
import math
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hosts import MODERN, Host, envelope, hosting, serving, without_act
from mcp import Client
from recorder import HELD, JSON_TYPE, Recorder, Reply, answer, recording

from kallyai_mcp.api import Deadlines
from kallyai_mcp.catalog import find
from kallyai_mcp.engine.cutting import LIMIT
from kallyai_mcp.engine.strangers import ORIGIN
from kallyai_mcp.model.codes import CODES, Code

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcp.types import CallToolResult

READ: tuple[str, dict[str, Any]] = ("kallyai_credits_history", {})  # nothing that the server itself wants to know
WRITE = ("kallyai_actions_errand", {"description": "Have the blue coat mended and bring it home"})
CALL = ("kallyai_calls_make", {"phone": "+12025550143", "task": "Ask until when the kitchen is open"})
ESTIMATE = "kallyai_budget_estimate"
SPOKEN = {"kind": "third_party", "source": "words spoken in a phone call", "from": "calls make"}
CORRELATION = "3d0f6a52-8a51-4f2c-9d7b-0c5b1e6f2a11"
FACTS = {"code", "message", "next_step", "retryable"}
STATUSES = (400, 402, 403, 404, 405, 409, 410, 413, 418, 422, 429, 451, 500, 501, 502, 503, 599)
MIB = 2**20


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


@pytest.fixture(scope="module", params=["2025-11-25", MODERN])
def host(
    request: pytest.FixtureRequest, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Host]:
    """One process of each era for all tests of this file: it must live through them all."""
    with hosting(tmp_path_factory.mktemp("host"), recorder.origin, request.param) as made:
        yield made
        assert made.is_alive()
        assert "Traceback" not in made.stderr


def _failure(result: dict[str, Any]) -> dict[str, Any]:
    """Return the error of a result, once its text was found to say the same."""
    assert result["isError"] is True
    assert result["structuredContent"].keys() == {"error"}
    error = result["structuredContent"]["error"]
    (content,) = result["content"]
    assert error.keys() >= FACTS
    for fact in ("message", "next_step", "code"):
        assert error[fact] in content["text"]
    assert error["retryable"] in {True, False}
    assert error.get("correlation_id", "") in content["text"]
    return error


def _form_a(code: str) -> dict[str, Any]:
    error = {"code": code, "message": "Words of the service.", "details": {"reason": "A reason."}}
    return {"error": error | {"correlation_id": CORRELATION}}


def _form_b(code: str) -> dict[str, Any]:
    details = {"message": "Words of the service.", "reason": "A reason."}
    return {"error": {"code": code, "details": details, "correlation_id": CORRELATION}}


@pytest.mark.parametrize("form", [_form_a, _form_b])
@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_a_documented_code_reaches_the_host(host: Host, recorder: Recorder, code: Code, form: Any) -> None:
    recorder.answers(answer(form(code.code), code.http_status), about=find(WRITE[0]))
    result = host.run(*WRITE)
    error = _failure(result)
    if code.http_status == 401:
        assert (error["code"], error["http_status"]) == ("sign_in_required", 401)
        # The token comes from the environment: signing in would not change it.
        assert "KALLYAI_ACCESS_TOKEN" in result["content"][0]["text"]
    else:
        assert (error["code"], error["http_status"], error["correlation_id"]) == (
            code.code,
            code.http_status,
            CORRELATION,
        )
        assert "Words of the service." in error["message"]
        assert error["next_step"]
    assert len(recorder.requests) == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"<html><body>Bad gateway</body></html>", "text/html"),
        (b"<html><body>Bad gateway</body></html>", "application/json"),
        (b"not json", "application/json"),
        (b"[]", "application/json"),
        (b"7", "application/json"),
        (b'"text"', "application/json"),
        (b'{"error": "text"}', "application/json"),
        (b'{"error": {"code": 7, "message": ["x"], "correlation_id": {}}}', "application/json"),
        (b"\xff\xfe", "application/json"),
    ],
)
def test_a_refusal_without_envelope_is_told_by_its_status(
    host: Host, recorder: Recorder, body: bytes, kind: str
) -> None:
    for status in STATUSES:
        recorder.answers(Reply(status, body, (("Content-Type", kind),)), about=find(WRITE[0]))
        error = _failure(host.run(*WRITE))
        assert (error["code"], error["http_status"]) == (f"http_{status}", status)
        assert "<" not in error["message"]
        assert "correlation_id" not in error
        assert len(recorder.requests) == 1


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (b"", {}),
        (b" \n", {}),
        (b"null", {}),
        (b"[1,2]", {"result": [1, 2]}),
        (b'"text"', {"result": "text"}),
        (b"7", {"result": 7}),
        (b"false", {"result": False}),
        (b"0", {"result": 0}),
        (b"[]", {"result": []}),
        (b"{}", {}),
        (b'\xef\xbb\xbf{"goals": []}', {"goals": []}),
        (b'{"goals": null}', {"goals": None}),
        (b'{"a": NaN, "b": Infinity, "c": 1e999, "d": -Infinity}', {"a": None, "b": None, "c": None, "d": None}),
        (b'{"title": "cut \\ud83d"}', {"title": "cut \ufffd"}),
        (b'{"title": "bad \xff"}', {"title": "bad \ufffd"}),
        (b'{"title": "a\\u0000\\u001b[31mb"}', {"title": "a[31mb"}),
        (b'{"n": 9007199254740993}', {"n": "9007199254740993"}),
        (b'{"\\udc00": 1}', {"\ufffd": 1}),
    ],
)
def test_an_answer_of_any_shape_is_passed_on_as_an_object(
    host: Host, recorder: Recorder, body: bytes, seen: dict[str, Any]
) -> None:
    recorder.answers(Reply(200, body), about=find(READ[0]))
    result = host.run(*READ)
    assert (result["isError"], result["structuredContent"]) == (False, seen)


def test_an_empty_answer_of_something_that_reads_is_not_called_done(host: Host, recorder: Recorder) -> None:
    recorder.answers(Reply(204, b""), about=find(READ[0]))
    assert host.run(*READ)["content"][0]["text"] == "The service sent an empty answer."


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<!doctype html><p>Sign in to the hotel's network</p>", (("Content-Type", "text/html"),)),
        Reply(200, b'{"goals": [', (JSON_TYPE,)),
        Reply(200, b"goals", (("Content-Type", "text/plain"),)),
        Reply(200, b"[" * 200_000, (JSON_TYPE,)),
        Reply(200, b"\x1f\x8b broken", (JSON_TYPE, ("Content-Encoding", "gzip"))),
        Reply(200, b"{}", (JSON_TYPE, ("Content-Encoding", "br"))),
    ],
    ids=["html", "half", "text", "deep", "broken gzip", "unknown encoding"],
)
def test_an_answer_that_is_not_understood_is_an_error(host: Host, recorder: Recorder, reply: Reply) -> None:
    recorder.answers(reply, about=find(READ[0]))
    error = _failure(host.run(*READ))
    assert (error["code"], error["http_status"]) == ("unexpected_answer", 200)
    assert "hotel" not in json.dumps(error)


def test_deep_json_is_cut_where_no_host_would_follow(host: Host, recorder: Recorder) -> None:
    recorder.answers(Reply(200, b'{"a":' * 150 + b"1" + b"}" * 150), about=find(READ[0]))
    result = host.run(*READ)
    assert result["isError"] is False
    assert json.dumps(result["structuredContent"]).count("{") <= 64


def test_an_integer_of_thousands_of_digits_is_text(host: Host, recorder: Recorder) -> None:
    recorder.answers(Reply(200, b'{"n": ' + b"9" * 5000 + b"}"), about=find(READ[0]))
    result = host.run(*READ)
    assert result["structuredContent"]["n"].startswith("999")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("run", [READ, WRITE, CALL])
def test_a_redirect_is_not_followed(host: Host, recorder: Recorder, status: int, run: Any) -> None:
    recorder.answers(Reply(status, b"", (("Location", f"{recorder.origin}/elsewhere"),)), about=find(run[0]))
    error = _failure(host.run(*run))
    assert (error["code"], error["http_status"]) == ("redirected", status)
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_get_is_repeated_as_the_service_asks(host: Host, recorder: Recorder, status: int) -> None:
    recorder.answers(answer({}, status, ("Retry-After", "0")), answer({"goals": []}), about=find(READ[0]))
    result = host.run(*READ)
    assert (result["isError"], result["structuredContent"]) == (False, {"goals": []})
    assert len(recorder.requests) == 2


def test_a_get_that_stays_refused_is_not_repeated_for_ever(host: Host, recorder: Recorder) -> None:
    recorder.answers(answer(_form_a("rate_limited"), 429, ("Retry-After", "0")), about=find(READ[0]))
    error = _failure(host.run(*READ))
    assert (error["code"], error["retryable"], error["retry_after_seconds"]) == ("rate_limited", True, 0)
    assert len(recorder.requests) == 3


def test_a_wait_longer_than_the_run_is_reported_at_once(host: Host, recorder: Recorder) -> None:
    recorder.answers(answer(_form_a("rate_limited"), 429, ("Retry-After", "120")), about=find(READ[0]))
    error = _failure(host.run(*READ))
    assert (error["code"], error["retry_after_seconds"]) == ("rate_limited", 120)
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_post_is_sent_once(host: Host, recorder: Recorder, status: int) -> None:
    recorder.answers(answer({}, status, ("Retry-After", "0")), about=find(WRITE[0]))
    error = _failure(host.run(*WRITE))
    assert error["http_status"] == status
    assert error.get("outcome") == (None if status == 429 else "unknown")
    assert len(recorder.requests) == 1


def test_a_call_is_repeated_with_the_same_key(host: Host, recorder: Recorder) -> None:
    recorder.answers(answer({}, 503, ("Retry-After", "0")), Reply(200, b'{"call_id": "c-1"}'), about=find(CALL[0]))
    structured, _ = without_act(find(CALL[0]), host.run(*CALL))
    assert structured == {ORIGIN: SPOKEN, "call_id": "c-1"}
    first, second = recorder.requests
    assert first.header("Idempotency-Key") == second.header("Idempotency-Key") != []
    assert (first.body, first.path) == (second.body, second.path)


@pytest.mark.parametrize("cut", [0, 5])
def test_a_connection_cut_in_a_post_leaves_the_outcome_open(host: Host, recorder: Recorder, cut: int) -> None:
    recorder.answers(Reply(200, b'{"goal_id": "g-1"}', cut=cut), about=find(WRITE[0]))
    error = _failure(host.run(*WRITE))
    assert (error["code"], error["outcome"], error["retryable"]) == ("connection_lost", "unknown", False)
    assert "do not" in error["next_step"]
    assert len(recorder.requests) == 1


def test_a_connection_cut_in_a_get_is_made_good(host: Host, recorder: Recorder) -> None:
    recorder.answers(Reply(200, b'{"goals": []}', cut=5), Reply(200, b'{"goals": []}'), about=find(READ[0]))
    assert host.run(*READ)["structuredContent"] == {"goals": []}


def test_a_service_that_is_not_there_is_told(tmp_path: Path) -> None:
    with recording() as closed:
        origin = closed.origin
    with hosting(tmp_path, origin) as lonely:
        error = _failure(lonely.run(*WRITE))
        assert (error["code"], error["outcome"]) == ("connection_failed", "not_sent")
        assert lonely.is_alive()


def _numbers(size: int) -> dict[str, Any]:
    return {"goals": [{"goal_id": f"g-{n}", "title": "A dinner for two" * 4} for n in range(size)], "total": size}


def test_a_huge_answer_is_cut_and_says_so(host: Host, recorder: Recorder) -> None:
    recorder.answers(answer(_numbers(20_000)), about=find(READ[0]))
    result = host.run(*READ)
    structured, text = result["structuredContent"], result["content"][0]["text"]
    assert structured["total"] == 20_000
    assert 0 < len(structured["goals"]) < 20_000
    assert len(json.dumps(result, ensure_ascii=False, separators=(",", ":"))) <= LIMIT
    assert structured["_more"]["ends_at"] == f"goals[{len(structured['goals'])}]"
    assert structured["_more"]["cursor"] in text


def _megabytes(part: bytes, count: int) -> Generator[bytes]:
    for _ in range(count):
        yield part


def _bomb() -> Generator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for _ in range(256):
        if part := packer.compress(bytes(MIB)):
            yield part
    yield packer.flush()


def _resident(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of the process from /proc")
@pytest.mark.parametrize(
    "reply",
    [
        Reply(stream=lambda: _megabytes(bytes(MIB), 1024)),
        Reply(headers=(JSON_TYPE, ("Content-Encoding", "gzip")), stream=_bomb),
        Reply(stream=lambda: _megabytes(b"[" * MIB, 1024)),
    ],
    ids=["plain", "gzip bomb", "brackets"],
)
def test_an_endless_answer_is_stopped_before_it_fills_the_memory(host: Host, recorder: Recorder, reply: Reply) -> None:
    recorder.answers(answer(_numbers(1000)), about=find(READ[0]))
    host.run(*READ)
    before = _resident(host.process.pid)
    recorder.answers(reply, about=find(READ[0]))
    error = _failure(host.run(*READ))
    assert error["code"] == "answer_too_large"
    assert _resident(host.process.pid) - before < 32 * MIB


def test_a_compressed_answer_is_read(host: Host, recorder: Recorder) -> None:
    compressed = gzip.compress(b'{"goals": []}')
    recorder.answers(Reply(200, compressed, (JSON_TYPE, ("Content-Encoding", "gzip"))), about=find(READ[0]))
    assert host.run(*READ)["structuredContent"] == {"goals": []}


def _drops() -> Generator[bytes]:
    for _ in range(10_000):
        yield b" "


@pytest.mark.parametrize("mode", ["legacy", MODERN])
@pytest.mark.parametrize(
    ("reply", "run", "outcome"),
    [
        (HELD, READ, None),
        (HELD, WRITE, "unknown"),
        (HELD, CALL, "unknown"),
        (Reply(stream=_drops, pause=0.02), READ, None),
        (Reply(stream=_drops, pause=0.02), WRITE, "unknown"),
    ],
    ids=["silence-read", "silence-write", "silence-call", "drops-read", "drops-write"],
)
def test_a_run_ends_at_its_deadline(
    recorder: Recorder, mode: str, reply: Reply, run: tuple[str, dict[str, Any]], outcome: str | None
) -> None:
    """Within this process, where the deadlines can be short: a service that answers never, or drop by drop."""

    async def session(seconds: float) -> CallToolResult:
        deadlines = Deadlines(connect=60, pool=60, phase=60, read=seconds, write=seconds, slow=seconds)
        async with serving(recorder.origin, deadlines) as server, Client(server, mode=mode) as client:
            with anyio.fail_after(seconds + 40):
                return await client.call_tool(*run)

    for seconds in (0.3, 3.0, 30.0):
        recorder.answers(reply, about=find(run[0]))
        error = _failure(anyio.run(session, seconds).model_dump(mode="json", by_alias=True, exclude_none=True))
        assert error["code"] == "timeout"
        if recorder.requests:
            break  # otherwise the machine was too slow to send it in this time
    assert error.get("outcome") == outcome
    assert recorder.wait_left() > 0


@pytest.mark.parametrize("argument", ["cut \\ud83d", "\\udc00\\ud83d", "\\\\\\ud83d", "\\uD83D and \\ud83d\\ude00"])
def test_half_an_emoji_from_a_host_is_answered(host: Host, recorder: Recorder, argument: str) -> None:
    """What JavaScript writes for a text that was cut within an emoji; the answer may be either, but must come."""
    recorder.answers(about=find(ESTIMATE))
    params = json.dumps({"name": ESTIMATE, "arguments": {"type": "call", "description": "@"}})
    meta = "" if host.version != MODERN else f', "_meta": {json.dumps(envelope())}'
    line = params[:-1].replace("@", argument) + meta + "}"
    host.write(f'{{"jsonrpc": "2.0", "id": "half", "method": "tools/call", "params": {line}}}\n'.encode())
    message = host.next()
    assert message["id"] == "half"
    if not message["result"]["isError"]:
        (request,) = recorder.requests
        request.body.decode("utf-8")
        assert "\ufffd" in request.json()["description"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused(host: Host, recorder: Recorder, value: float) -> None:
    recorder.answers(about=find(READ[0]))
    error = _failure(host.run(READ[0], {"limit": value}))
    assert (error["code"], recorder.requests) == ("invalid_arguments", [])


def test_arguments_nested_beyond_reason_do_not_end_the_server(host: Host, recorder: Recorder) -> None:
    recorder.answers(about=find("kallyai_ask"))
    for depth in (100, 5_000, 100_000):
        nested = '{"a":' * depth + "1" + "}" * depth
        params = f'{{"name": "kallyai_ask", "arguments": {{"message": {nested}}}}}'
        host.write(f'{{"jsonrpc": "2.0", "id": "deep", "method": "tools/call", "params": {params}}}\n'.encode())
    number = host.ask("tools/list")
    while (message := host.next()).get("id") != number:
        assert message["id"] in {"deep", None}
    assert recorder.requests == []
