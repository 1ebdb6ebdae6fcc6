"""A person at a real terminal: only what they type there after they were asked is an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from cli_acts_world import CALL, OTHER, QUESTION, environment
from recorder import Recorder, answer, recording
from terminals import CTRL_C, CTRL_D, ROOT, seated

from kallyai_mcp.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from kallyai_mcp.model.records import Approval

PROMPT = "Agree? [y/N] "


@pytest.fixture
def recorder() -> Generator[Recorder]:
    with recording() as recorder:
        recorder.answers(answer({"call_id": "c_1", "status": "in_progress"}))
        yield recorder


def placed(recorder: Recorder) -> int:
    return sum((request.method, request.path) == ("POST", "/v1/calls") for request in recorder.requests)


def asked(folder: Path) -> Approval:
    async def ask() -> Approval:
        async with Journal(folder / "state") as journal:
            return await journal.ask(OTHER, QUESTION.tool, "d" * 64, QUESTION)

    return anyio.run(ask)


def decision(folder: Path, approval: Approval) -> bool | None:
    async def find() -> bool | None:
        async with Journal(folder / "state") as journal:
            found = await journal.approval(OTHER, approval.id)
        assert found is not None
        return found.decision

    return anyio.run(find)


def test_y_runs_the_act_once(recorder: Recorder, tmp_path: Path) -> None:
    with seated(environment(tmp_path, recorder.origin), *CALL) as seat:
        seat.sees(PROMPT)
        assert placed(recorder) == 0
        seat.types("y\n")
        assert seat.leaves() == 0
    assert "a person, in a terminal" in seat.screen
    assert placed(recorder) == 1


def test_ctrl_c_sends_nothing_and_decides_nothing(recorder: Recorder, tmp_path: Path) -> None:
    with seated(environment(tmp_path, recorder.origin), *CALL) as seat:
        seat.sees(PROMPT)
        seat.types(f"y{CTRL_C}")
        assert seat.leaves() == 130
    told = "Nothing was sent, and nothing was decided: the question waits for its end.\nInterrupted.\n"
    assert seat.screen.endswith(told)
    assert placed(recorder) == 0


@pytest.mark.parametrize(
    ("keys", "agreed"),
    [
        pytest.param("YES\n", True, id="yes"),
        pytest.param("n\n", False, id="no"),
        pytest.param("\n", False, id="enter"),
        pytest.param(CTRL_D, None, id="end of input"),
        pytest.param(f"y{CTRL_D}{CTRL_D}", None, id="y without enter"),
    ],
)
def test_the_keys_decide(recorder: Recorder, tmp_path: Path, keys: str, agreed: bool | None) -> None:
    approval = asked(tmp_path)
    with seated(environment(tmp_path, recorder.origin), "approve") as seat:
        seat.sees(PROMPT)
        seat.types(keys)
        assert seat.leaves() == (0 if agreed else 5)
    assert decision(tmp_path, approval) is agreed


def test_other_answers_are_asked_again_and_then_count_as_none(recorder: Recorder, tmp_path: Path) -> None:
    approval = asked(tmp_path)
    with seated(environment(tmp_path, recorder.origin), "approve", approval.id[:8]) as seat:
        for number, word in enumerate(("yup", "yes please", "1"), start=1):
            seat.sees(PROMPT, times=number)
            seat.types(f"{word}\n")
        assert seat.leaves() == 5
    assert seat.screen.count("Type y or n.") == 3
    assert decision(tmp_path, approval) is None


def test_what_was_typed_before_the_question_is_no_answer(recorder: Recorder, tmp_path: Path) -> None:
    approval = asked(tmp_path)
    with seated(environment(tmp_path, recorder.origin), "approve") as seat:
        seat.types("y\n")
        seat.sees(PROMPT)
        assert seat.process.poll() is None
        seat.types("n\n")
        assert seat.leaves() == 5
    assert decision(tmp_path, approval) is False


def test_what_is_piped_in_is_no_answer_where_a_person_can_be_asked(recorder: Recorder, tmp_path: Path) -> None:
    approval = asked(tmp_path)
    with seated(environment(tmp_path, recorder.origin), "approve", stdin=b"y\n" * 20) as seat:
        seat.sees(PROMPT)
        seat.types("n\n")
        assert seat.leaves() == 5
    assert decision(tmp_path, approval) is False


def test_answer_goes_to_a_pipe_and_the_question_to_the_terminal(recorder: Recorder, tmp_path: Path) -> None:
    with (
        (tmp_path / "out").open("wb") as out,
        seated(environment(tmp_path, recorder.origin), *CALL, "--json", stdout=out) as seat,
    ):
        seat.sees(PROMPT)
        seat.types("y\n")
        assert seat.leaves() == 0
    assert json.loads((tmp_path / "out").read_text())["call_id"] == "c_1"
    assert "Reaches" in seat.screen


@pytest.mark.parametrize("how", [{"stderr": subprocess.DEVNULL}, {"background": True}], ids=["unseen", "background"])
def test_whoever_cannot_see_or_answer_the_question_is_not_asked(
    recorder: Recorder, tmp_path: Path, how: dict[str, Any]
) -> None:
    """Hosts and agents start programs so, on terminals where a person types for something else."""
    approval = asked(tmp_path)
    with seated(environment(tmp_path, recorder.origin), "approve", **how) as seat:
        seat.types("y\n")
        assert seat.leaves() == 2
    assert PROMPT not in seat.screen
    assert decision(tmp_path, approval) is None


def test_question_fits_a_narrow_terminal(recorder: Recorder, tmp_path: Path) -> None:
    with seated(environment(tmp_path, recorder.origin), *CALL, columns=40) as seat:
        seat.sees(PROMPT)
        seat.types("n\n")
        assert seat.leaves() == 5
    assert max(len(line) for line in seat.screen.splitlines()) <= 40
    assert "\nReaches\n  +1 415-555-0117" in seat.screen


@pytest.mark.parametrize(
    ("argv", "piped", "status"),
    [
        pytest.param(["approve"], b"", 2, id="approve, no input"),
        pytest.param(["approve"], b"y\n" * 9, 2, id="approve, yes piped in"),
        pytest.param(["approve"], None, 2, id="approve, closed input"),
        pytest.param(CALL, b"y\n" * 9, 5, id="run, yes piped in"),
        pytest.param(CALL, None, 5, id="run, closed input"),
        pytest.param(["resume"], b"y\n" * 9, 2, id="resume, yes piped in"),
    ],
)
def test_without_a_terminal_nobody_is_asked(
    recorder: Recorder, tmp_path: Path, argv: list[str], piped: bytes | None, status: int
) -> None:
    approval = asked(tmp_path)
    if argv == ["resume"]:
        stop(tmp_path)
    start = "import os, sys\n" + "os.close(0)\n" * (piped is None)
    restart = "os.execv(sys.executable, [sys.executable, '-m', 'kallyai_mcp', *sys.argv[1:]])"
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own program
        [sys.executable, "-c", start + restart, *argv],
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath, **environment(tmp_path, recorder.origin)},
        input=piped or b"",
        capture_output=True,
        check=False,
        timeout=60,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout) == (status, b"")
    assert b"terminal" in done.stderr
    assert decision(tmp_path, approval) is None
    assert placed(recorder) == 0


def stop(folder: Path) -> None:
    async def freeze() -> None:
        async with Journal(folder / "state") as journal:
            await journal.stop("*", "a test")

    anyio.run(freeze)
