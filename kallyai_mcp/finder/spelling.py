"""Misspelt words: one slip of the finger away from a word that is known."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from kallyai_mcp.finder.text import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from kallyai_mcp.finder.text import Part

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_LONG = 5
"""Letters from which on any slip is looked for; a shorter word is too close to too many others."""

_SHORTEST, _LONGEST = 4, 20
_MOST = 20
"""Unknown words of one request that are looked at."""


@dataclass(frozen=True)
class Spelling:
    """The words that are known.

    Attributes:
        known: The words, the commonest first, with spaces between.
        means: Whether a word is known otherwise, such as by how it begins.
    """

    known: str
    means: Callable[[str], bool]

    def repair(self, parts: list[Part], names: Collection[str] = ()) -> list[Part]:
        """Return the parts of a text with misspelt words mended, except names.

        A text of which more than half is unknown is in another language, and left as it is.
        """
        words = [part.text for part in parts if part.kind == "word"]
        unknown = {word for word in words if not (word in self._places or word in names or self.means(word))}
        if len(unknown) > max(1, len(words) / 2):
            return parts
        tried = sorted(word for word in unknown if _SHORTEST <= len(word) <= _LONGEST)[:_MOST]
        mended = {word: self.nearest(word) or word for word in tried}
        return [replace(part, text=mended.get(part.text, part.text)) for part in parts]

    def nearest(self, word: str) -> str | None:
        """Return the commonest known word that is one slip away; its first letter is taken to be right."""
        return min((slip for slip in _slips(word) if slip in self._places), key=self._places.__getitem__, default=None)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.known.split())}


def words_of(phrases: Iterable[str], meanings: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """Return the words of all phrases and of the lexicon, the commonest first."""
    counts = Counter(_WORD.findall(fold_all(phrases)))
    rows = (word for languages in meanings.values() for words in languages.values() for word in words)
    counts.update(set(_WORD.findall(fold_all(row for row in rows if not row.endswith("*")))))
    return " ".join(sorted(counts, key=lambda word: (-counts[word], word)))


def fold_all(texts: Iterable[str]) -> str:
    """Return texts folded, one a line."""
    return "\n".join(map(fold, texts))


def _slips(word: str) -> Iterator[str]:
    """Yield what may have been meant: two letters swapped, one left out, one too many, one wrong."""
    for at in range(1, len(word)):
        head, tail = word[:at], word[at:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in _LETTERS:
            yield head + letter + tail
        if len(word) >= _LONG:
            yield head + tail[1:]
            for letter in _LETTERS:
                yield head + letter + tail[1:]
    for letter in _LETTERS:
        yield word + letter
