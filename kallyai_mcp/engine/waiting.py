"""Wait for what goes on at the service or in this program, and return its result. It only reads, as often as it is run.

a run of this process ──► its end        an act in the journal ──► its answer, and the call that it placed
any other identifier ──► the call, goal, outreach task or action that has it, until it is over
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import anyio

from kallyai_mcp.catalog import by_tool, by_words
from kallyai_mcp.commands.calls import ENDED
from kallyai_mcp.engine.more import Source
from kallyai_mcp.engine.result import Result
from kallyai_mcp.engine.strangers import ORIGIN
from kallyai_mcp.engine.underway import TOOL, WAITING, reporting, waiting
from kallyai_mcp.errors import ApiError, InvalidArguments, KallyError, Problem, SignInRequired, TransportError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kallyai_mcp.engine.past import Past
    from kallyai_mcp.engine.underway import Run, Underway
    from kallyai_mcp.model import Command

    Read = Callable[[Command, Mapping[str, Any]], Awaitable[Result]]
    Finish = Callable[[Result, Source], Result]
    Progress = Callable[[float, str], Awaitable[None]]
    Target = tuple[Command, dict[str, Any], frozenset[str]]

PAUSES = (0.5, 1.0, 2.0, 3.0, 5.0)
"""Seconds between one look and the next; the last again and again."""

_HELD_STEPS = frozenset({"waiting_for_approval", "needs_input", "failed"})
_OVER: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("calls info", "call_id", frozenset(ENDED)),
    ("coord goal", "goal_id", frozenset({"completed", "cancelled", "archived", "failed", "needs_input"})),
    ("outreach task", "task_id", frozenset({"completed", "failed", "cancelled"})),
)
"""What an identifier may stand for: how it is read, and the states in which it goes no further by itself."""

_LOG = "actions log"
_GOING_ON = frozenset({"pending", "in_progress", "queued", "scheduled", "sending"})
_ABSENT = frozenset({400, 404, 422})
"""Statuses of an identifier of another kind."""


class Waiting:
    """Waits, for one account.

    Args:
        read: Runs a command that reads, and returns all of its answer.
        underway: The runs of this process.
        past: The acts of all processes; None where nothing is recorded.
        mark: Notes that strangers' words of a command's answer are handed over.
        allows: Whether a tool may be run; what only others could read is not there.
    """

    def __init__(
        self,
        read: Read,
        underway: Underway,
        past: Callable[[], Past] | None,
        mark: Callable[[Command], Awaitable[None]],
        allows: Callable[[str], bool],
    ) -> None:
        self._read = read
        self._underway = underway
        self._past = past
        self._mark = mark
        self._allows = allows

    async def wait(self, identifier: str, until: float | None, progress: Progress | None, finish: Finish) -> Result:
        """Return the result of what has this identifier once it is over, or as it stands when the time is.

        Args:
            identifier: What to wait for.
            until: Until when, by the clock of the event loop.
            progress: Told now and then that it goes on.
            finish: Makes of a result that may be too large one that is not.

        Raises:
            InvalidArguments: Nothing has it.
            KallyError: What the run that is waited for raised, or the service cannot be read.
        """
        if (run := self._underway.find(identifier)) is not None and not await self._is_settled(run):
            result = await self._underway.result(run, until, progress)
            placed = _call_of(result)
            if WAITING in result.structured or placed is None:
                if ORIGIN in result.structured:  # its words may have come long before they are read
                    await self._mark(run.command)
                return result
            identifier = placed
        command = by_words()[("wait",)]
        return await reporting(self._follow(identifier, until, finish), progress, command)

    async def _is_settled(self, run: Run) -> bool:
        """Whether the journal tells more than what a run ended with before it was asked for.

        Raises:
            KallyError: It was not sent since nobody was signed in; that is for whoever ran it, not for who asks later.
        """
        error = run.failure if run.done.is_set() else None
        if not isinstance(error, KallyError):
            return False
        is_unknown = error.details.get("outcome") == "unknown"
        if not is_unknown and not isinstance(error, SignInRequired):
            return False
        if run.command.is_recorded and self._past is not None and await self._past().act(run.id) is not None:
            return True
        if is_unknown:
            return False
        raise KallyError(
            f"{run.command.tool} was not run: nobody was signed in then.",
            code=error.error_code,
            next_step=f"Run {run.command.tool} again.",
            retryable=True,
            details={"outcome": "not_sent"},
        )

    async def _follow(self, identifier: str, until: float | None, finish: Finish) -> Result:
        number = 0
        last: tuple[Result, Source | None] | None = None
        target: Target | None = None

        def finished(result: Result, source: Source | None) -> Result:
            return result if source is None else finish(result, source)

        while True:
            result, is_over, source = None, False, None
            with anyio.CancelScope(deadline=float("inf") if until is None else until) as looking:
                try:
                    if target is None:
                        result, is_over, source, target = await self._look(identifier)
                    else:
                        result, is_over, source = await self._at(target)
                except TransportError as error:
                    if not error.retryable or not _has_time(until, PAUSES[-1]):
                        raise
            if looking.cancelled_caught and last is None:
                raise TransportError(
                    "The service did not answer in the time that a call may take.",
                    code="timeout",
                    next_step=f"Run {TOOL} again with the same id.",
                    retryable=True,
                )
            last = last if result is None else (result, source)
            if is_over and result is not None:
                return finished(result, source)
            pause = PAUSES[min(number, len(PAUSES) - 1)]
            number += 1
            if not _has_time(until, pause):
                if last is not None:
                    return finished(self._still(last[0], identifier), last[1])
                pause = 0.0
            await anyio.sleep(pause)

    async def _look(self, identifier: str) -> tuple[Result, bool, Source | None, Target | None]:
        """Find out what an identifier stands for.

        Returns:
            It, whether it is over, where all of it can be had again, and how to look at it once more.
        """
        past = None if self._past is None else self._past()
        if past is not None and (act := await past.act(identifier)) is not None:
            result = await past.result(act)
            if past.may_change(act):
                return result, False, None, None
            placed = _call_of(result)
            if placed is None:
                command = by_tool().get(act.draft.tool)
                source = None if command is None else Source(command, act.draft.arguments, act.id)
                return result, True, source, None
            identifier = placed
        for words, name, states in _OVER:
            target = (by_words()[tuple(words.split())], {name: identifier}, states)
            if not self._allows(target[0].tool):
                continue
            try:
                return *await self._at(target), target
            except InvalidArguments:
                break
            except ApiError as error:
                if error.http_status not in _ABSENT:
                    raise
        return await self._logged(identifier)

    async def _at(self, target: Target) -> tuple[Result, bool, Source]:
        command, arguments, states = target
        result = await self._read(command, arguments)
        data = result.structured
        steps = data.get("steps")
        held = isinstance(steps, list) and any(
            isinstance(step, dict) and cast("dict[str, Any]", step).get("status") in _HELD_STEPS
            for step in cast("list[Any]", steps)
        )
        is_over = data.get("status") in states or held or "status" not in data
        return result, is_over, Source(command, arguments)

    def _still(self, result: Result, identifier: str) -> Result:
        facts, how = waiting(identifier, self._allows)
        return result.with_facts({WAITING: facts}, after=(f"It is not over yet. To go on waiting {how}.",))

    async def _logged(self, identifier: str) -> tuple[Result, bool, None, None]:
        """Look for a booking or another action in the log, the only place where the service shows one."""
        command = by_words()[tuple(_LOG.split())]
        result = await self._read(command, {"limit": 100}) if self._allows(command.tool) else Result({}, "")
        data = result.structured if result.body is None else result.body.data
        for entry in cast("list[Any]", data.get("actions") or []):
            if isinstance(entry, dict) and identifier in cast("dict[str, Any]", entry).values() and result.body:
                found = cast("dict[str, Any]", entry)
                return replace(result.body, data=found).result(), found.get("status") not in _GOING_ON, None, None
        raise InvalidArguments(
            TOOL,
            [
                Problem(
                    "id", "must be the id of an act, a call, a goal, an outreach task or a logged action; none has it."
                )
            ],
        )


def _has_time(until: float | None, seconds: float) -> bool:
    return until is None or anyio.current_time() + seconds < until


def _call_of(result: Result) -> str | None:
    """Return the call that a result says goes on."""
    call, status = result.structured.get("call_id"), result.structured.get("status")
    return call if isinstance(call, str) and isinstance(status, str) and status not in ENDED else None
