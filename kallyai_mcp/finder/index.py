"""The index: which features go with which command, counted once over all phrases and kept as a file.

Counting takes longer than a server may take to start, so `python -m kallyai_mcp.finder` writes `index.json` whenever
the words change, and to load that is all that is left to do.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from kallyai_mcp.finder.frames import Frame
from kallyai_mcp.finder.lexicon import Lexicon, written_meanings
from kallyai_mcp.finder.reading import is_pair, read
from kallyai_mcp.finder.spelling import Spelling, words_of
from kallyai_mcp.finder.words import phrases, written_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kallyai_mcp.finder.reading import Reading
    from kallyai_mcp.finder.words import Said

    Written = Mapping[str, Said]

FILE = "index.json"

_SATURATION, _LENGTH = 1.2, 0.5
"""`k1` and `b` of BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009)."""

_STEADY = 10.0
"""Added to the most that a request could score, so that one known word does not make it a sure thing."""

_FRAME = 0.05
_FEWEST = 2
"""How often two things must stand together to be remembered; half of the pairs do once."""


@dataclass(frozen=True)
class Index:
    """Features and frames by command.

    Attributes:
        lexicon: Words and their meanings.
        spelling: Mends misspelt words.
        commands: Names of the commands, and how many phrases each has.
        features: By feature, as numbers with spaces between, in turns: the place of a command among `commands`, and how
            many of its phrases have the feature.
        frames: By the first meaning that they want, with a command's name and a colon before each.
    """

    lexicon: Lexicon
    spelling: Spelling
    commands: dict[str, int]
    features: dict[str, str]
    frames: dict[str, list[str]]

    @classmethod
    def build(cls, words: Written | None = None, meanings: Written | None = None) -> Index:
        """Count what is written by hand, or what is given instead."""
        words = written_words() if words is None else words
        meanings = written_meanings() if meanings is None else meanings
        lexicon = Lexicon.of(meanings)
        counts: dict[str, Counter[int]] = defaultdict(Counter)
        frames: dict[str, list[str]] = defaultdict(list)
        for place, (name, said) in enumerate(words.items()):
            for phrase in phrases(said):
                for feature in read(phrase, lexicon).features:
                    counts[feature][place] += 1
            for frame in said.get("frames", ()):
                frames[frame.split()[0]].append(f"{name}: {frame}")
        known = words_of([phrase for said in words.values() for phrase in phrases(said)], meanings)
        return cls(
            lexicon,
            Spelling(known, lexicon.knows),
            {name: len(phrases(said)) for name, said in words.items()},
            {
                feature: " ".join(f"{place} {times}" for place, times in sorted(at.items()))
                for feature, at in counts.items()
                if at.total() >= (_FEWEST if is_pair(feature) else 1)
            },
            frames,
        )

    @classmethod
    def load(cls) -> Index:
        """Return the index that was kept."""
        text = resources.files(__package__ or "").joinpath(FILE).read_text(encoding="utf-8")
        data: dict[str, Any] = json.loads(text)
        lexicon = Lexicon(**data["lexicon"])
        spelling = Spelling(data["spelling"], lexicon.knows)
        return cls(lexicon, spelling, data["commands"], data["features"], data["frames"])

    def dump(self) -> str:
        """Return the text of the file: JSON, with one word, feature or frame a line."""
        data = {
            "commands": self.commands,
            "frames": dict(sorted(self.frames.items())),
            "lexicon": asdict(self.lexicon),
            "spelling": self.spelling.known,
            "features": dict(sorted(self.features.items())),
        }
        return json.dumps(data, ensure_ascii=False, indent=0) + "\n"

    def scores(self, reading: Reading) -> dict[str, float]:
        """Return how well each command fits; one that is not named does not fit at all."""
        most = _STEADY
        at = [0.0] * len(self.commands)
        for feature, weight in reading.features.items():
            numbers = [int(number) for number in self.features.get(feature, "").split()]
            if not numbers:
                continue
            says = weight * self._rarity(len(numbers) // 2)
            most += says
            for place, times in zip(numbers[::2], numbers[1::2], strict=True):
                at[place] += says * times * (_SATURATION + 1) / (times + self._discount[place])
        scores = {name: score / most for name, score in zip(self.commands, at, strict=True) if score}
        for name, worth in self._framed(reading.meanings).items():
            scores[name] = scores.get(name, 0.0) + _FRAME * worth
        return scores

    def _framed(self, meanings: Iterable[str]) -> dict[str, float]:
        """Return what the best frame of each command says."""
        named = {name: self._rarity(self.features.get(f"@{name}", "").count(" ") // 2 + 1) for name in meanings}
        best: dict[str, float] = {}
        for frame in (frame for name in named for frame in self._frames_from(name)):
            worth = frame.worth(named)
            if worth > best.get(frame.command, 0.0):
                best[frame.command] = worth
        return best

    def _frames_from(self, meaning: str) -> list[Frame]:
        """Return the frames that want this meaning first."""
        if meaning not in self._frames:
            self._frames[meaning] = [Frame.of(written) for written in self.frames.get(meaning, ())]
        return self._frames[meaning]

    def _rarity(self, commands: int) -> float:
        """Return what a feature that so many commands have says (BM25's inverse document frequency)."""
        return math.log(1 + (len(self.commands) - commands + 0.5) / (commands + 0.5))

    @cached_property
    def _discount(self) -> list[float]:
        average = sum(self.commands.values()) / max(len(self.commands), 1)
        return [_SATURATION * (1 - _LENGTH + _LENGTH * number / average) for number in self.commands.values()]

    @cached_property
    def _frames(self) -> dict[str, list[Frame]]:
        return {}
