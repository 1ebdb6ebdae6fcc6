"""The lexicon: which words of three languages mean the same, so that a request and a frame can meet.

A meaning has a name in English, such as `cancel`, and words by language. A word is one of these:

    cancel          the word itself
    cancel*         every word that begins so
    call off        words in a row
    call * off      the same with up to some words between
    取消            Chinese characters in a row
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from kallyai_mcp.finder.text import HAN, fold, read_lexicon, take_apart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kallyai_mcp.finder.text import Part

LANGUAGES = ("en", "es", "zh")
SHOWN = ("date", "time", "money", "digits", "phone_number", "email_address", "link", "question")
"""Meanings that a form shows, besides any words."""

_SHORTEST_STEM, _LONGEST_STEM = 3, 20
_WIDEST_GAP = 4
_HAN = re.compile(f"[{HAN}]")

Names = tuple[str, ...]


@cache
def written_meanings() -> dict[str, dict[str, list[str]]]:
    """Return the words by meaning and language, as they are written by hand."""
    written: dict[str, dict[str, list[str]]] = read_lexicon("meanings")
    return written


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words, sorted by how they are looked up. Each leads to the names of its meanings, in one string.

    Attributes:
        rows: Words in a row, joined by single spaces.
        stems: Beginnings of words.
        gaps: By a first word, the words that may follow at some distance, and their meaning.
        han: Chinese characters in a row.
        longest_row: Most words in a row.
        longest_han: Most Chinese characters in a row.
    """

    rows: dict[str, str]
    stems: dict[str, str]
    gaps: dict[str, list[tuple[str, str]]]
    han: dict[str, str]
    longest_row: int
    longest_han: int

    @classmethod
    def of(cls, written: Mapping[str, Mapping[str, Sequence[str]]]) -> Lexicon:
        """Return the lexicon of what is written by hand."""
        rows, stems, han = (defaultdict[str, list[str]](list) for _ in range(3))
        gaps: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for meaning, languages in written.items():
            for word in dict.fromkeys(fold(word) for words in languages.values() for word in words):
                first, gap, rest = word.partition(" * ")
                if gap:
                    gaps[first].append((rest, meaning))
                elif word.endswith("*"):
                    stems[word[:-1]].append(meaning)
                elif _HAN.search(word):
                    han[word].append(meaning)
                else:
                    rows[" ".join(part.text for part in take_apart(word))].append(meaning)
        return cls(
            _joined(rows),
            _joined(stems),
            dict(sorted(gaps.items())),
            _joined(han),
            max((row.count(" ") for row in rows), default=0) + 1,
            max(map(len, han), default=1),
        )

    def meanings(self, parts: Sequence[Part]) -> list[Names]:
        """Return the meanings that begin at each part of a text."""
        found: list[list[str]] = [list(part.meanings) for part in parts]
        texts = [part.text for part in parts]
        characters = "".join(part.text if part.kind == "han" else " " for part in parts)
        for place, part in enumerate(parts):
            if part.kind == "han":
                found[place] += self._in_chinese(characters[place : place + self.longest_han]).split()
            elif part.kind in {"word", "other"}:
                found[place] += self._in_row(texts, place)
        return [tuple(dict.fromkeys(names)) for names in found]

    def knows(self, word: str) -> bool:
        """Whether a single word has a meaning."""
        return word in self.rows or bool(self._stem(word))

    def _in_row(self, texts: Sequence[str], place: int) -> list[str]:
        names: list[str] = []
        for length in range(min(self.longest_row, len(texts) - place), 0, -1):
            row = self.rows.get(" ".join(texts[place : place + length]))
            if row is not None:
                names += row.split()
                break
        else:
            length = 1
        if length == 1:
            names += self._stem(texts[place]).split()
        for rest, meaning in self.gaps.get(texts[place], ()):
            words = rest.split()
            starts = range(place + 1, min(place + 2 + _WIDEST_GAP, len(texts) - len(words) + 1))
            if any(list(texts[start : start + len(words)]) == words for start in starts):
                names.append(meaning)
        return names

    def _stem(self, word: str) -> str:
        lengths = range(min(len(word), _LONGEST_STEM), _SHORTEST_STEM - 1, -1)
        return next((self.stems[word[:n]] for n in lengths if word[:n] in self.stems), "")

    def _in_chinese(self, characters: str) -> str:
        run = characters.partition(" ")[0]
        return next((self.han[run[:n]] for n in range(len(run), 0, -1) if run[:n] in self.han), "")


def _joined(words: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {word: " ".join(names) for word, names in sorted(words.items())}
