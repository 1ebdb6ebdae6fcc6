"""The demo: it plays to its end against the real server, and a step that goes wrong ends it with a sentence."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kallyai_mcp.cli.demo.checks import Failed
from kallyai_mcp.cli.demo.person import Page, Person
from kallyai_mcp.cli.demo.screen import Screen
from kallyai_mcp.cli.demo.story import STEPS, desktop_configuration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONGEST = 120
"""Seconds after which a demo hangs; it takes about twenty."""
WITH_A_CALL_NOBODY_ANSWERS = """
import sys
from kallyai_mcp.cli.demo import play, story
story.STEPS = [step for step in story.STEPS if step[0] in ("The user signs in", "A phone call")]
story.CALL["phone"] = "+12025550102"
sys.exit(play(0))
"""
HEADING = re.compile(r"^── (.+?) ─+$", re.MULTILINE)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment with settings of a user that the demo must not heed."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONIOENCODING": "utf-8",
        "KALLYAI_API_URL": "http://127.0.0.1:9",
        "KALLYAI_ACCESS_TOKEN": "a-live-token",
        **more,
    }


def start(command: Sequence[str], home: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - this interpreter, with our own program
        [sys.executable, *command],
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=home,
    )


def test_every_step_is_played_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with start(["-m", "kallyai_mcp", "demo", "--pace", "0"], tmp_path) as demo:
        out, errors = demo.communicate(timeout=LONGEST)

    assert (demo.returncode, errors) == (0, ""), out
    assert HEADING.findall(out) == [f"{number}. {heading}" for number, (heading, _) in enumerate(STEPS, start=1)]
    assert "\x1b" not in out
    assert max(len(line) for line in out.splitlines() if '"command"' not in line) <= 80
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_fails_ends_the_demo_with_what_was_expected_and_what_came(tmp_path: Path) -> None:
    with start(["-c", WITH_A_CALL_NOBODY_ANSWERS], tmp_path) as demo:
        out, errors = demo.communicate(timeout=LONGEST)

    assert (demo.returncode, errors) == (1, "")
    assert out.endswith(
        "  ✗ Expected: The call succeeded.\n    This came instead: no_answer\n    The demo ends here.\n"
    ), out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_ends_it_quietly(tmp_path: Path) -> None:
    with start(["-u", "-m", "kallyai_mcp", "demo", "--pace", "60"], tmp_path) as demo:
        assert demo.stdout is not None
        assert demo.stdout.readline() == "An agent works with KallyAI\n"
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=LONGEST)

    assert (demo.returncode, errors) == (130, "")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_start_is_reported(tmp_path: Path) -> None:
    broken = (
        "import sys; from kallyai_mcp.cli.demo import play; sys.executable = sys.executable + '-gone'; "
        "sys.exit(play(0))"
    )
    with start(["-c", broken], tmp_path) as demo:
        out, errors = demo.communicate(timeout=LONGEST)

    assert (demo.returncode, errors) == (1, "")
    assert "✗ Expected: The server starts and can be connected to." in out


def test_the_person_opens_nothing_that_is_not_on_this_machine() -> None:
    with pytest.raises(Failed, match="on this machine"):
        Person().open("http://example.com/activate")
    with pytest.raises(Failed, match="on this machine"):
        Person().open("file:///etc/hostname")


def test_the_person_presses_only_buttons_that_are_there() -> None:
    page = Page("http://127.0.0.1:9/", heading="A page", action="http://127.0.0.1:9/", buttons={"Deny": ("", "")})

    with pytest.raises(Failed, match="button Approve"):
        Person().press(page, "Approve")


def test_a_terminal_without_the_glyphs_gets_plain_characters() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    screen = Screen(stream, 0)

    screen.heading("A step")
    screen.runs("kallyai_ask", {"message": "Hello"})
    screen.answers("Fine.")
    screen.passed("It holds.")
    stream.flush()

    shown = raw.getvalue().decode("ascii").splitlines()
    assert shown[1].startswith("-- A step ---")
    assert shown[3:] == ["  > kallyai_ask", '      message: "Hello"', "  < Fine.", "  + It holds."]


def test_the_configuration_starts_this_program_with_a_sandbox() -> None:
    server = desktop_configuration()["mcpServers"]["kallyai"]

    assert server["env"] == {"KALLYAI_SANDBOX": "1", "KALLYAI_CONTACT_HOURS": "off"}
    done = subprocess.run(  # noqa: S603 - our own program
        [server["command"], *server.get("args", []), "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("kallyai-mcp ")
