"""Signing in: which flow, one at a time, begun in one place and finished in another.

    begin ──► Pending ──► poll … ──► Done            a tool call shows the address, a later one completes
          ├─► wait ─────► Done                       a tool call waits for a while
          └─────────────► finish ──► returns         a terminal waits

Whoever begins while a sign-in is under way joins it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from kallyai_mcp.auth.browser import PASTE_TIMEOUT, TIMEOUT, BrowserFlow, LoopbackFlow
from kallyai_mcp.auth.callback import PORTS
from kallyai_mcp.auth.code import CodeFlow
from kallyai_mcp.auth.device import NoDeviceFlow, start_device_flow
from kallyai_mcp.auth.discovery import find_endpoints
from kallyai_mcp.auth.flow import Done, may_be_shown
from kallyai_mcp.errors import InvalidSettings, SignInFailed, SignInRequired, TransportError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kallyai_mcp.auth.flow import Flow, Pending, Prompter
    from kallyai_mcp.auth.opener import Opener
    from kallyai_mcp.auth.pair import TokenPair
    from kallyai_mcp.auth.session import AccountStatus, Session


STARTS_EVERY = 60.0
"""Seconds between two sign-ins that models may cause, so that nothing they read can bury a person in requests."""

LAST_STEP = 5.0
"""Seconds for which a wait may outlast its time, for an answer that is on its way."""


@dataclass(slots=True)
class Running:
    """A flow, the tokens it brought until they are kept, and how it ended once it has."""

    flow: Flow
    pair: TokenPair | None = None
    outcome: Done | SignInFailed | None = None


class SignIn:
    """The one way to sign an account in or out.

    Args:
        session: Receives the tokens.
        prompter: Shows a sign-in that has begun; without one the caller does, from what `begin` returns.
        opener: Opens a browser; without one none is opened.
        ports: Where the browser flow may listen.
        starts_every: Seconds that must lie between two starts.
        scopes: What a registered client asks for; the other flows ask for nothing in particular.
    """

    def __init__(
        self,
        session: Session,
        *,
        prompter: Prompter | None = None,
        opener: Opener | None = None,
        ports: range = PORTS,
        starts_every: float = 0.0,
        scopes: Sequence[str] = (),
    ) -> None:
        self._session = session
        self._settings = session.settings
        self._clock = session.clock
        self._prompter = prompter
        self._opener = opener
        self._ports = ports
        self._scopes = scopes
        self._starts_every = starts_every
        self._started = -math.inf
        self._running: Running | None = None
        self.completed = 0
        """How many sign-ins have brought tokens."""
        self._lock = anyio.Lock()

    @property
    def pending(self) -> Pending | None:
        """The sign-in under way, if there is one."""
        running = self._running
        if running is None or running.outcome is not None:
            return None
        state = running.flow.pending()
        return state if state.expires_in > 0 else None

    where = "on this machine"
    """Where the program is that signs in, for people."""

    is_settled = False
    """Whether a sign-in under way is known to have reached its person by now, whatever was told here."""

    async def sync(self) -> None:
        """Take up what other processes have begun, where they share sign-ins."""

    @property
    def has_fixed_token(self) -> bool:
        """Whether the token comes from the environment, which no sign-in changes."""
        return self._settings.access_token is not None

    @property
    def account(self) -> str:
        """Whose tokens these are: the API's origin and where they are kept."""
        return f"{self._settings.api_url} {self._session.file.place}"

    async def begin(self, *, show: bool = True, paste: bool = False, lasting: bool = False) -> Pending:
        """Start a sign-in, or join the one under way, and return at once.

        Args:
            show: Whether to open a browser and to call the prompter; not where the caller has the user open it.
            paste: Whether the browser is on another machine, so that its last address will be brought to `paste`.
            lasting: Whether tokens that cannot be kept are of no use, as in a process that ends with the sign-in.

        Raises:
            SignInFailed: None can be started, or the last one was too short a time ago ("sign_in_too_soon").
            InvalidSettings: A fixed token is set, which signing in would not change; or the tokens cannot be kept.
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
            if lasting:
                await self._session.require_savable()
            flow = await self._start_in_turn(paste=paste)
            self._running = Running(flow)
            state = flow.pending()
        if show and not paste:
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

    def standing(self) -> AccountStatus:
        """What is known about the tokens now, to tell afterwards whether there are others."""
        return self._session.status()

    async def wait(
        self, seconds: float, *, since: int, before: AccountStatus | None = None, slack: float = LAST_STEP
    ) -> Pending | None:
        """Poll the sign-in under way, never before its time, until somebody is signed in or the time is up.

        Args:
            seconds: How long to wait; 0 looks once.
            since: What `completed` was when a token was missing.
            before: The standing at that time; by default that of now.
            slack: Seconds that the last answer may take beyond.

        Returns:
            How it stands, or None once there is another token: from this sign-in, or from another process.

        Raises:
            SignInFailed: It ended without tokens.
        """
        running, before = self._running, before or self.standing()
        ends = self._clock.monotonic() + seconds
        while self.completed == since:
            now = self.standing()
            if now.authenticated and (now.source, now.expires_at) != (before.source, before.expires_at):
                return None
            if running is None:
                raise SignInFailed("The sign-in has ended.", next_step="Run the tool again.", retryable=True)
            left = ends - self._clock.monotonic()
            if await self._advance(running, limit=max(0.0, left) + slack) is not None:
                return None
            left = ends - self._clock.monotonic()
            if left <= 0:
                return running.flow.pending()
            await self._clock.sleep(min(running.flow.wait(), left))
        return None

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
                raise SignInFailed(
                    outcome.message,
                    next_step="Make room, set the rights or name another place with --token-file; then sign in again.",
                )
        raise SignInFailed("The sign-in was called off.", next_step="Start it again.")

    def paste(self, text: str) -> bool:
        """Take the address at which a browser on another machine has ended. Whether it ends the sign-in under way.

        It holds tokens or a code, so it comes from a person's terminal and never from a model.
        """
        running = self._running
        return running is not None and isinstance(running.flow, LoopbackFlow) and running.flow.paste(text)

    @property
    def is_answered(self) -> bool:
        """Whether a browser on this machine has come back."""
        running = self._running
        return running is not None and isinstance(running.flow, LoopbackFlow) and running.flow.is_answered

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

    async def _start_in_turn(self, *, paste: bool) -> Flow:
        now, last = self._clock.monotonic(), self._started
        if (left := last + self._starts_every - now) > 0:
            seconds = math.ceil(left)
            raise SignInFailed(
                "A sign-in was started less than a minute ago and has ended; another one cannot be started yet.",
                code="sign_in_too_soon",
                next_step=f"Tell the user. If they want to sign in, run this again in {seconds} s, not earlier.",
                retryable=True,
                details={"retry_after": seconds},
            )
        self._started = now
        try:
            return await self._start(paste=paste)
        except SignInFailed as failure:
            if failure.retryable:  # the service was not there, and nobody has been asked anything
                self._started = last
            raise

    async def _start(self, *, paste: bool) -> Flow:
        origin, seconds = self._settings.api_url, PASTE_TIMEOUT if paste else TIMEOUT
        if self._settings.store == "keyring":
            self._session.file.require_replaceable()  # before anybody is asked for anything
        if self._settings.client_id is not None:
            http = self._session.http
            return CodeFlow(http, self._clock, self._settings, self._scopes, self._ports, seconds=seconds)
        if paste:
            return BrowserFlow(self._clock, origin, self._ports, seconds=seconds)
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

    async def _advance(self, running: Running, limit: float = math.inf) -> Done | None:
        """One step of a flow, whoever asks for it; all who ask afterwards get the same outcome.

        A run that is cancelled during the step must not lose the tokens of an answer on its way; `limit` bounds it.
        """
        async with self._lock:
            if running.outcome is None:
                try:
                    with anyio.move_on_after(limit, shield=True):
                        running.pair = running.pair or await running.flow.step(limit)
                        if running.pair is not None:
                            running.outcome = await self._keep(running.pair)
                            self.completed += 1
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
        path, place = self._session.file.path, self._session.file.place
        if saved:
            message = f"Signed in. The tokens are in {place}."
        else:
            message = (
                f"The sign-in was approved, but its tokens could not be saved in {place}. "
                "Only this process is signed in, until it ends. --token-file names another place for them."
            )
        return Done(pair.expires_at, path, saved, message)

    async def _end(self, outcome: SignInFailed | None) -> None:
        running, self._running = self._running, None
        if running is not None and running.outcome is None:
            running.outcome = outcome or SignInFailed("The sign-in has ended.", next_step="Start it again.")
            await running.flow.close()
