"""Rows whose time is over are removed now and then: a few at a time, by whichever process writes, on either engine."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from kallyai_mcp.errors import KallyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.journal.storage import Storage

EVERY = 300.0
"""Seconds between two sweeps of one process."""

AGAIN = 5.0
"""Seconds until the next one where there was more than one sweep takes."""

MOST = 500
"""Rows of one table that one sweep removes, so that nobody waits for it."""

SWEEPS = (
    """
    DELETE FROM outstanding WHERE expires <= :now AND (account, state) IN (
        SELECT account, state FROM outstanding WHERE expires <= :now ORDER BY expires LIMIT :most
    )
    """,
    """
    DELETE FROM pending WHERE expires <= :now AND account IN (
        SELECT account FROM pending WHERE expires <= :now ORDER BY expires LIMIT :most
    )
    """,
    """
    DELETE FROM rate WHERE due <= :now AND (account, name) IN (
        SELECT account, name FROM rate WHERE due <= :now ORDER BY due LIMIT :most
    )
    """,
)
"""States and sign-ins that nobody can use any more, and rates that are paid off: without a row they are the same."""

_log = logging.getLogger(__name__)


class Sweeper:
    """Sweeps when it is time for it.

    Args:
        storage: What is swept.
        clock: Monotonic seconds.
    """

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._due = clock()

    async def at_times(self) -> None:
        """Sweep, unless that was done lately; called after a write. It never fails: what is left is swept later."""
        if self._clock() < self._due:
            return
        self._due = self._clock() + EVERY  # before anything is awaited: one at a time
        try:
            for statement in SWEEPS:
                # Each in a transaction of its own: whoever holds rows of two tables could wait for another such one.
                removed = await self._storage.write(
                    lambda tx, statement=statement: tx.run(statement, now=tx.now, most=MOST), of=None, durable=False
                )
                if removed >= MOST:
                    self._due = self._clock() + AGAIN
        except KallyError as error:
            _log.debug("What is over was not swept: %s", error.message)
