"""What people say when they want a command, as written by hand: `words/<domain>.json`.

By command: `frames` (see `frames.py`), and under `en`, `es` and `zh` the phrases, as a person would say them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, cast

from kallyai_mcp.finder.lexicon import LANGUAGES, SHOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from kallyai_mcp.model import Command

FEWEST = 3
"""Phrases that a command must have in each language."""

Said = Mapping[str, Sequence[str]]
"""Frames and phrases of one command."""


def written_words() -> dict[str, Said]:
    """Return frames and phrases by command."""
    words: dict[str, Said] = {}
    folder = resources.files(__package__ or "").joinpath("words")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            words |= cast("dict[str, Said]", json.loads(file.read_text(encoding="utf-8")))
    return words


def phrases(said: Said) -> list[str]:
    """Return the phrases of a command, in all languages."""
    return [phrase for language in LANGUAGES for phrase in said.get(language, [])]


def missing(commands: Iterable[Command], words: Mapping[str, Said], meanings: Collection[str]) -> list[str]:
    """Return what is still to be written, as sentences that say where.

    Args:
        commands: Those that a person may want.
        words: Frames and phrases by command.
        meanings: Names of the meanings with words of their own.
    """
    known = {*meanings, *SHOWN}
    found: list[str] = []
    for command in commands:
        said = words.get(command.name, {})
        file = f"kallyai_mcp/finder/words/{command.domain}.json"
        if not said.get("frames"):
            found.append(f"{file}: '{command.name}' needs at least one frame, such as 'cancel reservation -plan'.")
        found += [
            f"{file}: '{command.name}' needs {FEWEST} phrases or more under '{language}': what a person says who wants "
            "it and does not know the command."
            for language in LANGUAGES
            if len(said.get(language, [])) < FEWEST
        ]
        unknown = {name.lstrip("-") for frame in said.get("frames", []) for name in frame.split()} - known
        found += [
            f"{file}: '{command.name}' has a frame with the meaning '{name}', which is not in lexicon/meanings.json."
            for name in sorted(unknown)
        ]
    return found
