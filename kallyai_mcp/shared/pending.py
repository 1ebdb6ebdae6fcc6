"""The sign-in of a person that is under way: what any replica needs to go on with it, sealed, until it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.journal.storage import Storage, Transaction
    from kallyai_mcp.shared.keys import KeyRing
    from kallyai_mcp.shared.sweeping import Sweeper

KIND = "pending"
"""What is sealed, so that no row of another table opens here."""

_STORE = """
INSERT INTO pending (account, key_id, sealed, expires) VALUES (:account, :key_id, :sealed, :expires)
ON CONFLICT (account) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed, expires = excluded.expires
WHERE :anyway = 1 OR pending.expires <= :now
"""
_LOAD = "SELECT key_id, sealed FROM pending WHERE account = :account AND expires > :now"
_CLEAR = "DELETE FROM pending WHERE account = :account"


class Pending:
    """The sign-in of one account that is under way.

    Args:
        storage: Where it is kept.
        keys: What it is sealed with.
        account: Whose it is.
        sweeper: Removes what is over, of all accounts.
    """

    def __init__(self, storage: Storage, keys: KeyRing, account: str, sweeper: Sweeper) -> None:
        self._storage = storage
        self._sweeper = sweeper
        self._keys = keys
        self._account = account

    async def store(self, facts: Mapping[str, Any], lifetime: float, *, anyway: bool = True) -> bool:
        """Keep what a sign-in goes on with, for so many seconds. Whether it is kept.

        Args:
            facts: What to keep; anything that JSON can write.
            lifetime: Seconds.
            anyway: Whether it takes the place of one that is under way. Without it, of two that begin at the same
                time one is kept, and the other learns that it is not.

        Raises:
            StorageAway: It cannot be kept for the moment.
        """
        sealed = self._keys.seal(KIND, self._account, 0, json.dumps(dict(facts)).encode())

        def store(tx: Transaction) -> bool:
            return bool(
                tx.run(
                    _STORE,
                    account=self._account,
                    key_id=sealed.key_id,
                    sealed=sealed.text,
                    expires=tx.now + lifetime,
                    now=tx.now,
                    anyway=int(anyway),
                )
            )

        is_kept = await self._storage.write(store, of=None)
        await self._sweeper.at_times()
        return is_kept

    async def load(self) -> dict[str, Any] | None:
        """Return what was kept last; None where there is nothing, or its time is over.

        Raises:
            StorageAway: It cannot be read for the moment.
            InvalidSettings: It does not open with these keys ("vault_unusable").
        """
        row = await self._storage.read(lambda tx: tx.one(_LOAD, account=self._account, now=tx.now))
        if row is None:
            return None
        return cast("dict[str, Any]", json.loads(self._keys.open(KIND, self._account, 0, row["key_id"], row["sealed"])))

    async def clear(self) -> bool:
        """Forget it. Whether there was one: of two that end it, one learns that it did.

        Raises:
            StorageAway: It cannot be removed for the moment.
        """
        return bool(await self._storage.write(lambda tx: tx.run(_CLEAR, account=self._account), of=None))
