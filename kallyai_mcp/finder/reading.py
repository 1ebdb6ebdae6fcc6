"""What is read out of a text: its meanings, and the features that an index counts.

A feature is a word's stem (`reserv`), two neighbours (`called me`), a meaning (`@cancel`), or two meanings that stand
together in a text (`@book@cancel`). Neighbours keep what the order says: who called whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

from kallyai_mcp.finder.text import addressed_in, asks, fold, names_in, own_words, small_words, take_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from kallyai_mcp.finder.lexicon import Lexicon, Names
    from kallyai_mcp.finder.text import Part

    Repair = Callable[[list[Part], Collection[str]], list[Part]]

WORD, PAIR_OF_WORDS, MEANING = 0.8, 0.7, 0.8
HAN = 0.4
"""A Chinese character alone says little."""

_MOST_MEANINGS = 40
_STEM = 5
_SHORT = 3


@dataclass(frozen=True)
class Reading:
    """A text as it is read.

    Attributes:
        parts: Its words and characters.
        named: The meanings that begin at each of them.
        asks: Whether it is a question.
    """

    parts: Sequence[Part]
    named: Sequence[Names]
    asks: bool

    @cached_property
    def meanings(self) -> tuple[str, ...]:
        """Its meanings, each once, in order."""
        names = ["question"] if self.asks else []
        names += [name for names in self.named for name in names]
        return tuple(dict.fromkeys(names))[:_MOST_MEANINGS]

    @cached_property
    def features(self) -> dict[str, float]:
        """Its features and what each counts."""
        features: dict[str, float] = {}
        empty = small_words("say little")
        before: str | None = None
        for part in self.parts:
            word = stem(part.text) if part.kind == "word" else part.text
            if part.text not in empty:
                features[word] = HAN if part.kind == "han" else WORD
            if before is not None:
                features[f"{before} {word}"] = PAIR_OF_WORDS
            before = word
        for name in self.meanings:
            features[f"@{name}"] = MEANING
        for one, other in combinations(sorted(self.meanings), 2):
            features[f"@{one}@{other}"] = MEANING
        return features


def read(text: str, lexicon: Lexicon, repair: Repair | None = None) -> Reading:
    """Return a text as read.

    Args:
        text: Whatever a person said.
        lexicon: The words and their meanings.
        repair: Mends misspelt words, if given.
    """
    folded = own_words(fold(text))
    parts = take_apart(folded)
    question = asks(folded, parts)
    people = addressed_in(text)
    if repair is not None:
        parts = repair(parts, names_in(text))
    named = [
        meanings or (("name",) if part.kind == "word" and part.text in people else ())
        for part, meanings in zip(parts, lexicon.meanings(parts), strict=True)
    ]
    return Reading(parts, named, question)


def stem(word: str) -> str:
    """Return the part of a word that its forms share, roughly: alike for English and Spanish."""
    if len(word) > _STEM:
        return word[:_STEM]
    return word[:-1] if len(word) > _SHORT and word[-1] in "saeo" else word


def is_pair(feature: str) -> bool:
    """Whether a feature is two words, or two meanings."""
    return " " in feature or feature.count("@") > 1
