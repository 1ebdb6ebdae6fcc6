"""The one object through which a server of many people reaches what its replicas share."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Self
from weakref import WeakValueDictionary

from kallyai_mcp.errors import InvalidSettings, KallyError
from kallyai_mcp.journal.database import Database
from kallyai_mcp.journal.journal import Journal
from kallyai_mcp.journal.keeping import BUSY
from kallyai_mcp.shared.changes import Changes
from kallyai_mcp.shared.pending import Pending
from kallyai_mcp.shared.rates import OwnRates, Rates
from kallyai_mcp.shared.states import SharedStates
from kallyai_mcp.shared.sweeping import Sweeper
from kallyai_mcp.shared.tokens import SharedTokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from kallyai_mcp.auth.clock import Clock
    from kallyai_mcp.auth.store import TokenStore
    from kallyai_mcp.journal.storage import Storage
    from kallyai_mcp.shared.keys import KeyRing


def account_of(issuer: str, subject: str) -> str:
    """Return the account of a person: a digest of who vouches for them, and of what they are called there."""
    return hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()


class Shared:
    """What the replicas share. Made by `open`; nothing is reached before the first use. Close it at the end.

    Every part takes the account, and nothing of one account is found under another. While PostgreSQL is away, all of
    it raises `StorageAway` (code "storage_away", retryable) within a few seconds, and works again within five of its
    return, without a restart. Tokens that were read before stay readable in this process meanwhile.

    Attributes:
        journal: Acts, consents, limits, mandates, the stop and receipts, of all accounts. Closing an account's parts
            must not close it.
        rates: How often somebody may do something.
        own_rates: The same, within this process alone, while the database is away.
        changes: What has changed, told to every replica.
    """

    def __init__(
        self, storage: Storage, keys: KeyRing, changes: Changes, journal: Journal, folder: Path | None
    ) -> None:
        self._storage = storage
        self._keys = keys
        self._folder = folder
        self.changes = changes
        self.journal = journal
        self._sweeper = Sweeper(storage)
        self.rates = Rates(storage, self._sweeper)
        self.own_rates = OwnRates()
        self._tokens: WeakValueDictionary[str, SharedTokens] = WeakValueDictionary()
        """Those in use; whoever uses one keeps it."""

    @classmethod
    def open(
        cls,
        url: str | None,
        keys: KeyRing,
        *,
        folder: Path | None = None,
        clock: Callable[[], float] | None = None,
        for_people: bool = True,
    ) -> Shared:
        """Make the object; nothing is connected yet.

        Args:
            url: Where PostgreSQL is, as libpq has it: `postgresql://user:password@host/name`. None for a file.
            keys: What tokens are sealed with.
            folder: Where the file is; needed without `url`.
            clock: Seconds since the epoch, for tests; the database's by default.
            for_people: Whether errors reach people whom it does not concern where the database is: they are told in
                general words, and the log has the rest.

        Raises:
            InvalidSettings: The address is none, or the extra `organisation` is not installed.
            ValueError: Neither address nor folder were given.
        """
        if url is not None:
            from kallyai_mcp.shared.changes import NotifiedChanges
            from kallyai_mcp.shared.operating import connected

            database = connected(url, clock=clock, for_people=for_people)
            changes: Changes = NotifiedChanges(database)
            return cls(database, keys, changes, Journal(database, changes=changes), None)
        if folder is None:
            raise ValueError("a file needs a folder")
        import time

        file = Database(folder, clock=clock or time.time, busy=BUSY)
        changes = Changes()
        return cls(file, keys, changes, Journal(file, changes=changes), folder)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def tokens(self, account: str, clock: Clock | None = None) -> TokenStore:
        """Return where the tokens of an account are kept, sealed; for `Session(file=…)`. One object while it is in use.

        A refresh holds the account's row locked, in PostgreSQL until its connection ends, so that one that dies frees
        it at once, and one that is paused for more than 25 seconds loses it; what it then writes is refused.
        """
        store = self._tokens.get(account)
        if store is None:
            store = self._tokens[account] = SharedTokens(self._storage, self._keys, account, self._folder, clock)
        return store

    def pending(self, account: str) -> Pending:
        """Return the sign-in of an account that waits for its person: whoever began it, any replica goes on with it."""
        return Pending(self._storage, self._keys, account, self._sweeper)

    def states(self, account: str) -> SharedStates:
        """Return the states of an account that were given out and are good for one use, on whichever replica."""
        return SharedStates(self._storage, account, self._sweeper)

    async def rotate(self) -> int:
        """Seal with the first key whatever another one has sealed; return how much that was. Servers may go on.

        Raises:
            VaultUnusable: Something was sealed with a key that is not in the ring.
        """
        from kallyai_mcp.shared.operating import rotate

        return await rotate(self._storage, self._keys)

    async def problems(self) -> list[KallyError]:
        """Return why this replica cannot serve at this moment; nothing where it can. For `/readyz`; looks each time."""
        try:
            await self._storage.read(lambda tx: tx.one("SELECT number FROM receipt_head WHERE one = 1"))
        except InvalidSettings as error:
            return [error]
        return []

    async def aclose(self) -> None:
        """Close everything. What this process has under way counts as left behind from here on."""
        await self.changes.aclose()
        await self._storage.aclose()


def common_journal(url: str) -> Journal:
    """Return the journal of an organisation's servers, for a terminal that watches over them; to be closed at the end.

    Raises:
        InvalidSettings: The address is none, or the extra `organisation` is not installed.
    """
    from kallyai_mcp.shared.changes import NotifiedChanges
    from kallyai_mcp.shared.operating import connected

    database = connected(url)
    return Journal(database, changes=NotifiedChanges(database))
