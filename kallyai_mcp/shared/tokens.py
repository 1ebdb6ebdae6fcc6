"""The tokens of one account, sealed in the database: one row, its version counted up with each change.

Who refreshes holds the row. In PostgreSQL it is locked within a transaction (`SELECT … FOR UPDATE`), which ends with
its connection, or when nothing was done in it for 25 seconds; in a file it is a lock of the kernel. The first may be
lost while a process is paused, so that a write also names the version that it takes the place of. A sign-out leaves an
empty row: versions are never given twice.
"""

from __future__ import annotations

import json
import time
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, cast

from kallyai_mcp.auth.clock import SystemClock
from kallyai_mcp.auth.lock import LOCK_WAIT, locked
from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.auth.store import Stamp
from kallyai_mcp.errors import InvalidSettings, TransportError
from kallyai_mcp.journal.storage import StorageAway
from kallyai_mcp.shared.keys import VaultUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from kallyai_mcp.auth.clock import Clock
    from kallyai_mcp.journal.storage import Row, Storage, Transaction
    from kallyai_mcp.shared.keys import KeyRing

KIND = "tokens"
FOLDER = "vault"
FRESH = 1.0
"""Seconds for which what was read last is taken for what is there; a sign-out elsewhere is seen after so long."""

LONGEST_WAIT = 25.0
"""Seconds after which the lock of a process that is paused is free again, at the latest."""

_READ = "SELECT version, key_id, sealed, changed FROM token WHERE account = :account"
_PLACE = """
INSERT INTO token (account, version, key_id, sealed, changed) VALUES (:account, 0, '', '', :now)
ON CONFLICT (account) DO NOTHING
"""
_HOLD = "SELECT version, key_id, sealed, changed FROM token WHERE account = :account FOR UPDATE"
_WRITE = """
UPDATE token SET version = :version + 1, key_id = :key_id, sealed = :sealed, changed = :now
WHERE account = :account AND version = :version
"""


