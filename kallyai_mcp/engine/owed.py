"""The ends of acts that could not be written down: tried again in the background, and before acts are looked at."""

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

    def add(self, identifier: str, end: Callable[[], Awaitable[Act]]) -> None:
        """Remember how the end of an act is written down, and try so in the background until it is."""
        self._ends[identifier] = end
        if not self._is_trying:
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
            if self._ends.get(identifier) is end:
                del self._ends[identifier]

    async def try_to_write(self) -> None:
        """Write down all that is owed, if the journal can be used; it is tried again otherwise."""
        try:
            await self.write()
        except KallyError as problem:
            _log.debug("The ends of %d acts are still owed: %s", len(self._ends), problem.message)

    async def _try(self) -> None:
        pause = PAUSE
        try:
            while self._ends:
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                await self.try_to_write()
        except Exception as error:  # noqa: BLE001 - beside everything else: what fails here must not end the program
            _log.warning("The ends of %d acts are written down with the next act: %s", len(self._ends), error)
        finally:
            self._is_trying = False
