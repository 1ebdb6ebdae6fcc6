"""Who is in the user's contacts: read from the service, kept for a moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.policy import of_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kallyai_mcp.engine.reader import Reader

LIST = "inbound contacts"
OWN = ("phone list", "channels email-list")
KEPT = 30.0
"""Seconds for which a list that was read counts as the present one."""

_NUMBERS = ("phone_number", "phone", "number", "email", "email_address")
"""Fields of a contact that say how to reach it; the API documents none, so all that occur are tried."""


class Contacts:
    """Names by normalised number or address.

    Args:
        reader: Reads the list.
        clock: Monotonic seconds.
    """

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._names: dict[str, str] = {}
        self._until = 0.0
        self._own: frozenset[str] | None = None

    async def names(self, *, fresh: bool = False) -> dict[str, str] | None:
        """Return who is known; None where the list could not be read, so that nobody counts as known."""
        if not fresh and self._clock() < self._until:
            return self._names
        answer = await self._reader.read(LIST, {})
        if answer is None:
            return None
        # The entries themselves only: a number that stands within one may be that of whoever called last.
        lists = [cast("list[Any]", value) for value in answer.values() if isinstance(value, list)]
        entries = [cast("dict[str, Any]", entry) for found in lists for entry in found if isinstance(entry, dict)]
        self._names = dict(pair for entry in entries for pair in _own(entry))
        self._until = self._clock() + KEPT
        return self._names

    async def own(self) -> frozenset[str]:
        """Return the user's own numbers and addresses, as far as they can be read."""
        if self._own is None:
            answers = [await self._reader.read(name, {}) for name in OWN]
            self._own = frozenset[str]().union(*(reached_in(answer) for answer in answers if answer is not None))
        return self._own

    def forget(self) -> None:
        """Read the list anew when it is next needed: it was changed."""
        self._until = 0.0


def reached_in(value: Any) -> frozenset[str]:
    """Return every number and address that stands in a field for one, wherever it is in an answer."""
    return frozenset(number for number, _ in _entries(value))


def _entries(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _entries(item)
    elif isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        yield from _own(fields)
        for inner in fields.values():
            if isinstance(inner, dict | list):
                yield from _entries(inner)


def _own(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in _NUMBERS:
        if isinstance(text := fields.get(name), str) and (found := of_value(name, text, "contact")) is not None:
            yield found.value, str(fields.get("name") or "")
