"""Browser flow of the API's facts ("browser_flow"): the service sends the browser back here with the tokens."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import anyio.to_thread

from kallyai_mcp.auth.callback import PORTS, Callback
from kallyai_mcp.auth.flow import Pending, minutes
from kallyai_mcp.auth.pair import pair_from_answer
from kallyai_mcp.errors import SignInFailed

if TYPE_CHECKING:
    from kallyai_mcp.auth.clock import Clock
    from kallyai_mcp.auth.pair import TokenPair

PATH = "/v1/auth/cli"
TIMEOUT = 180.0
LOOK = 0.2
START_AGAIN = "Start the sign-in again: kallyai_login from here, or kallyai-mcp login in a terminal."


class BrowserFlow:
    """One sign-in by loopback redirect.

    Args:
        clock: For the timeout.
        origin: The API's.
        ports: Where to listen.

    Raises:
        SignInFailed: No port is free ("port_unavailable").
    """

    def __init__(self, clock: Clock, origin: str, ports: range = PORTS) -> None:
        self._clock = clock
        state = secrets.token_urlsafe(32)
        try:
            self._callback = Callback(state, TIMEOUT, ports)
        except OSError:
            raise SignInFailed(
                f"None of the ports {ports.start} to {ports.stop - 1} is free to wait for the browser on.",
                code="port_unavailable",
                next_step="End the programs that use them (other sign-ins, perhaps) and start again.",
                retryable=True,
            ) from None
        self._ends = clock.monotonic() + TIMEOUT
        query = urlencode({"redirect_uri": self._callback.redirect_uri, "state": state})
        self._address = f"{origin}{PATH}?{query}"

    @property
    def address(self) -> str:
        """What a browser is sent to."""
        return self._address

    def pending(self) -> Pending:
        """How it stands, for a person."""
        left = max(0.0, self._ends - self._clock.monotonic())
        return Pending(
            "browser",
            self._address,
            None,
            None,
            int(left),
            f"To sign in, open {self._address} in a browser on this machine. kallyai-mcp then acts for that KallyAI "
            f"account: it can phone people, send mail and spend credits. Go on only if you started this yourself. "
            f"The address is good for {minutes(left)}.",
        )

    def wait(self) -> float:
        """Seconds until the next look; the browser comes by itself."""
        return 0.0 if self._callback.answer() else min(LOOK, max(0.0, self._ends - self._clock.monotonic()))

    async def step(self) -> TokenPair | None:
        """See whether the browser has come back.

        Raises:
            SignInFailed: It brought an error, or did not come in time.
        """
        answer = self._callback.answer()
        if answer is None:
            if self._clock.monotonic() < self._ends:
                return None
            raise SignInFailed(
                "Nobody signed in within three minutes.", code="sign_in_expired", next_step=START_AGAIN, retryable=True
            )
        if "error" in answer:
            if answer["error"] == "access_denied":
                raise SignInFailed(
                    "The sign-in was refused on the page.",
                    code="sign_in_denied",
                    next_step="Ask the user before starting it again.",
                )
            raise SignInFailed("The service reports that the sign-in failed.", next_step=START_AGAIN)
        try:
            return pair_from_answer(answer, asked_at=self._clock.now())
        except ValueError:
            raise SignInFailed("The browser came back without usable tokens.", next_step=START_AGAIN) from None

    async def close(self) -> None:
        """Stop listening."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._callback.close)
