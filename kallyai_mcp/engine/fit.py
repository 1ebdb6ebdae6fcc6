"""Keep an answer within what hosts take, and say what was left out."""

from __future__ import annotations

import json
import re
from typing import Any, cast

LIMIT = 40_000
"""Characters of compact JSON that an answer may have."""

CUT = "_cut"
"""Field of an answer that tells what was cut."""

_ADVICE = "Ask for less at once, with limit and offset where the tool has them."
_MOST_CUTS = 8
_LONGEST_NAME = 24
_NAME = re.compile(r"[A-Za-z0-9_-]+…?")
_LONGEST_PATH = 100
_SMALL = 64
"""Characters up to which a value is kept whole or left out with its name."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def fit(data: dict[str, Any], limit: int = LIMIT) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the answer within the limit, and one sentence for each part that was cut.

    Small facts stay whole, as do the first entries of a list; what is large shares the room that is left. What was cut
    is also told in the answer itself, under `_cut`. However large the answer, the work depends on the limit alone.
    """
    if _size(data, limit) <= limit:
        return data, ()
    cutter = _Cutter()
    # The sentences stand in the answer and once more before its text.
    fitted = cutter.fields(data, limit * 4 // 5, "")
    fitted[CUT] = [*cutter.sentences(), _ADVICE]
    return fitted, tuple(fitted[CUT])


def compact(value: Any) -> str:
    """Return a value as JSON without blanks."""
    return _ENCODER.encode(value)


def _size(value: Any, most: int) -> int:
    """Return the length as compact JSON, or any number beyond `most` as soon as it is longer than that."""
    if isinstance(value, str) and len(value) > most:
        return len(value)
    if not isinstance(value, dict | list):
        return len(compact(value))
    size = 0
    for part in _ENCODER.iterencode(value):
        size += len(part)
        if size > most:
            break
    return size


class _Cutter:
    def __init__(self) -> None:
        self._cuts: list[str] = []

    def sentences(self) -> list[str]:
        """Say what was cut, within bounds itself."""
        told, more = self._cuts[:_MOST_CUTS], len(self._cuts) - _MOST_CUTS
        return [*told, f"{more} more parts are cut."] if more > 0 else told

    def fields(self, value: dict[str, Any], room: int, path: str) -> dict[str, Any]:
        """Keep the first fields for which there is room, small values whole; the others share what is left."""
        fitted: dict[str, Any] = {}
        large: list[str] = []
        left = room - 2
        for name, part in value.items():
            if len(name) + 5 > left:
                continue
            size = _size(part, _SMALL)
            is_large = size > _SMALL and isinstance(part, dict | list | str)
            cost = _size(name, left) + 2 + (2 if is_large else size)  # colon, comma, and what is empty at the least
            if cost <= left:
                left -= cost
                fitted[name] = part
                if is_large:
                    large.append(name)
        if len(fitted) < len(value):
            self._note(path, len(fitted), len(value), "fields")
        share = left // max(1, len(large)) * 2 + 2
        large.sort(key=lambda name: _size(value[name], share))
        for number, name in enumerate(large):
            fitted[name] = self.value(value[name], left // (len(large) - number) + 2, _below(path, name))
            left -= _size(fitted[name], left + 2) - 2
        return fitted

    def entries(self, value: list[Any], room: int, path: str) -> list[Any]:
        """Keep the first entries; one that is larger than half the room is cut itself."""
        kept: list[Any] = []
        left = room - 2
        for index, entry in enumerate(value):
            size = _size(entry, left) + 1
            if size <= left:
                part = entry
            elif left * 2 >= room and isinstance(entry, dict | list | str):
                part = self.value(cast("dict[str, Any] | list[Any] | str", entry), left - 1, f"{path}[{index}]")
                size = _size(part, left) + 1
            else:
                break
            if size > left:
                break
            kept.append(part)
            left -= size
        if len(kept) < len(value):
            self._note(path, len(kept), len(value), "entries")
        return kept

    def text(self, value: str, room: int, path: str) -> str:
        """Keep the beginning."""
        kept = value[: max(0, room - 2)]
        while kept and (size := len(compact(kept))) > room:
            kept = kept[: min(len(kept) - 1, len(kept) * room // size)]
        self._note(path, len(kept), len(value), "characters")
        return kept

    def value(self, value: dict[str, Any] | list[Any] | str, room: int, path: str) -> Any:
        """Return the value as it is where it fits, else cut."""
        if _size(value, room) <= room:
            return value
        if isinstance(value, dict):
            return self.fields(value, room, path)
        if isinstance(value, list):
            return self.entries(value, room, path)
        return self.text(value, room, path)

    def _note(self, path: str, kept: int, whole: int, unit: str) -> None:
        self._cuts.append(f"{path[:_LONGEST_PATH] or 'The answer'} is cut to {kept} of {whole} {unit}.")


def _below(path: str, name: str) -> str:
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME - 1] + "…"
    # A sentence about an answer is ours: it repeats nothing that could be words of somebody.
    short = name if _NAME.fullmatch(name) else "…"
    return f"{path}.{short}" if path else short
