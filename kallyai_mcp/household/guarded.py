"""What stands between one person and everybody else: the scopes of their token, and a rate."""

from __future__ import annotations

import logging
import math
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.engine import Engine
from kallyai_mcp.errors import ActRefused, InvalidSettings, KallyError
from kallyai_mcp.journal import trouble
from kallyai_mcp.journal.storage import StorageAway
from kallyai_mcp.shared.rates import OwnRates

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from kallyai_mcp.engine.run import Progress, Result
    from kallyai_mcp.model import Command
    from kallyai_mcp.model.records import Stopped
    from kallyai_mcp.server.organisation.scopes import Scopes
    from kallyai_mcp.shared.rates import Rates

BLOCKS = 12
"""Parts of a minute's share that are taken at once, so that not every run costs a write to the database."""

STOPPED_FOR_ALL = "Everybody's acts are stopped, by the operator of this server: only the operator can go on."

_IN_THE_LOG = "Tell the user that the server's operator finds the reason in its log."

_log = logging.getLogger(__name__)

granted: ContextVar[frozenset[str]] = ContextVar("granted", default=frozenset())
"""What the token of the request at hand allows."""


class GuardedEngine(Engine):
    """Runs commands for one person out of many."""

    guard: Guard
    """Set once, right after it was made."""

    async def run(
        self,
        command: Command,
        arguments: Mapping[str, Any],
        *,
        progress: Progress | None = None,
        until: float | None = None,
        whole: bool = False,
    ) -> Result:
        """Run a command once, if the caller's token and rate allow it.

        Raises:
            KallyError: As `Engine.run`; or the token allows less ("insufficient_scope"), or too many runs came within
                a minute ("too_many_runs").
        """
        try:
            async with self.guard.admitted(command):
                return await super().run(command, arguments, progress=progress, until=until, whole=whole)
        except InvalidSettings as error:
            # Where the storage is and what ails it concerns the operator alone, who has it in the log.
            if isinstance(error, StorageAway):
                if type(error) is StorageAway and "outcome" not in error.details:
                    error.message = "The server's database cannot be reached for the moment; nothing was sent."
            elif error.error_code == trouble.CODE:
                _log.error("%s could not be run: %s %s", command.tool, error.message, error.next_step)
                error.message, error.next_step = "The server cannot use its own storage.", _IN_THE_LOG
            raise
        except ActRefused as error:
            if error.error_code == "stopped":
                error.next_step = f"Tell the user. {await self.guard.way_on()}"
            raise


class Guard:
    """One person's bounds.

    Args:
        account: Whose.
        scopes: What tokens must allow.
        rates: Counts runs on all replicas.
        per_minute: Runs that they may begin within a minute.
        clock: Monotonic seconds.
        alone: Counts runs in this process while the others cannot be reached.
    """

    def __init__(
        self,
        account: str,
        scopes: Scopes,
        rates: Rates,
        per_minute: int,
        clock: Callable[[], float] | None = None,
        alone: OwnRates | None = None,
    ) -> None:
        self._account = account
        self._scopes = scopes
        self._rates = rates
        self._block = max(1, per_minute // BLOCKS)
        self._blocks = max(1, per_minute // self._block)
        self._clock = clock or anyio.current_time
        self._alone = OwnRates(clock) if alone is None else alone
        self._left = 0
        self._until = 0.0
        self._taking = anyio.Lock()
        self.running = 0
        """Runs under way."""
        self.resuming = ""
        """How the person goes on who has stopped all their acts."""
        self.stopped: Callable[[], Awaitable[Stopped | None]] | None = None
        """Tells which stop holds for them."""

    async def way_on(self) -> str:
        """Return how to go on after the stop that holds."""
        with suppress(StorageAway):
            stop = None if self.stopped is None else await self.stopped()
            if stop is not None and stop.of_all:
                return STOPPED_FOR_ALL
        return self.resuming

    @asynccontextmanager
    async def admitted(self, command: Command) -> AsyncGenerator[None]:
        """Let one run in, for as long as the block lasts."""
        if not self._scopes.allow(granted.get(), command):
            raise KallyError(
                f"The access token does not allow {command.tool}; nothing was sent.",
                code="insufficient_scope",
                next_step=f"Have the user connect this server anew and allow {self._scopes.act}.",
            )
        self.running += 1
        try:
            if command.name != "stop":  # a brake has no rate
                await self._count()
            yield
        finally:
            self.running -= 1

    async def _count(self) -> None:
        async with self._taking:
            now = self._clock()
            if self._left <= 0 or now >= self._until:
                try:
                    wait = await self._rates.take(self._account, "runs", self._blocks, 60.0)
                except StorageAway:
                    # What may be done meanwhile are reads; each replica counts them by itself.
                    wait = self._alone.take(self._account, "runs", self._blocks, 60.0)
                if wait > 0:
                    raise _too_many(wait)
                self._left, self._until = self._block, now + 60.0
            self._left -= 1


def _too_many(seconds: float) -> KallyError:
    whole = max(1, math.ceil(seconds))
    return KallyError(
        "Too many tools were run within a minute; nothing was sent.",
        code="too_many_runs",
        next_step=f"Wait {whole} s, then run it again.",
        retryable=True,
        details={"retry_after": whole},
    )
