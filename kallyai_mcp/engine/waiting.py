"""Wait for what goes on at the service or in this program, and return its result. It only reads, as often as it is run.

a run of this process ──► its end        an act in the journal ──► its answer, and the call that it placed
any other identifier ──► the call, goal, outreach task or action that has it, until it is over
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import anyio

from kallyai_mcp.catalog import by_words
from kallyai_mcp.commands.calls import ENDED
from kallyai_mcp.engine.past import OPEN
from kallyai_mcp.engine.result import Result
from kallyai_mcp.engine.strangers import ORIGIN
from kallyai_mcp.engine.underway import TOOL, WAITING, reporting
from kallyai_mcp.errors import ApiError, InvalidArguments, Problem, TransportError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kallyai_mcp.engine.past import Past
    from kallyai_mcp.engine.underway import Underway
    from kallyai_mcp.model import Command

    Read = Callable[[Command, Mapping[str, Any]], Awaitable[Result]]
    Progress = Callable[[float, str], Awaitable[None]]

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
        read: Runs a command that reads.
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

    async def wait(self, identifier: str, until: float | None, progress: Progress | None) -> Result:
        """Return the result of what has this identifier once it is over, or as it stands when the time is.

        Raises:
            InvalidArguments: Nothing has it.
            KallyError: What the run that is waited for raised, or the service cannot be read.
        """
        if (run := self._underway.find(identifier)) is not None:
            result = await self._underway.result(run, until, progress)
            placed = _call_of(result)
            if WAITING in result.structured or placed is None:
                if ORIGIN in result.structured:  # its words may have come long before they are read
                    await self._mark(run.command)
                return result
            identifier = placed
        command = by_words()[("wait",)]
        return await reporting(self._follow(identifier, until), progress, command)

    async def _follow(self, identifier: str, until: float | None) -> Result:
        number = 0
        last: Result | None = None
        target: tuple[Command, dict[str, Any], frozenset[str]] | None = None
        while True:
            result, is_over = None, False
            with anyio.CancelScope(deadline=float("inf") if until is None else until) as looking:
                try:
                    if target is None:
                        result, is_over, target = await self._look(identifier)
                    else:
                        result, is_over = await self._at(target)
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
            last = result or last
            if is_over and result is not None:
                return result
            pause = PAUSES[min(number, len(PAUSES) - 1)]
            number += 1
            if not _has_time(until, pause):
                if last is not None:
                    return _still(last, identifier)
                pause = 0.0
            await anyio.sleep(pause)

    async def _look(
        self, identifier: str
    ) -> tuple[Result, bool, tuple[Command, dict[str, Any], frozenset[str]] | None]:
        """Find out what an identifier stands for; return it, whether it is over, and how to look at it again."""
        past = None if self._past is None else self._past()
        if past is not None and (act := await past.act(identifier)) is not None:
            result = await past.result(act)
            if act.state in OPEN:
                return result, False, None
            placed = _call_of(result)
            if placed is None:
                return result, True, None
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

    async def _at(self, target: tuple[Command, dict[str, Any], frozenset[str]]) -> tuple[Result, bool]:
        command, arguments, states = target
        result = await self._read(command, arguments)
        data = result.structured
        steps = data.get("steps")
        held = isinstance(steps, list) and any(
            isinstance(step, dict) and cast("dict[str, Any]", step).get("status") in _HELD_STEPS
            for step in cast("list[Any]", steps)
        )
        return result, data.get("status") in states or held or "status" not in data

    async def _logged(self, identifier: str) -> tuple[Result, bool, None]:
        """Look for a booking or another action in the log, the only place where the service shows one."""
        command = by_words()[tuple(_LOG.split())]
        result = await self._read(command, {"limit": 100}) if self._allows(command.tool) else Result({}, "")
        data = result.structured if result.body is None else result.body.data
        for entry in cast("list[Any]", data.get("actions") or []):
            if isinstance(entry, dict) and identifier in cast("dict[str, Any]", entry).values() and result.body:
                found = cast("dict[str, Any]", entry)
                return replace(result.body, data=found).result(), found.get("status") not in _GOING_ON, None
        raise InvalidArguments(
            TOOL,
            [
                Problem(
                    "id", "must be the id of an act, a call, a goal, an outreach task or a logged action; none has it."
                )
            ],
        )


def _call_of(result: Result) -> str | None:
    """Return the call that a result says goes on."""
    call, status = result.structured.get("call_id"), result.structured.get("status")
    return call if isinstance(call, str) and isinstance(status, str) and status not in ENDED else None


def _has_time(until: float | None, seconds: float) -> bool:
    return until is None or anyio.current_time() + seconds < until


def _still(result: Result, identifier: str) -> Result:
    facts: dict[str, Any] = {WAITING: {"id": identifier, "tool": TOOL, "arguments": {"id": identifier}}}
    sentence = f"It is not over yet. To go on waiting run {TOOL} with id {identifier}."
    return result.with_facts(facts, after=(sentence,))
