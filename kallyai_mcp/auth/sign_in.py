"""Signing in: which flow, one at a time, begun in one place and finished in another.

    begin ──► Pending ──► poll … ──► Done            a tool call shows the address, a later one completes
          └─────────────► finish ──► returns         a terminal waits

Whoever begins while a sign-in is under way joins it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from kallyai_mcp.auth.browser import BrowserFlow
from kallyai_mcp.auth.callback import PORTS
from kallyai_mcp.auth.device import NoDeviceFlow, start_device_flow
from kallyai_mcp.auth.discovery import find_endpoints
from kallyai_mcp.auth.flow import Done, may_be_shown
from kallyai_mcp.errors import InvalidSettings, SignInFailed, SignInRequired, TransportError

if TYPE_CHECKING:
    from kallyai_mcp.auth.flow import Flow, Pending, Prompter
    from kallyai_mcp.auth.opener import Opener
    from kallyai_mcp.auth.pair import TokenPair
    from kallyai_mcp.auth.session import Session


@dataclass(slots=True)
class _Running:
    """A flow, and how it ended once it has."""

    flow: Flow
    outcome: Done | SignInFailed | None = None


class SignIn:
    """The one way to sign an account in or out.

    Args:
        session: Receives the tokens.
        prompter: Shows a sign-in that has begun; without one the caller does, from what `begin` returns.
        opener: Opens a browser; without one none is opened.
        ports: Where the browser flow may listen.
    """

    def __init__(
        self,
        session: Session,
        *,
        prompter: Prompter | None = None,
        opener: Opener | None = None,
        ports: range = PORTS,
    ) -> None:
        self._session = session
        self._settings = session.settings
        self._clock = session.clock
        self._prompter = prompter
        self._opener = opener
        self._ports = ports
        self._running: _Running | None = None
        self._lock = anyio.Lock()

    @property
    def pending(self) -> Pending | None:
        """The sign-in under way, if there is one."""
        running = self._running
        if running is None or running.outcome is not None:
            return None
        state = running.flow.pending()
        return state if state.expires_in > 0 else None

    async def begin(self) -> Pending:
        """Start a sign-in, or join the one under way, and return at once.

        Raises:
            SignInFailed: None can be started.
            InvalidSettings: A fixed token is set, which signing in would not change.
        """
        if state := self.pending:
            return state
        async with self._lock:
            if state := self.pending:
                return state
            await self._end(None)
            if self._settings.access_token:
                raise InvalidSettings(
                    "KALLYAI_ACCESS_TOKEN is set and is used whoever signs in.",
                    next_step="Remove KALLYAI_ACCESS_TOKEN to sign in with the token file.",
                )
            flow = await self._start()
            self._running = _Running(flow)
            state = flow.pending()
        await self._present(flow, state)
        return state

    async def poll(self) -> Pending | Done:
        """See whether the sign-in under way is complete: one request at most, none before its time.

        Raises:
            SignInFailed: It ended without tokens, or none is under way.
        """
        running = self._running
        if running is None:
            raise SignInFailed(
                "No sign-in is under way.", next_step="Start one: kallyai_login, or kallyai-mcp login in a terminal."
            )
        outcome = await self._advance(running)
        if outcome is not None:
            return outcome
        state = running.flow.pending()
        return replace(state, message=f"Nobody has approved the sign-in yet. {state.message}")

    async def finish(self) -> None:
        """Start or join a sign-in and wait until it is complete.

        Raises:
            SignInFailed: It ended without tokens ("sign_in_denied", "sign_in_expired", "sign_in_failed",
                "port_unavailable"), or they could not be saved.
            InvalidSettings: A fixed token is set.
        """
        await self.begin()
        running = self._running
        while running is not None:
            outcome = await self._advance(running)
            if outcome is None:
                await self._clock.sleep(running.flow.wait())
            elif outcome.saved:
                return
            else:
                raise SignInFailed(outcome.message, next_step="Make room or set the rights, then sign in again.")
        raise SignInFailed("The sign-in was called off.", next_step="Start it again.")

    async def sign_out(self) -> bool:
        """Remove the token file and call off a sign-in under way. Whether there was a file.

        The service documents no revocation: its tokens stay valid there until they end.

        Raises:
            InvalidSettings: The file cannot be removed.
        """
        await self.close()
        return await self._session.forget()

    async def close(self) -> None:
        """Call off a sign-in under way."""
        async with self._lock:
            await self._end(SignInFailed("The sign-in was called off.", next_step="Start it again."))

    async def _start(self) -> Flow:
        origin = self._settings.api_url
        try:
            endpoints = await find_endpoints(self._settings, self._session.http)
            return await start_device_flow(self._session.http, self._clock, endpoints, origin)
        except NoDeviceFlow:
            return BrowserFlow(self._clock, origin, self._ports)
        except TransportError as error:
            raise SignInFailed(
                f"The sign-in could not be started: {error.message}", next_step=error.next_step, retryable=True
            ) from None

    async def _present(self, flow: Flow, state: Pending) -> None:
        if self._prompter is not None:
            await self._prompter.show(state)
        wanted = self._settings.display and not self._settings.no_browser
        if self._opener is not None and wanted and may_be_shown(flow.address, self._settings.api_url):
            await anyio.to_thread.run_sync(self._opener, flow.address)

    async def _advance(self, running: _Running) -> Done | None:
        """One step of a flow, whoever asks for it; all who ask afterwards get the same outcome."""
        async with self._lock:
            if running.outcome is None:
                try:
                    pair = await running.flow.step()
                    if pair is not None:
                        with anyio.CancelScope(shield=True):  # a run that is cancelled now must not lose the tokens
                            running.outcome = await self._keep(pair)
                except SignInFailed as failure:
                    running.outcome = failure
                except SignInRequired as mismatch:  # tokens of the other side: a sandbox's for the live API, or not
                    running.outcome = SignInFailed(mismatch.message, next_step=mismatch.next_step)
                if running.outcome is not None:
                    await running.flow.close()
            if running.outcome is not None and self._running is running:
                self._running = None
        if isinstance(running.outcome, SignInFailed):
            raise running.outcome
        return running.outcome

    async def _keep(self, pair: TokenPair) -> Done:
        saved = await self._session.adopt(pair)
        path = self._session.file.path
        if saved:
            message = f"Signed in. The tokens are in {path}."
        else:
            message = f"The sign-in was approved, but its tokens could not be saved in {path}."
        return Done(pair.expires_at, path, saved, message)

    async def _end(self, outcome: SignInFailed | None) -> None:
        running, self._running = self._running, None
        if running is not None and running.outcome is None:
            running.outcome = outcome or SignInFailed("The sign-in has ended.", next_step="Start it again.")
            await running.flow.close()
