"""States that were given out and are good for one use, known to every replica. Only their digests are kept."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kallyai_mcp.journal.storage import Storage, Transaction
    from kallyai_mcp.shared.sweeping import Sweeper

LIFETIME = 900.0
"""Seconds for which a person may think about one question."""

MOST = 1000
"""States of one account that may be outstanding; beyond, the oldest are forgotten."""

_GIVE = """
INSERT INTO outstanding (account, state, expires) VALUES (:account, :state, :expires) ON CONFLICT DO NOTHING
"""
_USE = "DELETE FROM outstanding WHERE account = :account AND state = :state AND expires > :now"
_TIDY = """
DELETE FROM outstanding WHERE account = :account AND (expires <= :now OR state IN (
    SELECT state FROM outstanding WHERE account = :account ORDER BY expires DESC LIMIT 1000000 OFFSET :most
))
"""


class SharedStates:
    """The outstanding states of one account.

    Args:
        storage: Where they are kept.
        account: Whose they are; a state of one account is unknown under another.
        sweeper: Removes what is over, of all accounts.
    """

    def __init__(self, storage: Storage, account: str, sweeper: Sweeper) -> None:
        self._storage = storage
        self._sweeper = sweeper
        self._account = account

    async def give(self, state: str) -> str:
        """Note a new state and return it.

        Raises:
            StorageAway: It cannot be noted for the moment.
        """

        def give(tx: Transaction) -> None:
            tx.run(_TIDY, account=self._account, now=tx.now, most=MOST - 1)
            tx.run(_GIVE, account=self._account, state=_digest(state), expires=tx.now + LIFETIME)

        await self._storage.write(give, of=self._account)
        await self._sweeper.at_times()
        return state

    async def use(self, state: str) -> bool:
        """Use a state up. Whether it was outstanding: of two requests with the same one, one learns that it was.

        Raises:
            StorageAway: That is not known for the moment; it counts as not used up.
        """

        def use(tx: Transaction) -> bool:
            return bool(tx.run(_USE, account=self._account, state=_digest(state), now=tx.now))

        return await self._storage.write(use, of=None)


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
