"""Run a command against the API: token, deadline, repeats, and what became of it.

Nothing here decides whether a command may run. Public commands are sent without a token, even if there is one: none of
them needs it.
"""

from __future__ import annotations

import logging
import random
import time
from contextlib import nullcontext
from copy import copy
from typing import TYPE_CHECKING, Protocol, Self

import anyio
import httpx2

from kallyai_mcp.api import failure
from kallyai_mcp.api.body import MAX_BYTES
from kallyai_mcp.api.pools import LIMITS
from kallyai_mcp.api.wire import Deadlines, Wire
from kallyai_mcp.errors import ApiError, InvalidSettings, KallyError
from kallyai_mcp.model.sandbox_marks import is_sandbox_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from kallyai_mcp.api.answer import Answer
    from kallyai_mcp.api.observer import Observer
    from kallyai_mcp.errors import SignInRequired
    from kallyai_mcp.model import ApiRequest, Command

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_UNTOUCHED = {401, 429}
"""Statuses that say that nothing was done (RFC 9110, 15.5.2; RFC 6585, 4)."""


class Tokens(Protocol):
    """Where access tokens come from."""

    async def token(self) -> str | None:
        """Return a valid token, refreshed if that was due; None when signed out."""
        ...

    async def renew(self, refused: str) -> str | None:
        """Return a newer token than `refused`, which the API answered with 401; None when there is none to be had."""
        ...


