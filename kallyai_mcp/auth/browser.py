"""The flows that send a browser back to this machine: the documented one here, that of a registered client elsewhere.

"browser_flow" of the API's facts: the service sends the browser back with the tokens. Where the browser runs on another
machine it cannot get here; then the person brings the address at which it ended.
"""

from __future__ import annotations

import math
import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode, urlsplit

import anyio.to_thread

from kallyai_mcp.auth.callback import PORTS, TOKENS, Callback
from kallyai_mcp.auth.flow import Pending, minutes
from kallyai_mcp.auth.pair import pair_from_answer
from kallyai_mcp.errors import SignInFailed

if TYPE_CHECKING:
    from kallyai_mcp.auth.clock import Clock
    from kallyai_mcp.auth.pair import TokenPair

PATH = "/v1/auth/cli"
TIMEOUT = 180.0
PASTE_TIMEOUT = 600.0
LOOK = 0.2
LONGEST_PASTE = 64 * 1024
START_AGAIN = "Start the sign-in again: kallyai_login from here, or kallyai-mcp login in a terminal."


class LoopbackFlow(ABC):
    """One sign-in by loopback redirect.

    Args:
        clock: For the timeout.
        ports: Where to listen.
        fields: What the service sends along with the browser; see `Callback`.
        seconds: How long to wait.

    Raises:
        SignInFailed: No port is free ("port_unavailable").
    """

    def __init__(
        self, clock: Clock, ports: range = PORTS, *, fields: tuple[str, ...] = TOKENS, seconds: float = TIMEOUT
    ) -> None:
        self._clock = clock
        self._state = secrets.token_urlsafe(32)
        try:
            self._callback = Callback(self._state, seconds, ports, fields)
        except OSError:
            raise SignInFailed(
                f"None of the ports {ports.start} to {ports.stop - 1} is free to wait for the browser on.",
                code="port_unavailable",
                next_step="End the programs that use them (other sign-ins, perhaps) and start again.",
                retryable=True,
            ) from None
        self._redirect_uri = self._callback.redirect_uri
        self._ends = clock.monotonic() + seconds
        self._postponed = False

    longest_use: ClassVar[float] = 0.0
    """Seconds that using what the browser brings may take."""

    @property
    @abstractmethod
    def address(self) -> str:
        """What a browser is sent to."""

    @property
    def is_answered(self) -> bool:
        """Whether the browser has come back."""
        return self._callback.answer() is not None

    def pending(self) -> Pending:
        """How it stands, for a person."""
        left = max(0.0, self._ends - self._clock.monotonic())
        return Pending(
            "browser",
            self.address,
            None,
            None,
            int(left),
            f"To sign in, open {self.address} in a browser on this machine. kallyai-mcp then acts for that KallyAI "
            f"account: it can phone people, send mail and spend credits. Go on only if you started this yourself. "
            f"The address is good for {minutes(left)}.",
        )

    def wait(self) -> float:
        """Seconds until the next look; the browser comes by itself."""
        return (
            0.0
            if self.is_answered and not self._postponed
            else min(LOOK, max(0.0, self._ends - self._clock.monotonic()))
        )

    def paste(self, text: str) -> bool:
        """Take the address at which a browser elsewhere has ended. Whether it is that of this sign-in.

        Host and port are compared, and the state in constant time; nothing of any other text is kept.
        """
        if len(text) > LONGEST_PASTE:
            return False
        try:
            parts, home = urlsplit(text.strip()), urlsplit(self._redirect_uri)
        except ValueError:
            return False
        if (parts.scheme, parts.netloc) != (home.scheme, home.netloc) or parts.path not in {"", "/"}:
            return False
        if self._callback.take(parts.query) is None:
            return False
        self._callback.shown()  # no browser will come for the last page
        return True

    async def step(self, limit: float = math.inf) -> TokenPair | None:
        """See whether the browser has come back.

        What it brings is good for one use, which no limit cuts short: where there is too little time for it, the next
        step does it.

        Raises:
            SignInFailed: It brought an error, or did not come in time.
        """
        answer = self._callback.answer()
        if answer is None:
            left = self._ends - self._clock.monotonic()
            if left > 0:
                return None
            raise SignInFailed(
                "Nobody signed in in time.", code="sign_in_expired", next_step=START_AGAIN, retryable=True
            )
        if "error" in answer:
            if answer["error"] == "access_denied":
                raise SignInFailed(
                    "The sign-in was refused on the page.",
                    code="sign_in_denied",
                    next_step="Ask the user before starting it again.",
                )
            raise SignInFailed("The service reports that the sign-in failed.", next_step=START_AGAIN)
        self._postponed = limit < self.longest_use
        return None if self._postponed else await self._tokens(answer)

    async def close(self) -> None:
        """Stop listening."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._callback.close)

    @abstractmethod
    async def _tokens(self, answer: dict[str, str]) -> TokenPair:
        """Return the tokens that the browser's answer stands for; raises SignInFailed where there are none."""


class BrowserFlow(LoopbackFlow):
    """The documented sign-in of the command line: the tokens come with the browser."""

    def __init__(self, clock: Clock, origin: str, ports: range = PORTS, *, seconds: float = TIMEOUT) -> None:
        super().__init__(clock, ports, seconds=seconds)
        query = urlencode({"redirect_uri": self._redirect_uri, "state": self._state})
        self._address = f"{origin}{PATH}?{query}"

    @property
    def address(self) -> str:
        """What a browser is sent to."""
        return self._address

    async def _tokens(self, answer: dict[str, str]) -> TokenPair:
        try:
            return pair_from_answer(answer, asked_at=self._clock.now())
        except ValueError:
            raise SignInFailed("The browser came back without usable tokens.", next_step=START_AGAIN) from None
