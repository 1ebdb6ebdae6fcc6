"""Cut a large answer into pieces that go on from each other exactly.

A place in an answer is a path of numbers: in an object the number of a field, in a list that of an entry, in a text
that of a character. Small fields of an object come first, so that no large one keeps them waiting for the last piece. A
piece is what lies between two places, with the objects and lists that it stands in. Put one after the other, the pieces
are the answer: no character is lost or doubled.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 40_000
"""Characters that an answer may have in all, as a host counts them: text, structured content and files, as JSON."""

Place = tuple[int, ...]


SMALL = 256
"""Characters of compact JSON up to which a field counts as small, and comes before what is large."""

FEWEST = 400
"""Characters that are worth being cut off from something."""

_DEEPEST = 8
_LONGEST_NAME = 256
_AHEAD = 3_000
_TRIES = 200
"""Places that are tried, one after the other, where a text has no blank."""

_LARGE: Any = object()

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ENDS = (
    (re.compile(r"\n[ \t]*\n"), 0.5),
    (re.compile(r"\n"), 0.6),
    (re.compile("[.!?\u2026][\"'\u201d\u2019\u00bb)\\]]*(?=\\s)\\s?|[\u3002\uff01\uff1f]"), 0.5),
    (re.compile(r"\s"), 0.7),
)
"""Where a text is cut rather than elsewhere, if that leaves so much of what there is room for: after a paragraph, a
line, a sentence, a word."""


def compact(value: Any) -> str:
    """Return a value as JSON without blanks."""
    return _ENCODER.encode(value)


def size(value: Any, most: int) -> int:
    """Return the length as compact JSON, or any number beyond `most` as soon as it is longer than that."""
    if isinstance(value, str) and len(value) > most:
        return len(value)
    if not isinstance(value, dict | list):
        return len(compact(value))
    total = 0
    for part in _ENCODER.iterencode(value):
        total += len(part)
        if total > most:
            break
    return total


def cuttable(data: dict[str, Any]) -> dict[str, Any]:
    """Return an answer in a form of which every part can be cut: what is nested very deep stands as a text of JSON.

    A field whose name is very long becomes an entry of a list, with the name as a text. Small fields come first.
    """
    return _cuttable_fields(data, 0)


def _cuttable_fields(data: dict[str, Any], depth: int) -> dict[str, Any]:
    if any(len(name) > _LONGEST_NAME for name in data):
        pairs = [{"name": name, "value": _cuttable(value, depth + 3)} for name, value in data.items()]
        return {"_fields": pairs}
    large = {name: value for name, value in data.items() if not _is_small(value)}
    small = data if not large else {name: value for name, value in data.items() if name not in large}
    return {name: _cuttable(value, depth + 1) for name, value in (small | large).items()}


def _is_small(value: Any) -> bool:
    return size(value, SMALL) <= SMALL if isinstance(value, str | dict | list) else True


def _cuttable(value: Any, depth: int) -> Any:
    if not isinstance(value, dict | list):
        return value
    if depth >= _DEEPEST:
        return compact(value) if value else cast("Any", value)
    if isinstance(value, dict):
        return _cuttable_fields(cast("dict[str, Any]", value), depth)
    return [_cuttable(item, depth + 1) for item in cast("list[Any]", value)]


def cut(
    data: dict[str, Any], start: Place, room: int, is_stable: Callable[[str], bool] = lambda _: True
) -> tuple[dict[str, Any], Place | None]:
    """Return the piece of an answer that begins at a place, and the place where the next one does; None at the end.

    Args:
        data: All of the answer, in the form of `cuttable`.
        start: Where the piece begins; the beginning if empty.
        room: Characters of compact JSON that it may have, some thousands at least.
        is_stable: Whether a piece of a text may stand by itself.

    Raises:
        LookupError: There is no such place.
    """
    piece, end = _Cutter(room, is_stable).fields(data, start, room, must=True)
    return piece, end


def where(data: Any, place: Place) -> tuple[str, Any]:
    """Return in words where a place is, such as `entries[17].content`, and the large field that it lies in."""
    words, field = "", None
    for depth, number in enumerate(place):
        if isinstance(data, dict):
            fields = cast("dict[str, Any]", data)
            name = list(fields)[number]
            data = fields[name]
            words += f".{name if re.fullmatch('[A-Za-z0-9_-]{1,40}', name) else '…'}"
        elif isinstance(data, list):
            data = cast("list[Any]", data)[number]
            words += f"[{number}]"
        field = data if depth == 0 else field
    return words.lstrip("."), field


class _Cutter:
    def __init__(self, whole: int, is_stable: Callable[[str], bool]) -> None:
        self._whole = whole
        self._is_stable = is_stable

    def fields(
        self, value: dict[str, Any], start: Place, room: int, *, must: bool
    ) -> tuple[dict[str, Any], Place | None]:
        names = list(value)
        first, inner = _parted(start, len(names))
        kept: dict[str, Any] = {}
        left = room - 2
        for number in range(first, len(names)):
            name = names[number]
            part, begin = value[name], inner if number == first else ()
            head = len(compact(name)) + 2
            rest = _rest(part, begin, left)
            cost = head + (left if rest is _LARGE else size(rest, left))
            if cost <= left:
                kept[name] = rest
                left -= cost
                continue
            piece, end = self._within(part, begin, left - head, must=must and not kept)
            if piece is not None:
                kept[name] = piece
            return kept, (number, *end)
        return kept, None

    def entries(self, value: list[Any], start: Place, room: int, *, must: bool) -> tuple[list[Any], Place | None]:
        first, inner = _parted(start, len(value))
        kept: list[Any] = []
        left = room - 2
        for number in range(first, len(value)):
            part, begin = value[number], inner if number == first else ()
            rest = _rest(part, begin, left)
            cost = 1 + (left if rest is _LARGE else size(rest, left))
            if cost <= left:
                kept.append(rest)
                left -= cost
                continue
            end = begin
            # What would fit into a piece of its own is not torn apart.
            if (must and not kept) or begin or size(part, self._whole // 2) > self._whole // 2:
                piece, end = self._within(part, begin, left - 1, must=must and not kept)
                if piece is not None:
                    kept.append(piece)
            return kept, (number, *end)
        return kept, None

    def _within(self, part: Any, begin: Place, room: int, *, must: bool) -> tuple[Any, Place]:
        """Return the beginning of a part that is too large; None where nothing of it is to be kept here."""
        if not isinstance(part, dict | list | str) or (room < FEWEST and not must):
            return None, begin
        if isinstance(part, str):
            return self._text(part, begin, max(room, FEWEST))
        if isinstance(part, dict):
            piece, end = self.fields(cast("dict[str, Any]", part), begin, room, must=must)
        else:
            piece, end = self.entries(cast("list[Any]", part), begin, room, must=must)
        return (piece, end or begin) if piece else (None, begin)

    def _text(self, text: str, begin: Place, room: int) -> tuple[str, Place]:
        start = begin[0] if begin else 0
        piece = text[start : start + room - 2]
        while (long := len(compact(piece))) > room:
            piece = piece[: min(len(piece) - 1, len(piece) * room // long)]
        end = next(
            filter(lambda place: self._is_clean(text, start, place), _ends(text, start, start + len(piece))), None
        )
        end = end or start + max(1, len(piece))
        return text[start:end], (end,)

    def _is_clean(self, text: str, start: int, end: int) -> bool:
        if end >= len(text) or not _may_part(text, end):
            return end >= len(text)
        after = text[end : end + _AHEAD]
        return self._is_stable(text[start:end]) and self._is_stable(after)


def _parted(start: Place, count: int) -> tuple[int, Place]:
    if not start:
        return 0, ()
    if not 0 <= start[0] < count:
        raise LookupError("there is no such place")
    return start[0], start[1:]


def _rest(value: Any, begin: Place, most: int) -> Any:
    """Return what of a value lies behind a place; `_LARGE` where that is longer than `most`."""
    if not begin:
        return value
    if isinstance(value, str):
        if not 0 <= begin[0] <= len(value):
            raise LookupError("there is no such place")
        return value[begin[0] :] if len(value) - begin[0] <= most else _LARGE
    if isinstance(value, dict | list):
        room = most + 3
        piece, end = (
            _Cutter(room, lambda _: True).fields(cast("dict[str, Any]", value), begin, room, must=False)
            if isinstance(value, dict)
            else _Cutter(room, lambda _: True).entries(cast("list[Any]", value), begin, room, must=False)
        )
        return piece if end is None else _LARGE
    raise LookupError("there is no such place")


def _ends(text: str, start: int, end: int) -> Iterator[int]:
    """Give the places at which a text could end, the best first."""
    for pattern, share in _ENDS:
        lowest = start + int((end - start) * share)
        found = [match.end() for match in pattern.finditer(text, lowest, end)]
        yield from reversed(found[-20:])
    yield from range(end, max(start, end - _TRIES), -1)


def _may_part(text: str, place: int) -> bool:
    """Whether two characters do not belong to one that is seen (Unicode, UAX 29; rather too strict than too lax)."""
    before, after = text[place - 1], text[place]
    if before == "\r" and after == "\n":
        return False
    if "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff":
        return False
    if before in "\n\r" or after in "\n\r":
        return True
    if before == "\u200d" or unicodedata.combining(before) == 9 or _joins(after):
        return False
    if _is_flag(before) and _is_flag(after):
        return False
    return not (_is_jamo(before) and _is_jamo(after))


def _joins(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Mn", "Mc", "Me")
        or character in "\u200c\u200d"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
        or character in "\uff9e\uff9f\u0e33\u0eb3"
    )


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_jamo(character: str) -> bool:
    return "\u1100" <= character <= "\u11ff" or "\ua960" <= character <= "\ua97c" or "\uac00" <= character <= "\ud7fb"
