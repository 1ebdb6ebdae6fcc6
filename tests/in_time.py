"""How long something takes at its best: a busy machine makes anything late now and then, and nothing early."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROUNDS = 6


def in_time(limit: float, measure: Callable[[], float]) -> None:
    """Demand that something takes less than `limit` seconds in one of several rounds; the first that does is the last.

    Args:
        limit: What is promised.
        measure: Plays a round, in which everything but the time must be as it should, and returns its seconds.
    """
    took = [measure()]
    while took[-1] >= limit:
        assert len(took) < ROUNDS, f"it never took less than {min(took):.2f} s"
        took.append(measure())


async def comes_in_time(limit: float, measure: Callable[[], Awaitable[float]]) -> None:
    """Demand the same of what is awaited."""
    took = [await measure()]
    while took[-1] >= limit:
        assert len(took) < ROUNDS, f"it never took less than {min(took):.2f} s"
        took.append(await measure())
