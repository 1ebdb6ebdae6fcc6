"""The ground of the journal: one database, closed once, forgetting at times, and telling what has changed."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from kallyai_mcp.errors import KallyError
from kallyai_mcp.journal import acts, approvals, settling
from kallyai_mcp.journal.database import Database
from kallyai_mcp.journal.storage import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from kallyai_mcp.journal.storage import Storage, Transaction

KEPT = 72 * 3600.0
"""Seconds after its end for which the arguments and the answer of an act are kept, and after theirs the questions."""

FORGETS_EVERY = 3600.0
BUSY = 10.0
_FORGETTING = "forgetting"
"""In whose name is forgotten, of all accounts: one process at a time."""

STOP = "stop"
"""Topic of a change of the stop."""

APPROVALS = "approvals"
"""Topic of a decision."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Hints(Protocol):
    """Tells other processes that something has changed. It may fail, and may be missed."""

    async def publish(self, account: str, topic: str) -> None:
        """Tell it."""
        ...

    async def wait(self, account: str, topic: str, longest: float) -> bool:
        """Wait until it was told, but not longer than so many seconds."""
        ...


class Keeping:
    """What every method of a journal needs: its database, what it still owes to it, and who is told of changes.

    Args:
        folder: Where the database is; made if it is missing. Or a database that others use, too.
        clock: Seconds since the epoch.
        busy: Seconds to wait for another process that is writing.
        changes: Who is told of what changes, and tells what others have changed.
    """

    def __init__(
        self,
        folder: Path | Storage,
        *,
        clock: Callable[[], float] = time.time,
        busy: float = BUSY,
        changes: Hints | None = None,
    ) -> None:
        self._database: Storage = Database(folder, clock=clock, busy=busy) if isinstance(folder, Path) else folder
        self._is_common = not isinstance(folder, Path)
        self._clock = clock
        self._changes = changes
        self._forgot: float | None = None
        self._unbegun: dict[str, str] = {}
        """Acts of which it is not known whether they were recorded, each with its account."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def path(self) -> Path | str:
        """Where the database is."""
        return self._database.path

    @property
    def is_common(self) -> bool:
        """Whether other parts of this process use its database, too, and close it."""
        return self._is_common

    @property
    def is_shared(self) -> bool:
        """Whether servers on other machines act on what is in it, too."""
        return self._database.is_shared

    async def aclose(self) -> None:
        """Close the database. What this process has under way counts as left behind from here on."""
        await self._database.aclose()

    async def forget(self) -> None:
        """Clear what was asked and answered in acts that ended three days ago, and questions as old. Receipts stay."""

        def forget(tx: Transaction) -> None:
            acts.forget(tx, tx.now - KEPT)
            approvals.forget(tx, tx.now - KEPT)

        await self._database.write(forget, of=_FORGETTING)

    async def _write(self, account: str, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        owed = {identifier: whose for identifier, whose in self._unbegun.items() if account in (whose, EVERYBODY)}

        def whole(tx: Transaction) -> T:
            for identifier, whose in owed.items():
                settling.settle_unbegun(tx, whose, identifier)
            return work(tx)

        done = await self._database.write(whole if owed else work, of=account, durable=durable)
        for identifier in owed:
            self._unbegun.pop(identifier, None)
        return done

    async def _tell(self, account: str, topic: str) -> None:
        if self._changes is None:
            return
        try:
            await self._changes.publish(account, topic)
        except KallyError as error:  # a hint: what was written holds without it
            _log.debug("Others were not told of a change: %s", error.message)

    async def _forget_at_times(self) -> None:
        now = self._clock()
        if self._forgot is None or not 0 <= now - self._forgot < FORGETS_EVERY:
            await self.forget()
            self._forgot = now
