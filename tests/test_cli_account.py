"""Signing in and out at a terminal: what is pasted stays unseen, and scripts get everything as JSON."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from auth_world import NOW, write
from cli_world import FakeProgram, FakeSignIn, Reply

from kallyai_mcp.cli.main import run
from kallyai_mcp.cli.paste import TRIES
from kallyai_mcp.engine.account import check
from kallyai_mcp.errors import ApiError, KallyError, TransportError

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).resolve().parent.parent
SIGNED_IN: dict[str, Reply] = {
    "auth-status": {
        "authenticated": True,
        "account": {"email": "a@b.example", "verified": False},
        "scopes": ["calls:read", "calls:write"],
        "expires_at": 1775730600,
        "profile": "work",
    }
}
SIGNED_OUT: dict[str, Reply] = {"auth-status": {"authenticated": False}}
ADDRESS = "http://127.0.0.1:8740/?access_token=at-s3cret&state=s"
LONG = ADDRESS + "x" * 6000


def test_what_is_piped_in_is_taken_by_its_first_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{ADDRESS}\nsecond line\n"))
    program = FakeProgram(replies=dict(SIGNED_OUT), signing_in=FakeSignIn(expected=ADDRESS))
    assert run(["login", "--paste"], program) == 0
    assert program.signing_in.pasted == [ADDRESS]
    assert program.signing_in.options == {"paste": True, "lasting": True}
    out, err = capsys.readouterr()
    assert "s3cret" not in out + err
    assert out.endswith("Signed in.\n")


@pytest.mark.parametrize(
    ("piped", "told"), [("nonsense-s3cret\n", "address bar"), ("", "No address was pasted"), ("\n", "No address")]
)
def test_nonsense_is_refused_with_what_is_expected_and_not_repeated(
    piped: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(piped))
    program = FakeProgram(replies=dict(SIGNED_OUT), signing_in=FakeSignIn(expected=ADDRESS))
    assert run(["login", "--paste", "--json"], program) == 3
    out, err = capsys.readouterr()
    error = json.loads(err)
    assert told in error["message"]
    assert "login --paste" in error["next_step"]
    assert "s3cret" not in out + err
    assert not program.signing_in.finished


def test_a_browser_on_this_machine_may_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    program = FakeProgram(replies=dict(SIGNED_OUT), signing_in=FakeSignIn(is_answered=True))
    assert run(["login", "--paste"], program) == 0
    assert program.signing_in.pasted == []


class Terminal:
    """A pseudo-terminal whose other end is stdin, and a person at it."""

    def __init__(self, ours: int, program: FakeProgram) -> None:
        self.ours = ours
        self.program = program
        self.ended = False

    def is_listening(self) -> bool:
        import termios

        return not termios.tcgetattr(sys.stdin.fileno())[3] & (termios.ECHO | termios.ICANON)

    def sits(self, *lines: str) -> Thread:
        """Type each line once the program listens for it: what came before is thrown away."""

        def type_all() -> None:
            patience = time.monotonic() + 60
            for number, line in enumerate(lines):
                # In this order: while the line before is still being read, the terminal is listening, too.
                while not (len(self.program.signing_in.pasted) == number and self.is_listening()):
                    if self.ended:
                        return
                    if time.monotonic() > patience:  # a program that does not listen must not hang the test
                        os.write(self.ours, b"\x04")
                        return
                for start in range(0, len(line), 1000):
                    os.write(self.ours, line[start : start + 1000].encode())

        person = Thread(target=type_all)
        person.start()
        return person

    def echoed(self) -> str:
        os.set_blocking(self.ours, False)
        with suppress(BlockingIOError):
            return os.read(self.ours, 65536).decode()
        return ""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Generator[Terminal]:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    with closing(os.fdopen(theirs, encoding="utf-8")) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        program = FakeProgram(replies=dict(SIGNED_OUT), signing_in=FakeSignIn(expected=LONG))
        terminal = Terminal(ours, program)
        try:
            yield terminal
        finally:
            terminal.ended = True
            os.close(ours)


def test_a_terminal_takes_a_line_longer_than_it_can_collect_itself_and_tries_again(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    import termios

    before = termios.tcgetattr(sys.stdin.fileno())
    person = terminal.sits("nonsense\n", f"\n{LONG[:3000]}y\x7f{LONG[3000:]}\n")
    assert run(["login", "--paste"], terminal.program) == 0
    person.join(60)
    assert terminal.program.signing_in.pasted == ["nonsense", LONG]
    assert termios.tcgetattr(sys.stdin.fileno()) == before
    out, err = capsys.readouterr()
    assert "Try again." in err
    assert "It is not shown" in err
    assert "s3cret" not in out + err + terminal.echoed()


def test_a_terminal_gives_up_after_some_tries(terminal: Terminal) -> None:
    person = terminal.sits(*["no\n"] * TRIES)
    assert run(["login", "--paste"], terminal.program) == 3
    person.join(60)
    assert len(terminal.program.signing_in.pasted) == TRIES


def test_a_terminal_gives_up_at_the_end_of_input(terminal: Terminal) -> None:
    person = terminal.sits("half a line\x04")
    assert run(["login", "--paste"], terminal.program) == 3
    person.join(60)
    assert terminal.program.signing_in.pasted == []


def test_a_long_address_is_printed_in_one_piece(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    program = FakeProgram(replies=dict(SIGNED_OUT))
    assert run(["login"], program) == 0
    assert "\n    https://kallyai.com/activate\n" in capsys.readouterr().out


def test_status_shows_account_scopes_and_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status"], FakeProgram(replies=dict(SIGNED_IN))) == 0
    out = capsys.readouterr().out
    for part in ("a@b.example (as the token says; not verified)", "calls:read calls:write", "work"):
        assert part in out
    assert run(["status", "--json"], FakeProgram(replies=dict(SIGNED_IN))) == 0
    assert json.loads(capsys.readouterr().out)["account"] == {"email": "a@b.example", "verified": False}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ApiError("No.", next_step="Sign in.", code="token_expired", http_status=401), 1),
        (TransportError("Down.", next_step="Wait."), 1),
    ],
)
def test_a_check_that_fails_is_told_on_stdout_for_scripts(
    error: KallyError, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    program = FakeProgram(replies=SIGNED_IN | {"credits balance": error})
    assert run(["status", "--check", "--json"], program) == status
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["works"], told["problem"]["code"]) == (False, error.error_code)
    assert err == ""


@pytest.mark.anyio
async def test_a_check_without_sign_in_asks_nobody() -> None:
    async def balance() -> dict[str, Any]:
        raise AssertionError("asked")

    facts: dict[str, Any] = {"authenticated": False}
    assert await check(facts, balance) is None
    assert facts["works"] is False


def started(tmp_path: Path, *argv: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "KALLYAI_STATE_DIR": str(tmp_path),
    }
    return subprocess.run(  # noqa: S603 - our own interpreter, our own program
        [sys.executable, "-m", "kallyai_mcp", *argv],
        cwd=tmp_path, env=environment | variables, input=stdin, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_all_profiles_are_listed_and_one_is_signed_out_of(tmp_path: Path) -> None:
    for name in (".kallyai_token.json", ".kallyai_token.work.json"):
        write(tmp_path / name, access_token="at-s3cret", refresh_token="rt-s3cret", expires_at=NOW)
    listed = started(tmp_path, "status", "--all", "--json", KALLYAI_ACCESS_TOKEN="fixed-s3cret")
    facts = json.loads(listed.stdout)
    assert [(one["profile"], one["authenticated"]) for one in facts["profiles"]] == [("default", True), ("work", True)]
    assert facts["access_token_in_environment"] is True
    assert "s3cret" not in listed.stdout + listed.stderr
    shown = started(tmp_path, "status", "--all")
    assert re.findall(r"^Profile +(\S+)$", shown.stdout, re.MULTILINE) == ["default", "work"]
    out = started(tmp_path, "logout", "--profile", "work", "--json")
    assert json.loads(out.stdout)["removed"] == [str(tmp_path / ".kallyai_token.work.json")]
    assert [path.name for path in tmp_path.glob(".kallyai_token*.json")] == [".kallyai_token.json"]
    assert started(tmp_path, "status", "--all", "--check").returncode == 2


def test_half_a_client_and_a_missing_keyring_end_with_a_sentence(tmp_path: Path) -> None:
    half = started(tmp_path, "status", "--json", KALLYAI_CLIENT_SECRET="c-s3cret")
    assert (half.returncode, half.stdout) == (2, "")
    assert json.loads(half.stderr)["code"] == "invalid_settings"
    assert "s3cret" not in half.stderr
    backend = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    missing = started(tmp_path, "status", "--token-store", "keyring", "--json", **backend)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert json.loads(missing.stderr)["code"] == "keyring_unusable"
    assert not (tmp_path / ".kallyai_token.json").exists()
