"""Runs that may take longer than a host waits: they go on by themselves, and whoever asks again meets them.

    the answer comes in time ─────────────► it is handed over
    it does not, something was sent ──────► the run goes on; the answer so far is how to wait for it
    it does not, nothing was sent yet ────► the run is given up
    the host calls the run off ───────────► the run is given up; what was sent is looked up afterwards

So no host's patience cuts a phone call's answer off, and waiting sends nothing.
"""

from __future__ import annotations

import logging
import uuid
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.engine.beside import watched
from kallyai_mcp.engine.naming import ELSEWHERE, everything
from kallyai_mcp.engine.outcome import ACT
from kallyai_mcp.engine.result import Body
from kallyai_mcp.errors import TransportError
from kallyai_mcp.model import Effect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from kallyai_mcp.engine.naming import Allows
    from kallyai_mcp.engine.result import Result
    from kallyai_mcp.model import Command

    Start = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]

FIRST_REPORT = 1.0
NEXT_REPORTS = 5.0
"""Seconds until the first report of progress, and between later ones."""

WAITING = "_waiting"
"""Field of an answer that is not there yet: how to wait for it."""

TOOL = "kallyai_wait"

MOST_KEPT = 16
"""Runs whose end is remembered, for whoever lost its answer; acts stand in the journal besides."""

LAST_WRITE = 6.0
"""Seconds that a run which is given up may take to end: longer than writing down what became of its act."""

_log = logging.getLogger(__name__)


class Run:
    """One run.

    Attributes:
        id: By which it is met again once it is kept: of its act, where it is one.
        command: What is run.
        is_kept: Something is being sent or changed, so that the run is not given up.
        is_tracked: It runs in a task of its own, and can be met again.
        started: When, by the clock of the event loop.
    """

    def __init__(self, command: Command) -> None:
        self.id = ""
        self.command = command
        self.is_kept = False
        self.is_tracked = False
        self.started = anyio.current_time()
        self._result: Result | None = None
        self._error: BaseException | None = None

    @cached_property
    def done(self) -> anyio.Event:
        """Set once it has ended."""
        return anyio.Event()

    @cached_property
    def scope(self) -> anyio.CancelScope:
        """In which it runs."""
        return anyio.CancelScope()

    async def carry_out(self, work: Callable[[Run], Awaitable[Result]]) -> None:
        """Do the work, and keep what comes of it."""
        try:
            with self.scope:
                try:
                    self._result = await work(self)
                except Exception as error:  # noqa: BLE001 - handed to whoever waits, as it is
                    self._error = error
        finally:
            self.done.set()

    @property
    def failure(self) -> BaseException | None:
        """What it raised."""
        return self._error

    def end(self) -> Result:
        """Return what the run brought, or raise what it raised."""
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise _cut_off(self.command, self.id) if self.is_kept else _given_up(self.command)
        return self._result