class ApiClient:
    """The API as seen from here. Shared by all runs; close it when the program ends."""

    def __init__(
        self,
        origin: str,
        *,
        version: str,
        proxy: str | None = None,
        sandbox: bool = False,
        deadlines: Deadlines | None = None,
        limits: httpx2.Limits = LIMITS,
        max_bytes: int = MAX_BYTES,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        random: Callable[[], float] = random.random,
        observer: Observer | None = None,
    ) -> None:
        """Prepare; the first run opens the first connection.

        Args:
            origin: Scheme, host and port of the API.
            version: Version of this program, for User-Agent.
            proxy: HTTP proxy; not used towards this machine itself.
            sandbox: Whether the origin is known to be a sandbox; its answers tell as well.
            deadlines: Seconds that things may take.
            limits: How many connections are kept.
            max_bytes: Largest body that is read.
            transport: Replaces the network, for tests.
            clock: Seconds since the epoch.
            sleep: Waits between two attempts.
            random: A number of at least 0 and less than 1, to spread repeats.
            observer: Is told of every request.
        """
        self._deadlines = deadlines or Deadlines()
        self._wire = Wire(
            origin,
            agent=f"kallyai-mcp/{version}",
            proxy=proxy,
            deadlines=self._deadlines,
            limits=limits,
            max_bytes=max_bytes,
            transport=transport,
            clock=clock,
            observer=observer,
        )
        self._is_sandbox = sandbox
        self._turns: AbstractAsyncContextManager[object] = nullcontext()
        self._sleep = sleep
        self._random = random

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. A later run opens new ones."""
        await self._wire.aclose()

    def bounded(self, at_once: int) -> ApiClient:
        """Return the same client for one account out of many: connections are shared, requests at once are bounded.

        Waiting for its turn is part of the time that a run may take.
        """
        made = copy(self)
        made._turns = anyio.Semaphore(at_once)  # noqa: SLF001 - one of this class
        return made

    async def send(
        self,
        command: Command,
        request: ApiRequest,
        tokens: Tokens | None,
        *,
        run_id: str,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> Answer:
        """Run a command's request and return the answer.

        Args:
            command: What is run.
            request: Its request.
            tokens: Where its token comes from; not asked for public commands.
            run_id: UUID of the run: the idempotency key of commands that have one.
            before: Awaited once, right before the first byte can leave; what it raises ends the run unsent.

        Raises:
            InvalidArguments: The request cannot be put together. Nothing was sent.
            InvalidSettings: The token belongs to a sandbox and the origin does not, or the other way round.
            SignInRequired: There is no token, or the API refuses it and there is no other.
            ApiError: The API says no.
            TransportError: There is no answer, or none that is understood.
        """
        run = _Run(self._wire, self.check_token, command, request, tokens, run_id, before)
        with anyio.move_on_after(self._deadlines.total(command)) as scope:
            async with self._turns:
                try:
                    return await run.attempt()
                except KallyError as error:
                    from kallyai_mcp.api import repeat

                    if not (repeat.may_repeat(command) and repeat.may_pass(error)):
                        raise
                    return await repeat.go_on(
                        run.attempt,
                        error,
                        remaining=lambda: scope.deadline - anyio.current_time(),
                        sleep=self._sleep,
                        random=self._random,
                    )
        raise failure.lost(command, "timeout", sent=run.may_have_acted)

    @property
    def is_sandbox(self) -> bool:
        """Whether a sandbox answers at the origin, as far as is known."""
        return self._is_sandbox or self._wire.met_sandbox

    def check_token(self, token: str) -> None:
        """Refuse to mix a sandbox and the live service.

        Raises:
            InvalidSettings: The token must not be sent to this origin.
        """
        if is_sandbox_token(token):
            if not self._wire.is_local:
                raise _mismatch("The token belongs to a sandbox, and the API address is not on this machine.")
        elif self.is_sandbox:
            raise _mismatch("The API address is a sandbox, and the token was not issued by one.")


class _Run:
    """One run of a command: what is remembered from attempt to attempt."""

    def __init__(
        self,
        wire: Wire,
        check_token: Callable[[str], None],
        command: Command,
        request: ApiRequest,
        tokens: Tokens | None,
        run_id: str,
        before: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._wire = wire
        self._check_token = check_token
        self._command = command
        self._request = request
        self._tokens = tokens
        self._run_id = run_id
        self._before = before
        self._token: str | None = None
        self._is_renewed = False
        self.may_have_acted = False
        """Whether the service may have acted on one of the attempts."""
        self.is_unsure = False
        """Whether it may have acted on an attempt before the present one."""

    async def attempt(self) -> Answer:
        """Send the request once, and once more with a newer token if this one is refused."""
        try:
            return await self._attempt()
        except KallyError as error:
            if self.is_unsure:
                failure.note_earlier_attempt(self._command, error)
            raise

    async def _attempt(self) -> Answer:
        self.is_unsure = self.may_have_acted
        if not self._command.public and self._token is None:
            self._use(await self._tokens.token() if self._tokens else None)
        result = await self._once()
        if _is_refused_token(result) and not self._command.public:
            # A refused token means that nothing was done: the repeat is safe for any method.
            self._use(await self._newer(), status=401)
            result = await self._once()
            if _is_refused_token(result):
                raise self._sign_in(401)
        if isinstance(result, ApiError):
            raise result
        return result

    async def _newer(self) -> str | None:
        if self._is_renewed or self._tokens is None or self._token is None:
            return None
        self._is_renewed = True
        return await self._tokens.renew(self._token)

    def _use(self, token: str | None, *, status: int | None = None) -> None:
        # Only visible ASCII can stand in a header (RFC 9110, 5.5; RFC 6750, 2.1).
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise self._sign_in(status)
        self._check_token(token)
        self._token = token

    def _sign_in(self, status: int | None) -> SignInRequired:
        return failure.sign_in_required(self._command, status, acted=self.may_have_acted)

    async def _once(self) -> Answer | ApiError:
        command = self._command
        built = self._wire.build(command, self._request, self._token, self._run_id)
        if self._before is not None:
            announce, self._before = self._before, None
            await announce()
        before, self.may_have_acted = self.may_have_acted, True
        try:
            result = await self._wire.exchange(command, built)
        except _NOT_SENT:
            self.may_have_acted = before
            raise failure.lost(command, "connection_failed", sent=before) from None
        except httpx2.TimeoutException:
            raise failure.lost(command, "timeout", sent=True) from None
        except httpx2.TransportError:
            raise failure.lost(command, "connection_lost", sent=True) from None
        if isinstance(result, ApiError) and result.http_status in _UNTOUCHED:
            self.may_have_acted = before
        return result


def _is_refused_token(result: Answer | ApiError) -> bool:
    return isinstance(result, ApiError) and result.http_status == 401


def _mismatch(message: str) -> InvalidSettings:
    return InvalidSettings(
        f"{message} Nothing was sent.",
        code="token_origin_mismatch",
        next_step="Have the user sign in anew for this address with kallyai_login, and give the sandbox and the live "
        "service a token file each (KALLYAI_TOKEN_FILE).",
    )


def quiet_http_logs() -> None:
    """Keep addresses, headers and reason phrases out of the log; below warnings the HTTP libraries write them."""
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
