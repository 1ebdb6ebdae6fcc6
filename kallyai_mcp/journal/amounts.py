"""Credits as whole numbers, so that sums are exact: one credit is ten thousand parts."""

from __future__ import annotations

import math

PARTS = 10_000
_MOST = 10**15
"""More than any limit can be; larger amounts count as this much."""


def to_parts(credits: float) -> int:  # noqa: A002 - the word is the unit
    """Return credits as parts. What is no number counts as more than any limit, a negative amount as nothing."""
    if math.isnan(credits):
        return _MOST
    return round(min(max(credits, 0.0), _MOST / PARTS) * PARTS)


def to_credits(parts: int) -> float:
    """Return parts as credits."""
    return parts / PARTS


def charge_to_parts(charged: float | None) -> int | None:
    """Return what a service says it has charged; None, so that the reserve stays, where that cannot be true."""
    if charged is None or not math.isfinite(charged) or charged < 0:
        return None
    return to_parts(charged)
