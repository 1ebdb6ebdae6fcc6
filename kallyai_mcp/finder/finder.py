"""Finds commands by what a person wants, in English, Spanish and Chinese.

Two judges are added up. BM25 compares a request with phrases that people say, over words, neighbours, meanings and
pairs of meanings; frames say which meanings together show a command, whatever the wording. Nothing is learned, drawn
by lot, or fetched: the same request always finds the same commands.

Where more than one command would serve, these conventions hold:

- a piece of work without a particular command for it, or several in one: `ask`
- a business is phoned (`calls make`), a private person is contacted (`outreach create`) unless a call is asked for;
  mail is written with `actions email send` and answered with `email respond`
- a table, room or service is booked with `actions booking create`; looking for somewhere to eat is
  `actions restaurant search`, for anybody else `search run`, for a plain fact `search quick`
- who called is `inbound calls`, whom the assistant called `calls history`
- what is to happen to future calls is `inbound add-rule`; all of them to one number, `phone forwarding`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from kallyai_mcp.finder.index import Index
from kallyai_mcp.finder.reading import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kallyai_mcp.model import Command

_UNSURE = 0.2
"""Below this nothing fits: a word here and there has been heard before."""

_TOOL = re.compile(r"kallyai_\w+")
_NAMED = 10.0
"""Added to a command that is called by its name; above what anything else scores."""


@dataclass(frozen=True, slots=True)
class Found:
    """A command that was found.

    Attributes:
        command: The command.
        score: How well it fits. Comparable within one request only; 0 for one that takes whatever nobody else does.
    """

    command: Command
    score: float


class Finder:
    """Finds among the commands it is given; what is hidden is left out of them."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self._commands = tuple(commands)
        self._places = {command.name: place for place, command in enumerate(self._commands)}

    def find(self, text: str, *, limit: int = 5) -> list[Found]:
        """Return the commands that fit best, the best first.

        Args:
            text: What a person wants, in their own words; its first 1,000 characters count. Text without a word or
                number finds nothing, text in an unknown language the commands that take any request in free words.
            limit: How many commands at most.
        """
        index = _index()
        reading = read(text, index.lexicon, index.spelling.repair)
        if not reading.parts:
            return []
        scores = index.scores(reading)
        for name in self._named(text):
            scores[name] = scores.get(name, 0.0) + _NAMED
        found = [
            Found(self._commands[self._places[name]], round(score, 4))
            for name, score in scores.items()
            if name in self._places
        ]
        found.sort(key=lambda one: (-one.score, self._places[one.command.name]))
        return self._with_those_who_take_any(found)[: max(limit, 0)]

    def _with_those_who_take_any(self, found: list[Found]) -> list[Found]:
        """Return what was found with the commands that take any request: last, or first where nothing fits well."""
        taken = {one.command.name for one in found}
        others = [Found(one, 0.0) for one in self._commands if one.delegates and one.name not in taken]
        if found and found[0].score >= _UNSURE:
            return [*found, *others]
        any_request = [one for one in found if one.command.delegates]
        return [*any_request, *others, *(one for one in found if not one.command.delegates)]

    def _named(self, text: str) -> list[str]:
        """Return the commands whose tool or name the text is, or whose tool it mentions."""
        asked = " ".join(text.lower().split())
        tools = set(_TOOL.findall(asked))
        return [one.name for one in self._commands if one.tool in tools or one.name == asked]


@cache
def _index() -> Index:
    return Index.load()
