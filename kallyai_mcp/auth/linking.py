"""Linking accounts where many people share a server: the device flow of each person, carried on by any replica.

What a flow needs to go on lies sealed in the vault, under the person who began it. Tokens go to that person's place and
to no other, whoever approves the code; one flow at a time each. Replicas take turns in asking for the tokens.
"""

from __future__ import annotations

import math
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from kallyai_mcp.auth.device import DeviceFlow, NoDeviceFlow, start_device_flow
from kallyai_mcp.auth.discovery import Endpoints, find_endpoints
from kallyai_mcp.auth.flow import Done, Pending, minutes
from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.auth.sign_in import STARTS_EVERY, Running, SignIn
from kallyai_mcp.auth.store import UnreadableTokenFile
from kallyai_mcp.errors import KallyError, SignInFailed, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.auth.clock import Clock
    from kallyai_mcp.auth.http import Http
    from kallyai_mcp.auth.session import Session
    from kallyai_mcp.auth.store import TokenStore

SETTLED = 10.0
"""Seconds after its begin from which on a flow is not of this moment's calls: whoever comes has been told of it."""

_KEPT = TokenPair("", None, 0.0)
"""Stands for tokens that another replica has kept already."""


class PendingFlow(Protocol):
    """Keeps one person's flow for all replicas."""

    async def store(self, facts: Mapping[str, Any], lifetime: float, *, anyway: bool = True) -> bool:
        """Keep it. Whether it is kept; without `anyway` only where there is none."""
        ...

    async def load(self) -> dict[str, Any] | None:
        """Return it; None where there is none."""
        ...

    async def clear(self) -> bool:
        """Forget it."""
        ...


class Turns(Protocol):
    """Counts for all replicas."""

    async def take(self, account: str, name: str, most: int, span: float) -> float:
        """Take one of so many in so many seconds: 0 where that is allowed, else the seconds until it would be."""
        ...


