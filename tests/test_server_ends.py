"""The edges of a connection: requests that repeat an id, a host that closes its end, pipes that were never open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from fences import with_origin
from hosts import (
    CLIENT,
    LEGACY,
    MODERN,
    UNATTENDED,
    FixedToken,
    engine_of,
    environment,
    hosting,
    serving,
    without_act,
)
from mcp import Client
from recorder import HELD, WAIT, Recorder, Reply, answer, recording

from kallyai_mcp.api import Answer
from kallyai_mcp.catalog import find
from kallyai_mcp.model import Defaults
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CALL = ("kallyai_calls_make", {"phone": "+12025550143", "task": "Ask until when the kitchen is open"})
OPENING = {"protocolVersion": LEGACY[-1], "capabilities": {}, "clientInfo": CLIENT}

# However slow the machine is, it is not the time that ends it.
PATIENT = (
    "-c",
    "import kallyai_mcp.server.stdio as stdio, kallyai_mcp.server.streams as streams\n"
    "stdio.LAST_MOMENT = streams.GRACE = 600.0\n"
    "from kallyai_mcp.__main__ import main; raise SystemExit(main())",
)


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


@pytest.mark.parametrize("era", [LEGACY[-1], MODERN])
def test_a_request_that_repeats_an_id_under_way_runs_once_and_gets_one_answer(
    tmp_path: Path, recorder: Recorder, era: str
) -> None:
    with hosting(tmp_path, recorder.origin, era) as host:
        recorder.answers(HELD)
        number = host.ask_tool(*CALL)
        recorder.wait_requests()
        host._last_id -= 1  # pyright: ignore[reportPrivateUsage]  # the mistake under test
        assert host.ask_tool(*CALL) == number
        assert host.is_alive()
        recorder.release()
        assert "result" in host.answer(number)
        assert host.is_alive()
        assert len(recorder.requests) == 1


def test_an_id_may_be_used_again_once_its_request_was_answered_or_called_off(
    tmp_path: Path, recorder: Recorder
) -> None:
    with hosting(tmp_path, recorder.origin) as host:
        recorder.answers(HELD, answer({"call_id": "c-2"}), about=find(CALL[0]))
        number = host.ask_tool(*CALL)
        recorder.wait_requests()
        host.notify("notifications/cancelled", requestId=number)
        recorder.wait_left()
        for _ in range(2):
            host._last_id = number - 1  # pyright: ignore[reportPrivateUsage]  # as a host that counts anew
            structured, _ = without_act(find(CALL[0]), host.run(*CALL))
            assert structured == with_origin(CALL[0], {"call_id": "c-2"})


def test_what_was_answered_reaches_a_slow_host_that_has_closed_its_end(tmp_path: Path, recorder: Recorder) -> None:
    with subprocess.Popen(  # noqa: S603 - this interpreter and a constant
        [sys.executable, *PATIENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(tmp_path, recorder.origin),
        cwd=tmp_path,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        messages: list[dict[str, Any]] = [
            {"id": 0, "method": "initialize", "params": OPENING},
            {"method": "notifications/initialized"},
            *({"id": number, "method": "tools/list"} for number in range(1, 6)),
        ]
        process.stdin.write(b"".join(json.dumps({"jsonrpc": "2.0"} | m).encode() + b"\n" for m in messages))
        process.stdin.flush()
        first = json.loads(process.stdout.readline())  # the others fill the pipe, and wait
        # A list is larger than what a pipe holds: when its first byte is here, all of it has been answered.
        begun = os.read(process.stdout.fileno(), 1)
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):  # it waits for us, until its last moment
            process.wait(1.0)
        rest = [json.loads(line) for line in (begun + process.stdout.read()).splitlines()]
        assert process.wait(WAIT) == 0
    assert first["id"] == 0
    assert rest[0]["id"] == 1
    assert all("result" in message or message["error"]["code"] == -32000 for message in rest)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_pipes_that_were_never_open_end_it_without_a_traceback(tmp_path: Path, recorder: Recorder, closed: str) -> None:
    done = subprocess.run(  # noqa: S603 - this interpreter and a constant
        ["/bin/sh", "-c", f'exec "$0" -m kallyai_mcp {closed}', sys.executable],
        input=b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n',
        capture_output=True,
        env=environment(tmp_path, recorder.origin),
        cwd=tmp_path,
        timeout=WAIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_report_of_progress_that_fails_does_not_cut_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kallyai_mcp.engine.underway.FIRST_REPORT", 0.0)
    told: list[str] = []

    class SlowApi:
        async def send(self, *_given: object, **_named: object) -> Any:
            while not told:
                await anyio.lowlevel.checkpoint()
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            return Answer(200, {"call_id": "c-1"}, None, None, "application/json", sandbox=False)

    async def fail(_: float, message: str) -> None:
        told.append(message)
        raise anyio.ClosedResourceError

    async def place() -> None:
        settings = Settings.read(UNATTENDED | {"KALLYAI_STATE_DIR": str(tmp_path)})
        engine, parts = engine_of(settings, SlowApi(), FixedToken(), Defaults())
        with anyio.fail_after(WAIT):
            result = await engine.run(find(CALL[0]), CALL[1], progress=fail)
        await parts.aclose()
        structured = dict(result.structured)
        assert structured.pop("_act")["outcome"] == "done"
        assert structured == with_origin(CALL[0], {"call_id": "c-1"})

    anyio.run(place)
    assert len(told) == 1


def test_a_calendar_file_that_no_host_takes_is_an_error(recorder: Recorder) -> None:
    async def fetch() -> None:
        async with serving(recorder.origin) as server, Client(server) as client:
            result = await client.call_tool("kallyai_calls_calendar", {"call_id": "c-1"})
        assert result.is_error
        assert result.structured_content is not None
        assert result.structured_content["error"]["code"] == "answer_too_large"

    body = b"BEGIN:VCALENDAR\r\nDESCRIPTION:" + b"x" * 50_000 + b"\r\nEND:VCALENDAR\r\n"
    recorder.answers(Reply(200, body, (("Content-Type", "text/calendar"),)))
    anyio.run(fetch)


def test_requests_that_are_piped_in_are_answered_although_the_input_ends(tmp_path: Path, recorder: Recorder) -> None:
    recorder.answers(answer({"goals": []}))
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": OPENING},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "kallyai_coord_goals"}},
    ]
    done = subprocess.run(  # noqa: S603 - this interpreter and a constant
        [sys.executable, *PATIENT],
        input="".join(json.dumps(line) + "\n" for line in lines),
        env=environment(tmp_path, recorder.origin),
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[-1]["id"] == 2
    assert answers[-1]["result"]["structuredContent"] == with_origin("kallyai_coord_goals", {"goals": []})