class Underway:
    """The runs of one account in this process.

    Args:
        start: Runs something for as long as the program lives; without it every run is waited for to its end.
        allows: Whether the caller may run a tool.
    """

    def __init__(self, start: Start | None = None, allows: Allows = everything) -> None:
        self._start = start
        self._allows = allows
        self._runs: OrderedDict[str, Run] = OrderedDict()

    @property
    def is_busy(self) -> bool:
        """Whether a run that was kept has not ended."""
        return any(not run.done.is_set() for run in self._runs.values())

    async def run(
        self,
        command: Command,
        work: Callable[[Run], Awaitable[Result]],
        until: float | None,
        progress: Callable[[float, str], Awaitable[None]] | None,
    ) -> Result:
        """Run something and return its result, or how to wait for it.

        Args:
            command: What is run.
            work: Does it; marks with `keep` what must not be given up.
            until: When the answer is due, by the clock of the event loop; without it whenever it comes.
            progress: Told now and then that the run goes on.

        Raises:
            TransportError: The time was over before anything was sent.
            KallyError: What the run itself raises.
        """
        run = Run(command)
        if until is None or self._start is None:
            return await reporting(work(run), progress, command)
        if command.effect is Effect.READ and not command.is_recorded:  # nothing of it could be kept
            with anyio.CancelScope(deadline=until):
                return await reporting(work(run), progress, command)
            raise _slow(command)
        run.is_tracked = True
        self._start(lambda: run.carry_out(work))
        try:
            await self._meet(run, until, progress)
        except BaseException:
            run.scope.cancel()  # a host that calls a run off wants its connection closed (MCP, cancellation)
            self._runs.pop(run.id, None)  # what became of an act stands in the journal
            raise
        if run.done.is_set() or run.is_kept:
            return await self.result(run, until, None)
        run.scope.cancel()
        with anyio.move_on_after(LAST_WRITE, shield=True):
            await run.done.wait()
        return run.end()

    def keep(self, run: Run, identifier: str | None = None) -> None:
        """Note that something is sent, so that the run goes on whoever waits for it."""
        run.id, run.is_kept = identifier or str(uuid.uuid4()), True
        if run.is_tracked and not run.scope.cancel_called:
            self._runs[run.id] = run
        ended = [number for number, other in self._runs.items() if other.done.is_set()]
        for number in ended[: max(0, len(ended) - MOST_KEPT)]:
            del self._runs[number]

    def find(self, identifier: str) -> Run | None:
        """Return a run of this process that was kept."""
        return self._runs.get(identifier)

    async def result(
        self, run: Run, until: float | None, progress: Callable[[float, str], Awaitable[None]] | None
    ) -> Result:
        """Return the result of a run once it is there, or how to wait for it further."""
        await self._meet(run, until, progress)
        return run.end() if run.done.is_set() else self._not_over(run)

    def _not_over(self, run: Run) -> Result:
        """Answer that a run goes on, and how its end is had."""
        seconds = anyio.current_time() - run.started
        facts, how = waiting(run.id, self._allows)
        also = {ACT: {"id": run.id, "outcome": "sent"}} if run.command.is_recorded else {}
        sentence = (
            f"{run.command.tool} is under way, {seconds:.0f} s so far. For its result {how}. "
            f"Do not run {run.command.tool} again for it."
        )
        return Body(data={}, facts={WAITING: facts} | also, notes=(sentence,)).result()

    async def _meet(
        self, run: Run, until: float | None, progress: Callable[[float, str], Awaitable[None]] | None
    ) -> None:
        if run.done.is_set():
            return
        with anyio.CancelScope(deadline=float("inf") if until is None else until):
            await reporting(run.done.wait(), progress, run.command)


def waiting(identifier: str, allows: Allows) -> tuple[dict[str, Any], str]:
    """Return how the end of something that goes on is had: for a program, and in a sentence."""
    if allows(TOOL):
        return {"id": identifier, "tool": TOOL, "arguments": {"id": identifier}}, f"run {TOOL} with id {identifier}"
    return {"id": identifier}, f"have the user look, {ELSEWHERE}; its id is {identifier}"


def _given_up(command: Command) -> TransportError:
    return TransportError(
        f"{command.tool} was not ready to be sent in the time that a call may take; nothing was sent.",
        code="timeout",
        next_step="Run it again.",
        retryable=True,
        details={"outcome": "not_sent"},
    )


def _slow(command: Command) -> TransportError:
    return TransportError(
        f"{command.tool} got no answer in the time that a call may take. It changes nothing.",
        code="timeout",
        next_step="Run it again.",
        retryable=True,
    )


def _cut_off(command: Command, identifier: str) -> TransportError:
    return TransportError(
        f"{command.tool} was cut off before its answer came; it may have been carried out.",
        code="outcome_unknown",
        next_step=f"Look with kallyai_acts what became of it, id {identifier}, before running it again.",
        details={"outcome": "unknown"},
    )


async def reporting(
    work: Awaitable[Any], progress: Callable[[float, str], Awaitable[None]] | None, command: Command
) -> Any:
    """Await something, reporting progress meanwhile."""
    if progress is None:
        return await work
    started = anyio.current_time()

    async def report() -> bool:
        await anyio.sleep(FIRST_REPORT)
        while True:
            seconds = anyio.current_time() - started
            try:
                await progress(round(seconds, 1), f"{command.name} is under way, {seconds:.0f} s so far")
            except Exception as error:  # noqa: BLE001 - whatever it is, the run it tells of must not be cut for it
                _log.info("Progress is no longer reported: %s", type(error).__name__)
                return False
            await anyio.sleep(NEXT_REPORTS)

    return await watched(work, report)
