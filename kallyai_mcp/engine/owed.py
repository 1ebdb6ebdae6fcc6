"""The ends of acts that could not be written down: tried again with the next act, and beside it where that may help."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kallyai_mcp.errors import ActRefused, KallyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from kallyai_mcp.model.records import Act

PAUSE = 1.0
LONGEST_PAUSE = 5.0
"""Seconds between two tries; a database that is back is written to within so long."""

_log = logging.getLogger(__name__)


class Owed:
    """What one account's journal is still to be told.

    Args:
        start: Runs something beside everything else, for as long as the program lives.
        sleep: Waits.
    """

    def __init__(
        self,
        start: Callable[[Callable[[], Coroutine[None, None, None]]], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._start = start
        self._sleep = sleep
        self._ends: dict[str, Callable[[], Awaitable[Act]]] = {}
        self._is_trying = False

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, identifier: str, end: Callable[[], Awaitable[Act]], *, again: bool) -> None:
        """Remember how the end of an act is written down; with `again`, try so in the background."""
        self._ends[identifier] = end
        if again and not self._is_trying:
            self._is_trying = True
            self._start(self._try)

    async def write(self) -> None:
        """Write down all that is owed.

        Raises:
            KallyError: The journal cannot be used.
        """
        for identifier, end in list(self._ends.items()):
            try:
                await end()
            except ActRefused as problem:  # the journal was moved away
                _log.warning("The end of act %s is not written down: %s", identifier, problem.message)
            self._ends.pop(identifier, None)

    async def _try(self) -> None:
        pause = PAUSE
        try:
            while self._ends:
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                try:
                    await self.write()
                except KallyError as problem:
                    _log.debug("The ends of %d acts are still owed: %s", len(self._ends), problem.message)
        finally:
            self._is_trying = False
