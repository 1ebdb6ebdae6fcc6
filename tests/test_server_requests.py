"""What leaves the server for each tool, recorded byte by byte: exactly the request of its example, or none at all."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from fences import between_marks, with_origin
from hosts import CREDENTIALS, MODERN, TOKEN, Host, agree, hosting, serving, without_act
from mcp import Client
from recorder import Recorder, Reply, answer, recording
from test_declarations import (
    _right_arguments,  # pyright: ignore[reportPrivateUsage] - the same corpus, tried from outside
    _wrong_values,  # pyright: ignore[reportPrivateUsage] - the same corpus, tried from outside
)

from kallyai_mcp import __version__
from kallyai_mcp.catalog import all_commands
from kallyai_mcp.engine.strangers import FILE_NOTICE, THIRD_PARTY_NOTICE
from kallyai_mcp.engine.wording import worded
from kallyai_mcp.examples import Example, ExpectedRequest, examples_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from recorder import Received

    from kallyai_mcp.model import Command

REMOTE = [command for command in all_commands() if command.method is not None]
EXAMPLES = [
    pytest.param(command, example, id=f"{command.tool}-{number}")
    for command in REMOTE
    for number, example in enumerate(examples_of(command))
]
RECORDED = [param for command in REMOTE if command.is_recorded for param in EXAMPLES if param.values[0] is command]
COMMANDS = [pytest.param(command, id=command.tool) for command in all_commands()]
ARGUMENTS = [
    pytest.param(command, name, id=f"{command.tool}-{name}")
    for command in all_commands()
    for name in command.args.model_fields
]
ZONE = "America/New_York"
ELSEWHERE = "https://kallyai.com/email-verified?ok=1"

SIGN_IN_PATHS = {"/.well-known/oauth-authorization-server", "/v1/auth/device/code"}


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


@pytest.fixture(scope="module")
def host(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Generator[Host]:
    """One process for all tests of this file."""
    with hosting(tmp_path_factory.mktemp("host"), recorder.origin) as made:
        yield made


def _reply(command: Command, example: Example) -> Reply:
    if command.calendar:
        return Reply(200, example["answer"].encode(), (("Content-Type", "text/calendar; charset=utf-8"),))
    if command.redirects:
        return Reply(302, b"", (("Location", ELSEWHERE),))
    return Reply(204, b"", ()) if example["answer"] is None else answer(example["answer"])


def _placed(request: Received) -> ExpectedRequest:
    pairs = [pair.partition("=") for pair in request.query.split("&") if pair]
    query = {name: value for name, _, value in pairs}
    assert len(query) == len(pairs), "a key was sent twice"
    return {"method": request.method, "path": request.path, "query": query, "body": request.json()}


def _wire(expected: ExpectedRequest) -> ExpectedRequest:
    # The example gives values as they are meant; the wire has them percent-encoded (RFC 3986, 2.1).
    from urllib.parse import quote

    query = {name: quote(value, safe="") for name, value in expected["query"].items()}
    return {**expected, "query": query}


def _check_headers(command: Command, request: Received) -> None:
    assert request.header("User-Agent") == [f"kallyai-mcp/{__version__}"]
    assert request.header("Authorization") == ([] if command.public else [f"Bearer {TOKEN}"])
    assert request.header("Content-Type") == (["application/json"] if request.body else [])
    assert request.header("Cookie") == []
    keys = request.header("Idempotency-Key")
    if command.tool == "kallyai_calls_make":
        assert [str(uuid.UUID(key)) for key in keys] == keys
        assert len(keys) == 1
    else:
        assert keys == []


def _check_result(command: Command, example: Example, result: dict[str, Any]) -> None:
    assert result["isError"] is False
    structured, text = without_act(command, result)
    if structured.pop("_next", None) is not None:
        text, _, last = text.rpartition("\n")
        assert command.tool in last
    if command.calendar:
        resource = result["content"][1]["resource"]
        assert result["content"][1]["type"] == "resource"
        assert (resource["mimeType"], resource["text"]) == ("text/calendar", example["answer"])
        assert structured == with_origin(command.tool, {"uri": resource["uri"], "media_type": "text/calendar"})
        assert FILE_NOTICE in text
        return
    assert [block["type"] for block in result["content"][1:]] in ([], ["resource_link"])
    if command.redirects:
        assert structured == {"status": 302, "location": ELSEWHERE}
        assert ELSEWHERE in text
    elif example["answer"] is None:
        assert structured == {}
    elif command.third_party_text:
        assert structured == with_origin(command.tool, example["answer"])
        notes, words = between_marks(text)
        assert notes.startswith(THIRD_PARTY_NOTICE)
        assert words == worded(example["answer"], ZONE)
    else:
        assert structured == example["answer"]
        assert text == worded(example["answer"], ZONE)


@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_a_tool_sends_exactly_the_request_of_its_example(
    host: Host, recorder: Recorder, command: Command, example: Example
) -> None:
    recorder.answers(_reply(command, example), about=command)
    result = host.run(command.tool, example["arguments"])
    (request,) = recorder.requests
    assert example["request"] is not None
    assert _placed(request) == _wire(example["request"])
    _check_headers(command, request)
    _check_result(command, example, result)


@pytest.mark.parametrize(("command", "example"), RECORDED)
def test_a_dry_run_shows_exactly_the_request_of_its_example_and_sends_none(
    host: Host, recorder: Recorder, command: Command, example: Example
) -> None:
    recorder.answers()
    result = host.run(command.tool, example["arguments"] | {"dry_run": True})
    shown = result["structuredContent"]["request"]
    expected = example["request"]
    assert (result["isError"], result["structuredContent"]["dry_run"], recorder.requests) == (False, True, [])
    assert expected is not None
    assert shown.pop("headers", {}).keys() == ({"Idempotency-Key"} if command.idempotency_key else set())
    assert shown == {**expected, "body": _with_credentials_named(command, example)}
    assert not any(value in json.dumps(result) for value in CREDENTIALS.values())


def _with_credentials_named(command: Command, example: Example) -> dict[str, Any] | None:
    assert example["request"] is not None
    body = example["request"]["body"]
    if command.environment is None or body is None:
        return body
    fields = command.environment.fields[example["arguments"][command.environment.argument]]
    return body | {field: f"({variable})" for field, variable in fields.items()}


@pytest.mark.parametrize("mode", ["legacy", MODERN])
def test_every_example_passes_the_sdks_own_client(recorder: Recorder, mode: str) -> None:
    """It checks each structured content against the output schema, as hosts do."""

    async def session() -> None:
        with anyio.fail_after(300):
            async with (
                serving(recorder.origin) as server,
                Client(server, mode=mode, elicitation_callback=agree) as client,
            ):
                await client.list_tools()
                for command in REMOTE:
                    for example in examples_of(command):
                        recorder.answers(_reply(command, example), about=command)
                        result = await client.call_tool(command.tool, example["arguments"])
                        assert [_placed(request) for request in recorder.requests] == [
                            _wire(cast("ExpectedRequest", example["request"]))
                        ]
                        _check_result(
                            command, example, result.model_dump(mode="json", by_alias=True, exclude_unset=True)
                        )

    anyio.run(session)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 299])
def test_every_success_is_alike(host: Host, recorder: Recorder, status: int) -> None:
    recorder.answers(answer({"call_id": "c-1"}, status))
    result = host.run("kallyai_calls_info", {"call_id": "c-1"})
    assert (result["structuredContent"], result["isError"]) == (
        with_origin("kallyai_calls_info", {"call_id": "c-1"}),
        False,
    )


def test_each_call_has_a_key_of_its_own(host: Host, recorder: Recorder) -> None:
    recorder.answers(answer({"call_id": "c-1"}))
    arguments = {"phone": "+12025550143", "task": "Ask until when the kitchen is open"}
    for number in range(3):
        host.run("kallyai_calls_make", arguments | {"name": f"Ana {number}"})
    assert len({key for request in recorder.requests for key in request.header("Idempotency-Key")}) == 3


def test_runs_at_the_same_time_get_their_own_answers(host: Host, recorder: Recorder) -> None:
    recorder.answers(*(answer({"call_id": f"c-{n}"}) for n in range(40)))
    asked = [host.ask_tool("kallyai_calls_info", {"call_id": f"c-{n}"}) for n in range(40)]
    answered = {message["id"]: message["result"] for message in (host.next() for _ in asked)}
    assert answered.keys() == set(asked)
    assert sorted(request.path for request in recorder.requests) == sorted(f"/v1/calls/c-{n}" for n in range(40))
    assert {result["structuredContent"]["call_id"] for result in answered.values()} == {f"c-{n}" for n in range(40)}


def test_local_commands_send_nothing(host: Host, recorder: Recorder) -> None:
    recorder.answers()
    status = host.run("kallyai_auth_status")
    assert status["structuredContent"]["authenticated"] is True
    assert TOKEN not in json.dumps(status)
    assert recorder.requests == []


def test_the_token_can_be_missing_for_what_is_public(tmp_path: Any, recorder: Recorder) -> None:
    with hosting(tmp_path, recorder.origin, KALLYAI_ACCESS_TOKEN="") as signed_out:
        for command in REMOTE:
            example = examples_of(command)[0]
            recorder.answers(_reply(command, example) if command.public else answer({}, 503))
            result = signed_out.run(command.tool, example["arguments"])
            assert result["isError"] is not command.public, command.tool
            paths = {request.path for request in recorder.requests}
            if command.public:
                assert len(recorder.requests) == 1
                assert not paths & SIGN_IN_PATHS
            else:
                assert result["structuredContent"]["error"]["code"] == "sign_in_failed"
                assert paths <= SIGN_IN_PATHS


def _sendable(values: Iterator[object]) -> list[object]:
    """Leave out what no JSON text in UTF-8 can hold (RFC 8259, 8.1)."""
    kept: list[object] = []
    for value in values:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            continue
        kept.append(value)
    return kept


def _check_refusal(result: dict[str, Any], names: list[str]) -> None:
    error = result["structuredContent"]["error"]
    assert result["isError"] is True
    assert error["code"] == "invalid_arguments"
    assert sorted(problem["argument"] for problem in error["arguments"]) == sorted(names)
    for name in names:
        assert f"{name}: " in result["content"][0]["text"]


@pytest.mark.parametrize(("command", "name"), ARGUMENTS)
def test_a_wrong_value_is_refused_by_name_and_nothing_is_sent(
    host: Host, recorder: Recorder, command: Command, name: str
) -> None:
    recorder.answers()
    right = _right_arguments(command, name)
    is_required = command.args.model_fields[name].is_required()
    # Null for an optional argument counts as absent: strict dialects know no other way to leave one out.
    # So does an object as text for the object.
    given = _sendable(_wrong_values(command, name))
    wrong = [value for value in given if value != "{}" and (is_required or value is not None)]
    asked = [host.ask_tool(command.tool, right | {name: value}) for value in wrong]
    results = {message["id"]: message["result"] for message in (host.next() for _ in asked)}
    for number in asked:
        _check_refusal(results[number], [name])
    assert recorder.requests == []


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_missing_or_unknown_is_refused_by_name_and_nothing_is_sent(
    host: Host, recorder: Recorder, command: Command
) -> None:
    recorder.answers()
    right = examples_of(command)[0]["arguments"]
    _check_refusal(host.run(command.tool, right | {"no_such_argument": 1}), ["no_such_argument"])
    required = [name for name, field in command.args.model_fields.items() if field.is_required()]
    if required:
        _check_refusal(host.run(command.tool, {}), required)
    everything: dict[str, Any] = dict.fromkeys(required)  # null for the others counts as absent
    _check_refusal(host.run(command.tool, everything | {"also": 1}), [*everything, "also"])
    assert recorder.requests == []
