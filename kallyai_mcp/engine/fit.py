"""Keep an answer within what hosts take, and say what was left out."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any, cast

LIMIT = 40_000
"""Characters of compact JSON that an answer may have."""

_ROUNDS = 64
_ADVICE = "Ask for less at once, with limit and offset where the tool has them."


@dataclass(slots=True)
class _Cut:
    """A list or text that was shortened."""

    whole: int
    unit: str
    kept: int


def fit(data: dict[str, Any], limit: int = LIMIT) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the answer within the limit, and one sentence for each part that was cut.

    The heaviest list or text is shortened again and again, so that the shape and the small facts stay whole. What was
    cut is also told in the answer itself, under `_cut`.
    """
    size = _size(data)
    if size <= limit:
        return data, ()
    data = copy.deepcopy(data)
    cuts: dict[str, _Cut] = {}
    for _ in range(_ROUNDS):
        holder, key, path = _heaviest(data)
        value = cast("list[Any] | str", holder[key])
        unit = "entries" if isinstance(value, list) else "characters"
        cut = cuts.setdefault(path, _Cut(len(value), unit, len(value)))
        cut.kept = int(len(value) * min(0.9, limit / size * 0.95))
        holder[key] = value[: cut.kept]
        size = _size(data)
        if size <= limit - 200 * len(cuts):
            break
    sentences = (*(f"{path} is cut to {c.kept} of {c.whole} {c.unit}." for path, c in cuts.items()), _ADVICE)
    data["_cut"] = list(sentences)
    return data, sentences


def compact(value: Any) -> str:
    """Return a value as JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _size(value: Any) -> int:
    return len(compact(value))


def _heaviest(data: dict[str, Any]) -> tuple[Any, Any, str]:
    """Return holder, key and path of the list or text to shorten: the innermost one that carries most of the weight."""
    holder: Any = data
    key: Any = max(data, key=lambda name: _size(data[name]))
    path = str(key)
    best: tuple[Any, Any, str] = ({"": ""}, "", path)
    while True:
        value = holder[key]
        if isinstance(value, list | str) and value:
            best = (holder, key, path)
        if isinstance(value, dict) and value:
            inner = cast("dict[str, Any]", value)
            name = max(inner, key=lambda k: _size(inner[k]))
            holder, key, path = inner, name, f"{path}.{name}"
        elif isinstance(value, list) and value:
            entries = cast("list[Any]", value)
            index = max(range(len(entries)), key=lambda i: _size(entries[i]))
            if _size(entries[index]) * 2 < _size(entries):
                return best
            holder, key, path = entries, index, f"{path}[{index}]"
        else:
            return best
