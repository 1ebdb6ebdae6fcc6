"""How often somebody may do something, counted once for all replicas.

It is the generic cell rate algorithm (ITU-T I.371): one number for each account and kind, the moment at which all that
was taken so far is paid off. So a whole span's worth may be taken at once, and one more whenever a share has passed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.journal.storage import Storage, Transaction
    from kallyai_mcp.shared.sweeping import Sweeper

_TAKE = """
INSERT INTO rate (account, name, due) VALUES (:account, :name, :now + :share)
ON CONFLICT (account, name) DO UPDATE
SET due = :share + CASE WHEN rate.due > :now THEN rate.due ELSE :now END
WHERE rate.due <= :now + :span - :share
"""
_DUE = "SELECT due FROM rate WHERE account = :account AND name = :name"
_SLACK = 1e-6
"""Seconds by which sums of shares may differ from the span they make up."""

_TIDIED_AT = 1000
"""Numbers of one process beyond which those that are paid off are forgotten."""


class Rates:
    """Counts for all accounts.

    Args:
        storage: Where the counts are kept.
        sweeper: Removes what is over.
    """

    def __init__(self, storage: Storage, sweeper: Sweeper) -> None:
        self._storage = storage
        self._sweeper = sweeper

    async def take(self, account: str, name: str, most: int, span: float) -> float:
        """Take one of so many in a span of seconds. 0 where that is allowed; else the seconds until it would be.

        Exact whoever else takes at the same time. What was taken may be forgotten by a power failure.

        Args:
            account: Who does it.
            name: What, such as "runs" or "sign_ins".
            most: How many in a span, at least 1.
            span: Seconds.

        Raises:
            StorageAway: It cannot be counted for the moment ("storage_away"); what then is allowed is the caller's to
                decide.
            ValueError: `most` or `span` is too small.
        """
        if most < 1 or span <= 0:
            raise ValueError("nothing could ever be taken")
        share = span / most

        def take(tx: Transaction) -> float:
            given = {"account": account, "name": name}
            if tx.run(_TAKE, now=tx.now, share=share, span=span + _SLACK, **given):
                return 0.0
            row = tx.one(_DUE, **given)
            return 0.0 if row is None else max(row["due"] - tx.now - span + share, _SLACK)

        wait = await self._storage.write(take, of=None, durable=False)
        await self._sweeper.at_times()
        return wait


class OwnRates:
    """The same, counted by one process for itself: for the time in which the others cannot be reached.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or time.monotonic
        self._due: dict[tuple[str, str], float] = {}
        self._tidied_at = _TIDIED_AT

    def __len__(self) -> int:
        return len(self._due)

    def take(self, account: str, name: str, most: int, span: float) -> float:
        """Take one of so many in a span of seconds. 0 where that is allowed; else the seconds until it would be."""
        now, share, key = self._clock(), span / most, (account, name)
        due = max(now, self._due.get(key, now))
        if due > now + span + _SLACK - share:
            return max(due - now - span + share, _SLACK)
        self._due[key] = due + share
        if len(self._due) > self._tidied_at:
            self._due = {key: due for key, due in self._due.items() if due > now}
            self._tidied_at = max(_TIDIED_AT, 2 * len(self._due))
        return 0.0
