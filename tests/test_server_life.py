"""The life of the process: runs called off, progress told, and its end by signals and by hosts that leave."""

from __future__ import annotations

import json
import signal
import time
from itertools import count, pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pytest
from fences import with_origin
from hosts import CLIENT, LEGACY, MODERN, Host, environment, hosting
from in_time import in_time
from recorder import HELD, WAIT, Recorder, answer, recording

from kallyai_mcp.catalog import find
from kallyai_mcp.server.stdio import LAST_MOMENT

if TYPE_CHECKING:
    from collections.abc import Generator

ERAS = [LEGACY[-1], MODERN]
READ: tuple[str, dict[str, Any]] = ("kallyai_coord_goals", {})
CALL: tuple[str, dict[str, Any]] = (
    "kallyai_calls_make",
    {"phone": "+12025550143", "task": "Ask until when the kitchen is open"},
)
OPENING = {"protocolVersion": LEGACY[-1], "capabilities": {}, "clientInfo": CLIENT}
QUICKLY = 1.0
"""Seconds within which a connection must be closed; on an idle machine it takes a few milliseconds."""
IN_TIME = LAST_MOMENT + 2
"""Seconds within which the process must have ended."""

# Reports of progress in quick succession.
REPORTING = (
    "-c",
    "import kallyai_mcp.engine.underway as underway; underway.FIRST_REPORT = underway.NEXT_REPORTS = 0.12\n"
    "from kallyai_mcp.__main__ import main; raise SystemExit(main())",
)

# Nothing ends it by force, so that it must end by itself.
PATIENT = (
    "-c",
    "import kallyai_mcp.server.stdio as stdio; stdio.LAST_MOMENT = stdio.CLOSING_TIME = 600.0\n"
    "from kallyai_mcp.__main__ import main; raise SystemExit(main())",
)


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


@pytest.fixture(scope="module", params=ERAS)
def host(
    request: pytest.FixtureRequest, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Host]:
    with hosting(tmp_path_factory.mktemp("host"), recorder.origin, request.param) as made:
        yield made


@pytest.mark.parametrize("run", [READ, CALL])
def test_a_run_that_is_called_off_closes_its_connection(host: Host, recorder: Recorder, run: Any) -> None:
    tool, arguments = run
    numbers = count()

    def called_off() -> float:
        # What was called off before is not asked about: another task is another call.
        other = {"task": f"{arguments['task']}, number {next(numbers)}"} if "task" in arguments else {}
        recorder.answers(HELD, about=find(tool))
        number = host.ask_tool(tool, arguments | other)
        recorder.wait_requests()
        before = time.monotonic()
        host.notify("notifications/cancelled", requestId=number, reason="The user changed their mind")
        took = recorder.wait_left() - before
        # The next message answers the next request: none may follow for what was called off.
        assert host.is_alive()
        assert len(recorder.requests) == 1
        return took

    in_time(QUICKLY, called_off)


def test_a_repeat_that_is_called_off_is_not_sent(host: Host, recorder: Recorder) -> None:
    # The server looks for calls that were called off before: only requests of the tool count.
    recorder.answers(answer({}, 429, ("Retry-After", "30")), answer({"goals": []}), about=find(READ[0]))
    number = host.ask_tool(*READ)
    recorder.wait_requests()
    host.notify("notifications/cancelled", requestId=number)
    other = host.ask_tool(READ[0], {"limit": 7})
    assert host.answer(other)["result"]["isError"] is False
    assert [request.query for request in recorder.requests] == ["", "limit=7"]


def test_many_runs_can_be_called_off_at_once(host: Host, recorder: Recorder) -> None:
    recorder.answers(HELD, about=find(READ[0]))
    numbers = [host.ask_tool(*READ) for _ in range(30)]
    recorder.wait_requests(30)
    for number in numbers:
        host.notify("notifications/cancelled", requestId=number)
    recorder.wait_left(30)
    recorder.answers(answer({"goals": []}), about=find(READ[0]))
    assert host.run(*READ)["structuredContent"] == with_origin(READ[0], {"goals": []})


def test_calling_off_what_is_not_under_way_does_nothing(host: Host) -> None:
    for params in ({"requestId": 10**9}, {"requestId": "x"}, {"requestId": None}, {}, {"requestId": [1]}):
        host.notify("notifications/cancelled", **params)
    assert host.is_alive()


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("token", ["p", 0])
def test_progress_is_told_while_a_run_lasts_and_not_after(
    tmp_path: Path, recorder: Recorder, era: str, token: str | int
) -> None:
    with hosting(tmp_path, recorder.origin, era, command=REPORTING) as waiting:
        recorder.answers(HELD)
        number = waiting.ask_tool(*CALL, progressToken=token)
        told = [waiting.next() for _ in range(3)]
        recorder.release()
        while (message := waiting.next()).get("id") != number:
            told.append(message)
        assert message["result"]["isError"] is False
        assert waiting.is_alive()
        assert {message["method"] for message in told} == {"notifications/progress"}
        params = [message["params"] for message in told]
        assert {json.dumps(report["progressToken"]) for report in params} == {json.dumps(token)}
        assert all("calls make" in report["message"] for report in params)
        seconds = [report["progress"] for report in params]
        assert all(earlier < later for earlier, later in pairwise(seconds))


