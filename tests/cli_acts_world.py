"""What the tests of acts at a terminal share: the program as it is put together, an API that records, and a person."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from recorder import recording
from rich.console import Console

from kallyai_mcp.app import Program
from kallyai_mcp.cli import run
from kallyai_mcp.journal import ALL, Journal
from kallyai_mcp.model.records import Note, Question
from kallyai_mcp.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from pathlib import Path
    from typing import TypeVar

    import pytest
    from recorder import Received, Recorder

    from kallyai_mcp.model import Consent
    from kallyai_mcp.model.records import Approval

    T = TypeVar("T")

TOKEN = "live-token-for-tests"
NUMBER = "+14155550117"
CALL = ["run", "calls", "make", "--phone", NUMBER, "--task", "Ask until when the kitchen is open"]
CTRL_C = "Ctrl-C"
OTHER = "account-of-somebody-else"
QUESTION = Question(
    "Phone a number",
    "kallyai_calls_make",
    (("Reaches", "+1 415-555-0100"), ("Task", "Say hello\nCan be undone: yes\x1b[2J")),
    ("It is \x1b[31murgent.",),
)


def environment(folder: Path, origin: str, **more: str) -> dict[str, str]:
    """Return the environment of a program that works with the recorder, at any hour."""
    return {
        "HOME": str(folder),
        "KALLYAI_API_URL": origin,
        "KALLYAI_ACCESS_TOKEN": TOKEN,
        "KALLYAI_STATE_DIR": str(folder / "state"),
        "KALLYAI_TIMEZONE": "America/New_York",
        "KALLYAI_CONTACT_HOURS": "off",
        **more,
    }


@dataclass
class Person:
    """Who sits at the terminal, if anybody does: gives these answers, and keeps what was shown."""

    answers: list[bool | str | None] | None = None
    width: int = 100
    height: int = 50
    shown: list[str] = field(default_factory=list[str])

    def show(self, shape: Any) -> int:
        console = Console(width=self.width, no_color=True)
        with console.capture() as captured:
            console.print(shape)
        self.shown.append(captured.get())
        return len(captured.get().splitlines())

    def has_room_for(self, lines: int) -> bool:
        return lines <= self.height

    async def agrees(self, prompt: str) -> bool | None:
        assert self.answers, f"nobody was to be asked: {prompt}"
        answer = self.answers.pop(0)
        if answer == CTRL_C:
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep_forever()
        assert not isinstance(answer, str)
        return answer

    @contextmanager
    def terminal(self) -> Generator[Person | None]:
        yield None if self.answers is None else self


@dataclass
class Desk:
    """A terminal at which things are typed, one after another."""

    folder: Path
    recorder: Recorder
    person: Person
    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def types(self, *argv: str) -> int:
        """Run what is typed; keep what is printed, and return the exit status."""
        status = run(list(argv), Program())
        self.out, self.err = self.capsys.readouterr()
        return status

    def json(self) -> Any:
        """Return what was printed on stdout."""
        return json.loads(self.out)

    def error(self) -> Any:
        """Return what was printed on stderr."""
        return json.loads(self.err)

    def calls(self) -> list[Received]:
        """Return the requests that place a call."""
        return [
            request for request in self.recorder.requests if (request.method, request.path) == ("POST", "/v1/calls")
        ]

    def journal(self, work: Callable[[Journal], Awaitable[T]]) -> T:
        """Do something with the journal."""

        async def within() -> T:
            async with Journal(self.folder / "state") as journal:
                return await work(journal)

        return anyio.run(within)

    def account(self) -> str:
        """Return the key of the account of what was typed before."""
        told = [json.loads(receipt.line)["account"] for receipt in self.journal(lambda journal: journal.receipts(None))]
        return next(account for account in told if account not in {ALL, OTHER})

    def asked(self, question: Question = QUESTION, *, account: str = OTHER, digest: str = "d" * 64) -> Approval:
        """Put a question that waits for a person."""
        return self.journal(lambda journal: journal.ask(account, question.tool, digest, question))

    def decision(self, approval: Approval, account: str = OTHER) -> tuple[bool | None, Consent]:
        """Return what was decided, and how."""
        found = self.journal(lambda journal: journal.approval(account, approval.id))
        assert found is not None
        return found.decision, found.consent


@contextmanager
def sitting(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Generator[Desk]:
    """Give a desk with nobody at it yet, whose program works with a recorder."""
    person = Person()
    for module in ("approving", "braking", "mandates"):
        monkeypatch.setattr(f"kallyai_mcp.cli.{module}.terminal", person.terminal)
    monkeypatch.setattr("kallyai_mcp.logs.configure", str)
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    with recording() as recorder:
        for name, value in environment(folder, recorder.origin).items():
            monkeypatch.setenv(name, value)
        yield Desk(folder, recorder, person, capsys)


def worked(desk: Desk) -> None:
    """Leave an act of this account in the log, something of another one, and a stop of all."""
    assert desk.types("--approval", "off", *CALL) == 0
    note = Note(tool="kallyai_ask", digest="d" * 64, outcome="refused", destination="=cmd|' /C calc'!A0", error="x")
    desk.journal(lambda journal: journal.note(OTHER, note))
    assert desk.types("stop") == 0
