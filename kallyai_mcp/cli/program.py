"""What the terminal asks of the program around it, which is put together on the top floor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from kallyai_mcp.engine import Progress, Result
    from kallyai_mcp.engine.parts import Parts
    from kallyai_mcp.exposure import Exposure
    from kallyai_mcp.model import Command
    from kallyai_mcp.settings import Settings


class Runner(Protocol):
    """Runs commands: the engine."""

    async def run(
        self, command: Command, arguments: Mapping[str, Any], *, progress: Progress | None = None, whole: bool = False
    ) -> Result:
        """Run a command once; raises a KallyError when it does not succeed."""
        ...


class Waiting(Protocol):
    """A sign-in that waits for a person."""

    @property
    def verification_uri(self) -> str:
        """What to open."""
        ...

    @property
    def verification_uri_complete(self) -> str | None:
        """The same with the code filled in."""
        ...

    @property
    def user_code(self) -> str | None:
        """What to enter or compare there."""
        ...

    @property
    def expires_in(self) -> int:
        """Seconds left."""
        ...

    @property
    def message(self) -> str:
        """All this in sentences for the person."""
        ...


class SignIn(Protocol):
    """Signs one account in."""

    async def begin(self, *, paste: bool = False, lasting: bool = False) -> Waiting:
        """Start a sign-in and return at once; see `auth.sign_in` for the meaning of both."""
        ...

    def paste(self, text: str) -> bool:
        """Take the address at which a browser on another machine has ended, if that is what it is."""
        ...

    @property
    def is_answered(self) -> bool:
        """Whether a browser on this machine has come back."""
        ...

    async def finish(self) -> None:
        """Wait until it is complete; raises SignInFailed when it ends without tokens."""
        ...


class App(Protocol):
    """One account, one API, one engine."""

    async def engine(self) -> Runner:
        """Return what runs commands."""
        ...

    async def sign_in(self) -> SignIn:
        """Return what signs this account in."""
        ...

    async def parts(self) -> Parts:
        """Return what acts need: the journal, who is asked, the brake."""
        ...


class Program(Protocol):
    """What can be done with one set of settings."""

    def serve(self, settings: Settings) -> None:
        """Serve stdio until the host leaves, or HTTP until a signal ends it."""
        ...

    def running(self, settings: Settings) -> AbstractAsyncContextManager[App]:
        """Give an app for as long as the block lasts."""
        ...

    def tools(self, exposure: Exposure) -> list[dict[str, Any]]:
        """Return the definitions of the tools that are listed."""
        ...

    def sandbox(self, settings: Settings, *, port: int | None, seed: int, speed: float | None, start: str) -> int:
        """Serve the sandbox until a signal ends it."""
        ...

    def demo(self, pace: float) -> int:
        """Play a session, pausing `pace` seconds between its steps, and return the exit status."""
        ...