@pytest.mark.parametrize("era", ERAS)
def test_progress_is_told_only_if_it_was_asked_for(tmp_path: Path, recorder: Recorder, era: str) -> None:
    with hosting(tmp_path, recorder.origin, era, command=REPORTING) as waiting:
        recorder.answers(HELD)
        silent, told = waiting.ask_tool(*CALL), waiting.ask_tool(*READ, progressToken="t")
        reports = [waiting.next() for _ in range(3)]
        assert {report["params"]["progressToken"] for report in reports} == {"t"}
        recorder.release()
        answered: set[int] = set()
        while answered != {silent, told}:
            message = waiting.next()
            assert message.get("params", {}).get("progressToken", "t") == "t"
            answered |= {message["id"]} if "id" in message else set()


@pytest.mark.parametrize("era", ERAS)
def test_a_run_called_off_tells_no_more_progress(tmp_path: Path, recorder: Recorder, era: str) -> None:
    with hosting(tmp_path, recorder.origin, era, command=REPORTING) as waiting:
        recorder.answers(HELD)
        number = waiting.ask_tool(*CALL, progressToken="t")
        assert waiting.next()["method"] == "notifications/progress"
        recorder.wait_requests()  # whoever has not asked the service yet has nothing to close
        waiting.notify("notifications/cancelled", requestId=number)
        recorder.wait_left()
        listed = waiting.ask("tools/list")
        while (message := waiting.next()).get("id") != listed:
            assert message["method"] == "notifications/progress"  # told before the cancellation was read
        assert waiting.is_alive()


ENDINGS = [
    pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
    pytest.param(signal.SIGINT, 130, id="SIGINT"),
    pytest.param(None, 0, id="end of input"),
]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("how", "status"), ENDINGS)
def test_the_process_ends_in_time_with_runs_under_way(
    tmp_path: Path, recorder: Recorder, era: str, how: signal.Signals | None, status: int
) -> None:
    def leaves() -> float:
        with hosting(Path(mkdtemp(dir=tmp_path)), recorder.origin, era, command=PATIENT) as leaving:
            recorder.answers(HELD)
            leaving.ask_tool(*CALL, progressToken="t")
            leaving.ask_tool(*READ)
            recorder.wait_requests(2)
            took = seconds_to_end(leaving, how, status)
            recorder.wait_left(2)
            assert leaving.stderr == ""
            return took

    in_time(IN_TIME, leaves)


def seconds_to_end(host: Host, how: signal.Signals | None, status: int) -> float:
    """Have a server end, which must be with this status, and return how long that takes."""
    before = time.monotonic()
    host.stop(how)
    assert host.leaves(WAIT) == status
    return time.monotonic() - before


@pytest.mark.parametrize(("how", "status"), ENDINGS)
@pytest.mark.parametrize("era", [None, *ERAS])
def test_the_process_ends_in_time_when_idle(
    tmp_path: Path, recorder: Recorder, era: str | None, how: signal.Signals | None, status: int
) -> None:
    def leaves() -> float:
        with hosting(Path(mkdtemp(dir=tmp_path)), recorder.origin, era, command=PATIENT) as leaving:
            if era is None:  # nothing was asked yet; a line that is no message shows when it listens
                leaving.send({"id": 1, "method": "ping"})
                leaving.next()
            took = seconds_to_end(leaving, how, status)
            assert leaving.stderr == ""
            return took

    in_time(IN_TIME, leaves)


@pytest.mark.parametrize(("how", "status"), ENDINGS)
def test_the_process_ends_in_time_although_its_host_does_not_read(
    tmp_path: Path, recorder: Recorder, how: signal.Signals | None, status: int
) -> None:
    def leaves() -> float:
        home = Path(mkdtemp(dir=tmp_path))
        deaf = Host(home, environment(home, recorder.origin))
        try:
            recorder.answers(HELD)
            deaf.ask("initialize", OPENING)
            for _ in range(3):  # each is larger than what a pipe holds
                deaf.ask("tools/list")
            deaf.ask_tool(*CALL)
            recorder.wait_requests()
            took = seconds_to_end(deaf, how, status)
            recorder.wait_left()
            assert "Traceback" not in deaf.stderr
            return took
        finally:
            deaf.close()

    in_time(IN_TIME, leaves)


@pytest.mark.parametrize("is_half", [True, False])
def test_the_process_ends_quietly_when_its_host_is_gone(tmp_path: Path, recorder: Recorder, is_half: bool) -> None:
    gone = Host(tmp_path, environment(tmp_path, recorder.origin))
    try:
        recorder.answers(HELD)
        gone.ask("initialize", OPENING)
        gone.ask_tool(*CALL)
        recorder.wait_requests()
        assert gone.process.stdout is not None
        gone.process.stdout.close()
        gone.ask("tools/list")
        if not is_half:
            gone.end_input()
        assert gone.leaves(WAIT) == 0
        recorder.wait_left()
        assert gone.stderr == ""
    finally:
        gone.close()
