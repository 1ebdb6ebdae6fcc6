"""Destinations for receipts: enough to recognise one's own act, not enough to reach anybody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kallyai_mcp.policy import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kallyai_mcp.policy.destinations import Destination

_HIDDEN = "\u2022\u2022\u2022"
_LAST = 4
"""Digits at the end that stay legible, of a number that has twice as many."""


def masked(destinations: Iterable[Destination]) -> str:
    """Return who was contacted or is to be called back, each once; empty where the act names nobody."""
    reached = (spot for spot in destinations if spot.role != "mentioned")
    return ", ".join(dict.fromkeys(map(_masked, reached)))


def _masked(spot: Destination) -> str:
    if spot.kind == "mail":
        local, _, domain = spot.value.rpartition("@")
        return f"{local[:1]}{_HIDDEN}@{domain}"
    if spot.kind == "handle":
        return re.sub(r"(?<=\w).*", _HIDDEN, spot.value, count=1, flags=re.DOTALL) or _HIDDEN
    code = numbers.country_code(spot.value)
    rest = spot.value.removeprefix(code).lstrip("+")
    return f"{code}{_HIDDEN}{rest[-_LAST:] if len(rest) >= 2 * _LAST else ''}"
