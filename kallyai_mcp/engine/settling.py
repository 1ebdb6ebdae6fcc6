"""Find out what became of acts whose answer was lost, by reading where the service tells of them."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.catalog import by_tool
from kallyai_mcp.engine.outcome import charge_of, is_over
from kallyai_mcp.engine.owed import Owed
from kallyai_mcp.errors import KallyError
from kallyai_mcp.model import State
from kallyai_mcp.model.acts import UNDER_WAY
from kallyai_mcp.model.looking import entries, given, judge, see

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from kallyai_mcp.engine.reader import Reader
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model import Command
    from kallyai_mcp.model.acts import Look
    from kallyai_mcp.model.looking import Entry
    from kallyai_mcp.model.records import Act

LOOKS_AFTER = (1.0, 4.0, 15.0, 45.0, 115.0, 120.0)
"""Seconds between one look and the next, the first after the answer was lost."""

SEARCHED_FOR = sum(LOOKS_AFTER)
"""Seconds for which it is looked for: as long as the service may take for what takes longest, a call (the vendor's
command line waits 300 s for it)."""

LONGEST_RUN = 900.0
"""Seconds after which what was sent has ended, in whatever process; no request may take longer than 600."""

GIVEN_UP_AFTER = 60.0
"""Seconds after sending from which on an act that left no trace counts as not found."""

SKEW = 120.0
"""Seconds that the service's clock may be behind ours."""

_IDS = ("call_id", "id", "goal_id", "message_id", "booking_id")
_DAY = 86_400.0
_OPEN = frozenset({State.SENT, State.UNKNOWN, State.NOT_FOUND})

_log = logging.getLogger(__name__)


