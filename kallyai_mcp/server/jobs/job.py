"""What a job is: a prompt in three languages, its arguments, and the tools that it needs. They stand in `jobs.toml`."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Language = Literal["en", "es", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "es", "zh")

Text = dict[Language, str]
"""The same in each language."""

Form = Literal["text", "phone", "date", "time", "count", "choice"]
"""What an argument must look like; see `checking`."""

FILE = Path(__file__).parent / "jobs.toml"

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_TOOL = re.compile(r"\bkallyai_\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One argument.

    Attributes:
        name: Its name, and its placeholder in the text.
        description: What it is.
        form: What it must look like.
        required: Whether the job makes no sense without it.
        offers: What it may be, for a choice.
    """

    name: str
    description: Text
    form: Form = "text"
    required: bool = False
    offers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One prompt.

    Attributes:
        name: Its name, which is API.
        title: Name for people.
        description: What it does, for the list.
        inputs: Its arguments; the last one is the language.
        needs: Tools without which it is not offered.
        text: What the assistant is told, line by line. A line that names an argument that is not given, or a tool that
            is not there, is left out.
        rules: What holds for it besides: about tools that are found rather than listed, others' words and, where it
            leads to acts, consent and credits.
    """

    name: str
    title: Text
    description: Text
    inputs: tuple[Input, ...]
    needs: tuple[str, ...]
    text: Text
    rules: tuple[Text, ...]

    def filled(self, language: Language, given: Mapping[str, str], is_exposed: Callable[[str], bool]) -> str:
        """Return the text of the job for these arguments."""
        lines: list[str] = []
        for line in [*self.text[language].strip().split("\n"), "", *(rule[language] for rule in self.rules)]:
            tools, names = set(_TOOL.findall(line)), _PLACEHOLDER.findall(line)
            if all(map(is_exposed, tools)) and all(name in given for name in names):
                lines.append(_PLACEHOLDER.sub(lambda found: given[found[1]], line))
        return "\n".join(lines)


@cache
def all_jobs() -> tuple[Job, ...]:
    """Return all jobs, in the order in which they are listed."""
    facts = tomllib.loads(FILE.read_text(encoding="utf-8"))
    rules, language = facts["rules"], Input(name="language", form="choice", offers=LANGUAGES, **facts["language"])
    return tuple(_job(fields, rules, language) for fields in facts["jobs"])


def _job(fields: dict[str, Any], rules: dict[str, Text], language: Input) -> Job:
    inputs = [Input(**(one | {"offers": tuple(one.get("offers", ()))})) for one in fields.pop("inputs")]
    acts = fields.pop("acts", True)
    names = ("unlisted", "unlisted_acts", "acts", "look_up", "words") if acts else ("unlisted", "words")
    return Job(
        needs=tuple(fields.pop("needs")),
        **fields,
        inputs=(*inputs, language),
        rules=tuple(rules[name] for name in names),
    )
