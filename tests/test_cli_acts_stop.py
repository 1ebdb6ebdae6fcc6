"""The emergency stop from a terminal holds whatever else fails, and ends there alone."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import anyio
import pytest
from cli_acts_world import CALL, OTHER, Desk, sitting
from recorder import answer

from kallyai_mcp.errors import KallyError
from kallyai_mcp.journal import ALL

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


DONE = {"call_id": "c_1", "status": "success", "credits_used": 1.3}
NOBODY = "needs a person at a terminal"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Generator[Desk]:
    with sitting(tmp_path, monkeypatch, capsys) as desk:
        desk.recorder.answers(answer(DONE))
        yield desk


def test_stop_freezes_every_account_and_resume_ends_it(desk: Desk) -> None:
    assert desk.types("stop") == 0
    assert "All acts are stopped" in desk.out
    assert desk.journal(lambda journal: journal.stopped(OTHER)) is not None
    assert desk.types("--approval", "off", *CALL, "--json") == 1
    assert desk.error()["code"] == "stopped"
    assert desk.recorder.requests == []
    desk.person.answers = []
    assert desk.types("resume") == 0
    assert desk.out.startswith("Acts were stopped since ")
    assert desk.out.endswith(" by a terminal. They run again.\n")
    assert desk.types("--approval", "off", *CALL) == 0


def test_stop_cancels_what_can_be_cancelled_and_lists_what_cannot(desk: Desk) -> None:
    desk.recorder.answers(answer({"call_id": "c_1", "status": "in_progress"}))
    assert desk.types("--approval", "off", *CALL) == 0
    assert desk.types("stop", "--json") == 0
    told = desk.json()
    assert (told["stopped"], told["by"], told["not_stopped"]) == (True, "a terminal", [])
    assert [entry["with"] for entry in told["cancelled"]] == ["kallyai_calls_stop"]
    assert [(request.method, request.path) for request in desk.recorder.requests][-1] == ("POST", "/v1/calls/c_1/stop")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"KALLYAI_API_URL": "http://127.0.0.1:9"}, id="no network"),
        pytest.param({"KALLYAI_ACCESS_TOKEN": ""}, id="signed out"),
    ],
)
def test_stop_holds_whatever_keeps_it_from_cancelling(
    desk: Desk, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.recorder.answers(answer({"call_id": "c_1", "status": "in_progress"}))
    assert desk.types("--approval", "off", *CALL) == 0
    monkeypatch.setattr("kallyai_mcp.auth.owner.Owner.key", desk.account())  # which says where the token is
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    assert desk.types("stop") == 0
    assert "Not stopped" in desk.out
    assert "calls make" in desk.out
    assert desk.journal(lambda journal: journal.stopped(OTHER)) is not None


@pytest.mark.parametrize("error", [KallyError("No engine.", next_step="Wait."), RuntimeError("s3cret")])
def test_stop_is_written_before_anything_that_can_fail(
    desk: Desk, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("kallyai_mcp.app.App.parts", fail)
    assert desk.types("stop", "--json") == 0
    told = desk.json()
    assert told["stopped"] is True
    assert "s3cret" not in desk.out
    assert told["problem"]["code"] == "internal_error"
    assert desk.journal(lambda journal: journal.stopped(ALL)) is not None


def test_stop_needs_no_setting_but_the_folder(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_TIMEZONE", "Nowhere")
    assert desk.types("stop", "--log-level", "loud", "--json") == 0
    assert desk.json()["problem"]["code"] == "invalid_settings"
    assert desk.journal(lambda journal: journal.stopped(ALL)) is not None


def test_interrupted_while_cancelling_the_stop_holds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep_forever()

    monkeypatch.setattr("kallyai_mcp.app.App.parts", interrupted)
    assert desk.types("stop") == 130
    assert desk.out.startswith("All acts are stopped")
    assert "interrupted" in desk.err
    assert desk.journal(lambda journal: journal.stopped(ALL)) is not None


def test_stop_of_another_account_is_not_ended_without_a_person(desk: Desk) -> None:
    desk.journal(lambda journal: journal.stop(OTHER, "the tool kallyai_stop"))
    assert desk.types("resume") == 0
    assert desk.journal(lambda journal: journal.stopped(OTHER)) is not None
    desk.person.answers = []
    assert desk.types("resume") == 0
    assert desk.out == "They run again.\n"
    assert desk.journal(lambda journal: journal.stopped(OTHER)) is None


def test_a_stop_that_holds_stays_as_it_was(desk: Desk) -> None:
    desk.journal(lambda journal: journal.stop(ALL, "the page"))
    assert desk.types("stop", "--json") == 0
    assert desk.json()["by"] == "the page"


def test_resume_needs_a_person_only_where_something_is_stopped(desk: Desk) -> None:
    assert desk.types("resume", "--json") == 0
    assert desk.json() == {"resumed": False, "was_stopped": None}
    assert desk.types("resume") == 0
    assert desk.out == "Nothing is stopped.\n"
    assert desk.types("stop") == 0
    assert desk.types("resume") == 2
    assert NOBODY in " ".join(desk.err.split())
    assert desk.journal(lambda journal: journal.stopped(ALL)) is not None