class SharedTokens:
    """A `TokenStore` in a database. What it reads is kept until the next `prepare`, or until the lock is taken.

    Args:
        storage: The database.
        keys: What the tokens are sealed with.
        account: Whose they are.
        folder: Where locks are, for a database that is a file.
        clock: For the wait for such a lock.
    """

    kind: ClassVar[str] = "vault"
    erases_unlocked: ClassVar[bool] = False

    def __init__(
        self, storage: Storage, keys: KeyRing, account: str, folder: Path | None, clock: Clock | None = None
    ) -> None:
        self._storage = storage
        self._keys = keys
        self._account = account
        self._folder = folder
        self._clock = clock or SystemClock()
        self._read_at: float | None = None
        self._row: tuple[int, str, str] = (0, "", "")
        self._changed = 0.0
        self._pair: TokenPair | None = None
        self._problem: VaultUnusable | None = None
        self._held: Callable[[Callable[[Transaction], int]], Any] | None = None

    @property
    def place(self) -> str:
        """What it is."""
        return "the vault of this server"

    @property
    def path(self) -> None:
        """There is no file."""

    def stamp(self) -> Stamp | None:
        """The version that was read last; None when nothing was ever kept."""
        version, key, sealed = self._row
        if not version:
            return None
        moment = int(self._changed * 1e9)
        return Stamp(moment, moment, version, len(sealed), 0, hash(key))

    async def prepare(self) -> None:
        """Read the row, unless that was done just now. While the database is away, what was read before goes on.

        Raises:
            VaultUnusable: It cannot be read, and never was.
        """
        if self._held is not None or (self._read_at is not None and time.monotonic() - self._read_at < FRESH):
            return
        try:
            row = await self._storage.read(lambda tx: tx.one(_READ, account=self._account))
        except InvalidSettings as error:
            if self._read_at is not None and isinstance(error, StorageAway):
                return
            raise _unusable(error) from None
        if self._held is None:  # else the lock was taken meanwhile, under which it was read again
            self._take(row)

    def read(self) -> TokenPair | None:
        """The tokens that were read last; None when there are none.

        Raises:
            VaultUnusable: They do not open.
        """
        if self._problem is not None:
            raise self._problem
        return self._pair

    async def write(self, pair: TokenPair) -> None:
        """Put new tokens in place of those that were read under the lock.

        Raises:
            VaultUnusable: The lock was lost and somebody else has changed them, or the database is away.
        """
        fields: dict[str, object] = {
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            "expires_at": int(pair.expires_at),
        }
        sealed = self._keys.seal(KIND, self._account, self._row[0] + 1, json.dumps(fields).encode())
        await self._change(sealed.key_id, sealed.text)

    async def erase(self) -> bool:
        """Remove the tokens. Whether there were any.

        Raises:
            VaultUnusable: As `write`.
        """
        if not self._row[2]:
            return False
        await self._change("", "")
        return True

    def require_replaceable(self) -> None:
        """Nothing; that the database is there was seen when the lock was taken."""

    @asynccontextmanager
    async def locked(self, wait: float = LOCK_WAIT) -> AsyncGenerator[None]:
        """Hold the row, and read it.

        Raises:
            TransportError: Somebody else held it all the time ("token_file_busy").
            VaultUnusable: The database is away.
        """
        async with self._lock(min(wait, LONGEST_WAIT)):
            try:
                yield
            finally:
                self._held = None

    def _lock(self, wait: float) -> AbstractAsyncContextManager[None]:
        return self._row_locked(wait) if self._folder is None else self._file_locked(self._folder, wait)

    @asynccontextmanager
    async def _row_locked(self, wait: float) -> AsyncGenerator[None]:
        from kallyai_mcp.journal.postgresql import Busy, PostgreSQL

        def claim(tx: Transaction) -> Row | None:
            tx.run(_PLACE, account=self._account, now=tx.now)
            return tx.one(_HOLD, account=self._account)

        holding = cast("PostgreSQL", self._storage).held(claim, wait=wait, idle=LONGEST_WAIT)
        try:
            row, finish = await holding.__aenter__()
        except Busy:
            raise _busy(wait) from None
        except InvalidSettings as error:
            raise _unusable(error) from None
        try:
            self._take(row)
            self._held = finish
            yield
        finally:
            self._held = None
            await holding.__aexit__(None, None, None)

    @asynccontextmanager
    async def _file_locked(self, folder: Path, wait: float) -> AsyncGenerator[None]:
        name = folder / FOLDER / f"{_file_name(self._account)}.lock"
        async with locked(name, self._clock, wait, remedy="Name a folder of a local disk with --state-dir."):
            try:
                row = await self._storage.read(lambda tx: tx.one(_READ, account=self._account))
                if row is None:
                    await self._storage.write(
                        lambda tx: tx.run(_PLACE, account=self._account, now=tx.now), of=self._account
                    )
            except InvalidSettings as error:
                raise _unusable(error) from None
            self._take(row)
            self._held = lambda work: self._storage.write(work, of=self._account)
            yield

    async def _change(self, key_id: str, sealed: str) -> None:
        assert self._held is not None, "the caller holds the lock"  # noqa: S101 - the contract of a store
        version = self._row[0]
        moment = 0.0

        def change(tx: Transaction) -> int:
            nonlocal moment
            moment = tx.now
            return tx.run(_WRITE, account=self._account, version=version, key_id=key_id, sealed=sealed, now=tx.now)

        try:
            changed = await self._held(change)
        except InvalidSettings as error:
            self._read_at = None
            raise _unusable(error) from None
        if not changed:
            self._read_at = None
            raise VaultUnusable(
                "The tokens were changed by another process while this one was not running; they are left as they are.",
                next_step="Run the tool again.",
                retryable=True,
            )
        self._taken(version + 1, key_id, sealed, moment)

    def _take(self, row: Row | None) -> None:
        if row is None:
            self._taken(0, "", "", 0.0)
        else:
            self._taken(row["version"], row["key_id"], row["sealed"], row["changed"])

    def _taken(self, version: int, key: str, sealed: str, changed: float) -> None:
        self._read_at = time.monotonic()
        if (version, key, sealed) == self._row and self._problem is None:
            return
        self._row, self._changed = (version, key, sealed), changed
        self._pair, self._problem = None, None
        if not sealed:
            return
        try:
            fields: dict[str, Any] = json.loads(self._keys.open(KIND, self._account, version, key, sealed))
        except VaultUnusable as problem:
            self._problem = problem
            return
        self._pair = TokenPair(
            fields["access_token"], fields["refresh_token"], float(fields["expires_at"]), written_at=changed
        )


def _file_name(account: str) -> str:
    from urllib.parse import quote

    return quote(account, safe="")


def _unusable(error: InvalidSettings) -> VaultUnusable:
    return VaultUnusable(error.message, next_step=error.next_step, retryable=error.retryable)


def _busy(wait: float) -> TransportError:
    return TransportError(
        f"Another process has held the tokens of this account for {wait:.0f} seconds.",
        code="token_file_busy",
        next_step="Try again in a moment.",
        retryable=True,
    )
