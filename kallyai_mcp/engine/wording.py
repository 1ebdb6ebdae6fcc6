"""Say an answer for a model: every fact once, in few characters, times in the user's zone.

    status: active
    created_at: 2026-03-02T10:15+01:00
    items (2): call_id | status | to
    c-1 | success | +12025550100
    c-2 | no_answer | +12025550102

A list of like entries is a table with the names of its fields as its head. Text stands as it is where nobody could take
it for anything else, otherwise as a text of JSON: so a value can neither add a line nor a column, and "5" is no 5.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any, cast

from kallyai_mcp.engine.cutting import compact

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})", re.ASCII
)
_NAME = re.compile(r"[^\W\d][\w-]{0,80}")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_WORDS = frozenset({"", "true", "false", "null"})
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_DEEPEST = 5
_EPOCH = range(1_000_000_000, 4_200_000_000)


@cache
def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def worded(data: dict[str, Any], zone: str = "UTC") -> str:
    """Return an answer as a text for a model.

    Args:
        data: A JSON object.
        zone: IANA zone of the user.
    """
    return "\n".join(_Speaker(_zone(zone)).fields(data, 0)) or "{}"


class _Speaker:
    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def fields(self, data: dict[str, Any], depth: int) -> list[str]:
        lines: list[str] = []
        for key, value in data.items():
            name = _name(key)
            if isinstance(value, dict) and value and depth < _DEEPEST:
                below = self.fields(cast("dict[str, Any]", value), depth + 1)
                lines += [f"{name}:", *(f" {line}" for line in below)]
            elif isinstance(value, list) and any(isinstance(item, dict | list) for item in cast("list[Any]", value)):
                lines += self._entries(name, cast("list[Any]", value), depth)
            else:
                lines.append(f"{name}: {self._value(key, value, '')}")
        return lines

    def _entries(self, name: str, entries: list[Any], depth: int) -> list[str]:
        head = f"{name} ({len(entries)}):"
        if depth >= _DEEPEST or not all(entry and isinstance(entry, dict) for entry in entries):
            return [f"{name}: {compact(entries)}"]
        rows = [_flat(entry) for entry in entries]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        is_table = all(not isinstance(value, dict) for row in rows for value in row.values())
        if is_table and sum(map(len, rows)) * 3 >= len(columns) * len(rows) * 2:
            return [
                f"{head} {' | '.join('.'.join(map(_name, column)) for column in columns)}",
                *(" | ".join(self._cell(row, column) for column in columns) for row in rows),
            ]
        lines = [head]
        for entry in entries:
            first, *others = self.fields(entry, depth + 1)
            lines += [f"- {first}", *(f"  {line}" for line in others)]
        return lines

    def _cell(self, row: dict[tuple[str, ...], Any], column: tuple[str, ...]) -> str:
        return self._value(column[-1], row[column], "|") if column in row else ""

    def _value(self, key: str, value: Any, separator: str) -> str:
        if isinstance(value, str):
            return self._text(key, value, separator)
        if isinstance(value, list):
            return self._list(key, cast("list[Any]", value), separator)
        if isinstance(value, int) and key.endswith("_at") and value in _EPOCH:
            return datetime.fromtimestamp(value, self._zone).isoformat()
        if type(value) is int or type(value) is float:
            return repr(value)  # as JSON has it: none is infinite here
        return compact(value)

    def _list(self, key: str, items: list[Any], separator: str) -> str:
        if separator or any(isinstance(item, dict | list) for item in items):
            return compact(items)
        return (
            f"[{', '.join(self._text(key, item, ',') if isinstance(item, str) else compact(item) for item in items)}]"
        )

    def _text(self, key: str, text: str, separator: str) -> str:
        if _TIME.fullmatch(text):
            return self._time(text)
        if _NUMBER.fullmatch(text):
            return text if "credits" in key else compact(text)
        if (
            text in _WORDS
            or text[0] in ' "[{-'
            or text[-1] == " "
            or (separator and separator in text)
            or _BREAKS.search(text)
        ):
            return compact(text)
        return text

    def _time(self, text: str) -> str:
        try:
            moment = datetime.fromisoformat(text).astimezone(self._zone)
        except (ValueError, OverflowError):
            return text
        return moment.isoformat(timespec="auto" if moment.second or moment.microsecond else "minutes")


def _name(key: str) -> str:
    return key if _NAME.fullmatch(key) else compact(key)


def _flat(entry: dict[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return the fields of an entry by their paths. What is within that is no plain value stays an object."""
    flat: dict[tuple[str, ...], Any] = {}
    for key, value in entry.items():
        path = (*above, key)
        if isinstance(value, dict) and value and len(path) < 3:
            flat |= _flat(cast("dict[str, Any]", value), path)
        elif isinstance(value, list) and any(isinstance(item, dict | list) for item in cast("list[Any]", value)):
            flat[path] = {}
        else:
            flat[path] = value
    return flat
