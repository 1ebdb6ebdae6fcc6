"""What the tests of the terminal share: a program whose engine answers as told and keeps what it was asked."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kallyai_mcp.engine import Result
from kallyai_mcp.engine.result import shape_data
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.server import load_tools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from kallyai_mcp.engine import Progress
    from kallyai_mcp.exposure import Exposure
    from kallyai_mcp.model import Command
    from kallyai_mcp.settings import Settings

NO_JOURNAL = InvalidSettings("The journal cannot be used.", next_step="Free some space.", code="journal_unusable")

Reply = Result | Exception | dict[str, Any] | None


@dataclass(frozen=True)
class FakeWaiting:
    """A sign-in that waits."""

    verification_uri: str = "https://kallyai.com/activate"
    verification_uri_complete: str | None = None
    user_code: str | None = "WDJB-MJHT"
    expires_in: int = 600
    message: str = "Open the page and enter the code."


@dataclass
class FakeSignIn:
    """Signs in at once, or fails."""

    failure: Exception | None = None
    finished: bool = False

    pasted: list[str] = field(default_factory=list[str])
    expected: str | None = None
    options: dict[str, bool] = field(default_factory=dict[str, bool])
    is_answered: bool = False

    async def begin(self, *, paste: bool = False, lasting: bool = False) -> FakeWaiting:
        self.options = {"paste": paste, "lasting": lasting}
        return FakeWaiting()

    def paste(self, text: str) -> bool:
        self.pasted.append(text)
        return text == self.expected

    async def finish(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.finished = True


@dataclass
class FakeProgram:
    """Answers every command with the reply for its name, else with the common one."""

    reply: Reply | BaseException = None
    replies: dict[str, Reply] = field(default_factory=dict[str, Reply])
    signing_in: FakeSignIn = field(default_factory=FakeSignIn)
    runs: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    settings: Settings | None = None
    served: bool = False
    acting: Any = None
    """What acts need; without it the journal cannot be used."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def serve(self, settings: Settings) -> None:
        self.settings, self.served = settings, True

    @asynccontextmanager
    async def running(self, settings: Settings) -> AsyncGenerator[FakeProgram]:
        self.settings = settings
        yield self

    async def engine(self) -> FakeProgram:
        return self

    async def sign_in(self) -> FakeSignIn:
        return self.signing_in

    async def parts(self) -> Any:
        if self.acting is None:
            raise NO_JOURNAL
        return self.acting

    async def run(
        self,
        command: Command,
        arguments: Mapping[str, Any],
        *,
        progress: Progress | None = None,
        whole: bool = False,
    ) -> Result:
        del whole
        assert progress is None, "no terminal, no progress"
        self.runs.append((command.name, dict(arguments)))
        reply = self.replies.get(command.name, self.reply)
        if isinstance(reply, BaseException):
            raise reply
        return reply if isinstance(reply, Result) else shape_data(command, reply)

    def tools(self, exposure: Exposure) -> list[dict[str, Any]]:
        return load_tools(exposure)

    def sandbox(self, settings: Settings, *, port: int | None, seed: int, speed: float | None, start: str) -> int:
        self.settings = settings
        self.options = {"port": port, "seed": seed, "speed": speed, "start": start}
        return 0

    def demo(self, pace: float) -> int:
        self.options = {"pace": pace}
        return 7
