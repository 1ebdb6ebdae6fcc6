"""The states of runs that wait for a person, by kind. Those of a sign-in are each given once and used once."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

SIGN_IN = "sign_in:"
"""Beginning of the state of a run that waits for a sign-in."""

CONSENT = "consent:"
"""Beginning of the state of a run that waits for consent."""

LIFETIME = 900.0
"""Seconds for which a person may think about one question of a sign-in."""

MOST = 10_000
"""States that may be outstanding; beyond, the oldest is forgotten."""


class Outstanding(Protocol):
    """Remembers which states are outstanding, wherever that is; those of one account where several are served."""

    async def give(self, state: str) -> str:
        """Note a new state and return it.

        Raises:
            KallyError: It cannot be noted for the moment.
        """
        ...

    async def use(self, state: str) -> bool:
        """Use a state up. Whether it was outstanding: of two requests with the same one, one learns that it was.

        Raises:
            KallyError: That is not known for the moment.
        """
        ...


class States:
    """Remembers which states are outstanding, in this process.

    Sealing and binding are the SDK's (`RequestStateBoundary`); neither keeps a state from being sent twice. What is
    remembered are the unused states, since then a clock that is put back cannot make a used one good again.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: OrderedDict[str, float] = OrderedDict()

    async def give(self, state: str) -> str:
        """Note a new state and return it."""
        now = self._clock()
        while self._ends and (next(iter(self._ends.values())) <= now or len(self._ends) >= MOST):
            self._ends.popitem(last=False)
        self._ends[state] = now + LIFETIME
        return state

    async def use(self, state: str) -> bool:
        """Use a state up. Whether it was outstanding: of two requests with the same one, one learns that it was."""
        return self._ends.pop(state, -1.0) > self._clock()

    def __len__(self) -> int:
        return len(self._ends)