class Settler:
    """Looks acts up and settles their records.

    Args:
        reader: Reads at the service.
        journal: Where the acts are recorded.
        account: Whose they are.
        approval_mode: Stands in the receipts.
        is_sandbox: Whether the service is a sandbox, whose time is not ours.
        start: Runs something beside everything else, for as long as the program lives.
        clock: Seconds since the epoch.
        sleep: Waits.
    """

    def __init__(
        self,
        reader: Reader,
        journal: Journal,
        account: str,
        *,
        approval_mode: str,
        is_sandbox: Callable[[], bool],
        start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._reader = reader
        self._journal = journal
        self._account = account
        self._mode = approval_mode
        self._is_sandbox = is_sandbox
        self._start = start
        self._clock = clock
        self._sleep = sleep
        self._watched: set[str] = set()
        self.owed = Owed(start, sleep)
        """The ends of acts that could not be written down."""

    def watch(self, act: Act) -> None:
        """Look for an act again and again in the background, until it is settled or left no trace for long."""
        if act.id not in self._watched:
            self._watched.add(act.id)
            self._start(lambda: self._watch(act))

    async def _watch(self, act: Act) -> None:
        try:
            for seconds in LOOKS_AFTER:
                await self._sleep(seconds)
                act = await self.look(act)
                if act.state is not State.UNKNOWN and not self.is_going_on(act):
                    return
        except Exception as error:  # noqa: BLE001 - beside everything else: what fails here must not end the program
            code = error.error_code if isinstance(error, KallyError) else type(error).__name__
            _log.warning("Act %s is not looked up any further: %s", act.id, code)
        finally:
            self._watched.discard(act.id)

    def may_change(self, act: Act) -> bool:
        """Whether an act may still end, or be found, by itself; where not, only people can tell what became of it."""
        command, now = by_tool().get(act.draft.tool), self._clock()
        if act.state is State.UNKNOWN:
            is_shown = command is not None and command.trace is not None
            return is_shown and now < (act.settled or act.created) + SEARCHED_FOR
        return act.state in UNDER_WAY and now < (act.sent or act.created) + LONGEST_RUN

    def is_going_on(self, act: Act) -> bool:
        """Whether an act was known to be done before it was over: what it brings and costs in the end is missing."""
        command = by_tool().get(act.draft.tool)
        if command is None or act.state is not State.DONE or act.charged is not None:
            return False
        return act.answer is not None and not is_over(command, act.answer)

    async def look_all(self) -> list[Act]:
        """Look once for every act of the last day of which more may be known by now; return them as they are then."""
        since = self._clock() - _DAY
        found = await self._journal.acts(self._account, states={State.UNKNOWN, State.NOT_FOUND}, since=since)
        done = await self._journal.acts(self._account, states={State.DONE}, since=since)
        return [await self.look(act) for act in (*found, *filter(self.is_going_on, done))]

    async def look(self, act: Act) -> Act:
        """Look once for an act and settle it if it is found, or is over by now; return it as it is now.

        Raises:
            KallyError: The journal cannot be used.
        """
        command = by_tool().get(act.draft.tool)
        if command is None or (look := command.trace) is None:
            return act
        if self._clock() - act.created > _DAY:
            return act  # by then its arguments may be forgotten, and anything would look like it
        answer = await self._reader.read(look.command, given(look, act.draft.arguments))
        if answer is None:
            return act
        if act.state is State.DONE:
            return await self._charge(act, command, entries(look, answer))
        since = None if self._is_sandbox() else moment_of(act)
        claimed = set[str]() if _names_it(look) else await self._claimed(act)
        free = [entry for entry in entries(look, answer) if not claimed & ids_of(entry)]
        sight = see(look, answer, act.draft.arguments, since, is_other=lambda entry: entry not in free)
        fitting = [entry for entry in free if judge(look, entry, act.draft.arguments, since)]
        if sight.happened and fitting and await self._may_be_anothers(act, look, fitting):
            return act
        if sight.happened:
            found = set[str]() if _names_it(look) else ids_of(sight.entry or {})
            return await self._settle(
                act,
                State.DONE,
                answer=sight.entry,
                charged=charge_of(command, sight.entry),
                note=f"found afterwards with {look.command}",
                # Whoever looks for an equal act at the same moment, in whatever process, has found the same entry.
                unless=(lambda other: bool(found & ids_of(other.answer or {}))) if found else None,
            )
        is_late = self._clock() - (act.sent or act.created) >= GIVEN_UP_AFTER
        if sight.happened is False and is_late and act.state is State.UNKNOWN:
            return await self._settle(act, State.NOT_FOUND, note=f"no trace of it with {look.command}")
        return act

    async def _charge(self, act: Act, command: Command, shown: list[Entry]) -> Act:
        known = ids_of(act.answer or {})
        entry = next((entry for entry in shown if known & ids_of(entry)), None)
        if entry is None or not self.is_going_on(act) or not is_over(command, entry):
            return act
        charged = charge_of(command, entry)
        return await self._journal.charge(
            self._account, act.id, answer=entry, charged=charged, approval_mode=self._mode
        )

    async def _settle(self, act: Act, state: State, unless: Callable[[Act], bool] | None = None, **facts: Any) -> Act:
        return await self._journal.settle(
            self._account, act.id, state, approval_mode=self._mode, unless=unless, **facts
        )

    async def _may_be_anothers(self, act: Act, look: Look, fitting: list[Entry]) -> bool:
        """Whether what was found fits other acts as well, so that it says nothing of this one.

        That is so of those of which nobody knows either, and of those that were done without a word by which their own
        entry could be told: as many of the entries are theirs.
        """
        since = (act.sent or act.created) - _DAY
        listed = await self._journal.acts(self._account, states=_OPEN | {State.DONE}, since=since, limit=500)
        others = [
            other
            for other in listed
            if other.id != act.id
            and other.draft.tool == act.draft.tool
            and judge(look, fitting[0], other.draft.arguments, None if self._is_sandbox() else moment_of(other))
        ]
        if any(other.state in _OPEN and other.draft.digest != act.draft.digest for other in others):
            return True
        if _names_it(look):
            return False
        unnamed = [other for other in others if other.state is State.DONE and not ids_of(other.answer or {})]
        return len(unnamed) >= len(fitting)

    async def _claimed(self, act: Act) -> set[str]:
        """Identifiers that belong to other acts: two equal ones must not be taken for each other."""
        since = (act.sent or act.created) - _DAY
        others = await self._journal.acts(self._account, states={State.DONE}, since=since, limit=500)
        return set[str]().union(*(ids_of(other.answer) for other in others if other.answer and other.id != act.id))


def _names_it(look: Look) -> bool:
    """Whether a look is for the very thing that the act was given, which may be another act's making, too."""
    return not look.entries or any(name in look.match for name in _IDS)


def moment_of(act: Act) -> datetime:
    """Return when an act was sent, less what the service's clock may be behind."""
    return datetime.fromtimestamp((act.sent or act.created) - SKEW, UTC)


def ids_of(entry: Mapping[str, Any]) -> set[str]:
    """Return the identifiers of what an entry or an answer tells of."""
    return {str(entry[name]) for name in _IDS if isinstance(entry.get(name), str | int)}