class LinkedSignIn(SignIn):
    """The sign-in of one person out of many.

    Args:
        session: Receives the tokens; those of this person alone.
        account: The person's key.
        flow: Where their flow is kept.
        turns: Counts starts and questions.
        where: Where the server is, for people.
        page: Gives the address of our own page in front of the service's, from the name of a flow.
    """

    def __init__(
        self,
        session: Session,
        account: str,
        flow: PendingFlow,
        turns: Turns,
        *,
        where: str,
        page: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(session)
        self.where = where
        self._account = account
        self._kept = flow
        self._turns = turns
        self._page = page

    @property
    def account(self) -> str:
        """Whose tokens these are."""
        return self._account

    @property
    def is_settled(self) -> bool:
        """Whether the flow was begun long enough ago for its person to know of it."""
        running = self._running
        return running is not None and isinstance(running.flow, SharedFlow) and running.flow.age() >= SETTLED

    async def sync(self) -> None:
        """Take up the flow that is under way, whichever replica began it, and leave one that is over.

        One that another replica has just ended counts as completed here: its tokens are there.

        Raises:
            KallyError: That cannot be found out for the moment.
        """
        facts = await self._kept.load()
        async with self._lock:
            running = self._running
            here = running.flow.name if running is not None and isinstance(running.flow, SharedFlow) else None
            if facts is not None and facts["name"] == here:
                return
            await self._end(None)
            if facts is not None:
                self._running = Running(self._flow(facts))
            elif await self._is_linked_elsewhere():
                self.completed += 1

    async def _is_linked_elsewhere(self) -> bool:
        """Whether there are other tokens than were read last. What is read without the lock may be a second old."""
        store = self._session.file
        before = _readable(store)
        async with store.locked():
            now = _readable(store)
        return now is not None and (before is None or before.access_token != now.access_token)

    async def link(self, name: str) -> tuple[str, str] | None:
        """Return the service's page for the flow of this name, and its code; None where this person has none such."""
        await self.sync()
        running, state = self._running, self.pending
        if running is None or state is None or not isinstance(running.flow, SharedFlow):
            return None
        if not secrets.compare_digest(running.flow.name.encode(), name.encode()):
            return None
        return running.flow.address_of_service, state.user_code or ""

    async def sign_out(self) -> bool:
        """Forget the tokens, and a flow under way on whichever replica. Whether there were tokens."""
        await self._kept.clear()
        return await super().sign_out()

    async def _start_in_turn(self, *, paste: bool) -> SharedFlow:
        del paste
        wait = await self._turns.take(self._account, "sign_ins", 1, STARTS_EVERY)
        if wait > 0:
            seconds = math.ceil(wait)
            raise SignInFailed(
                "A sign-in was started less than a minute ago and has ended; another one cannot be started yet.",
                code="sign_in_too_soon",
                next_step=f"Tell the user. If they want to sign in, run this again in {seconds} s, not earlier.",
                retryable=True,
                details={"retry_after": seconds},
            )
        http, origin = self._session.http, self._settings.api_url
        try:
            endpoints = await find_endpoints(self._settings, http)
            begun = await start_device_flow(http, self._clock, endpoints, origin)
        except NoDeviceFlow:
            raise SignInFailed(
                "The service offers no device flow, by which alone accounts can be linked here.",
                next_step="Have the operator check KALLYAI_API_URL, and KALLYAI_DEVICE_AUTHORIZATION_URL with "
                "KALLYAI_TOKEN_URL.",
            ) from None
        except TransportError as error:
            raise SignInFailed(
                f"The sign-in could not be started: {error.message}", next_step=error.next_step, retryable=True
            ) from None
        now = self._clock.now()
        facts: dict[str, Any] = {
            "name": secrets.token_urlsafe(24),
            "begun": now,
            "ends": now + begun.left(),
            "device_authorization": endpoints.device_authorization,
            "token": endpoints.token,
            **begun.facts(),
        }
        if not await self._kept.store(facts, begun.left(), anyway=False):
            facts = await self._kept.load() or facts  # another replica was faster
        return self._flow(facts)

    def _flow(self, facts: Mapping[str, Any]) -> SharedFlow:
        page = None if self._page is None else self._page(facts["name"])
        return SharedFlow(
            self._session.http, self._clock, self._settings.api_url, facts, self._account, self._kept, self._turns,
            where=self.where, page=page,
        )  # fmt: skip

    async def _keep(self, pair: TokenPair) -> Done:
        if pair is not _KEPT:
            done = await super()._keep(pair)
            await _quietly_clear(self._kept)
            return done
        await self._session.file.prepare()
        status = self._session.status()
        return Done(status.expires_at or 0.0, None, True, f"Signed in. The tokens are in {self._session.file.place}.")


def _readable(store: TokenStore) -> TokenPair | None:
    """Return the tokens that were read last. Those that do not open are as good as none: a new link replaces them."""
    try:
        return store.read()
    except UnreadableTokenFile:
        return None


class SharedFlow:
    """One device flow that any replica goes on with.

    Args:
        http: How the service is reached.
        clock: Wall and monotonic time.
        origin: Of the API.
        facts: What was kept of it.
        account: Whose it is.
        kept: Where it is kept.
        turns: Has one replica ask at a time.
        where: Where the server is, for people.
        page: Our own page in front of the service's.
    """

    def __init__(
        self,
        http: Http,
        clock: Clock,
        origin: str,
        facts: Mapping[str, Any],
        account: str,
        kept: PendingFlow,
        turns: Turns,
        *,
        where: str,
        page: str | None,
    ) -> None:
        self.name: str = facts["name"]
        self._facts = dict(facts)
        self._clock = clock
        self._account = account
        self._kept = kept
        self._turns = turns
        self._where = where
        self._page = page
        endpoints = Endpoints(facts["device_authorization"], facts["token"], "metadata")
        left = max(0.0, facts["ends"] - clock.now())
        self._flow = DeviceFlow(http, clock, endpoints, origin, {**facts, "expires_in": left})
        self._flow.ask_at_once()  # turns are kept by all replicas together

    @property
    def address_of_service(self) -> str:
        """The service's page, with the code filled in where it offers that."""
        return self._flow.address

    @property
    def address(self) -> str:
        """What a browser is sent to."""
        return self._page or self._flow.address

    def age(self) -> float:
        """Seconds since its begin."""
        return self._clock.now() - self._facts["begun"]

    def pending(self) -> Pending:
        """How it stands, for a person."""
        state = self._flow.pending()
        code = state.user_code
        to = f"open {self._page} and check that the page shows the code {code}"
        if self._page is None:
            to = f"open {state.verification_uri} and enter the code {code}"
        message = (
            f"To link your KallyAI account, {to}. kallyai-mcp {self._where} then acts for that account whenever you "
            f"use it: it can phone people, send mail and spend credits. Approve only if you started this yourself. The "
            f"code is good for {minutes(state.expires_in)}."
        )
        if self._page is not None:
            return replace(state, verification_uri=self._page, verification_uri_complete=self._page, message=message)
        if state.verification_uri_complete is not None:
            message += f" {state.verification_uri_complete} has the code filled in; check that the page shows {code}."
        return replace(state, message=message)

    def wait(self) -> float:
        """Seconds until the next step is due."""
        return self._flow.wait()

    async def step(self, limit: float = math.inf) -> TokenPair | None:
        """Ask once for the tokens, if it is this replica's turn.

        Raises:
            SignInFailed: It ended without tokens.
            KallyError: Whose turn it is cannot be found out.
        """
        if self._flow.wait() > 0:
            return None
        turn = await self._turns.take(self._account, "sign_in_polls", 1, self._flow.interval)
        if turn > 0:
            if await self._is_over_elsewhere():
                return _KEPT
            self._flow.postpone(turn)
            return None
        interval = self._flow.interval
        try:
            pair = await self._flow.step(limit)
        except SignInFailed:
            if await self._is_over_elsewhere():
                return _KEPT
            await _quietly_clear(self._kept)
            raise
        if self._flow.interval != interval:
            self._facts["interval"] = self._flow.interval
            await self._kept.store(self._facts, self._flow.left())
        return pair

    async def close(self) -> None:
        """Nothing is held."""

    async def _is_over_elsewhere(self) -> bool:
        """Whether another replica has ended it: it takes the flow away only once the tokens are kept."""
        facts = await self._kept.load()
        return self._flow.left() > 0 and (facts is None or facts["name"] != self.name)


async def _quietly_clear(kept: PendingFlow) -> None:
    with suppress(KallyError):  # it ends by itself
        await kept.clear()
