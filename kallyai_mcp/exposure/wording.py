"""Texts for a model, without the tools that are not there: nothing sends it to a tool that it cannot run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME = re.compile(r"kallyai_[a-z_]*[a-z]")
"""Names of tools in a text."""

_LINK = r"(?:with |from |for |use )?"
_SEPARATOR = re.compile(r"((?<=[.;])\s+|, or )")
INSTEAD = "Tell the user."
"""What is left to do where everything that a text proposes is hidden."""


def advice(text: str, is_hidden: Callable[[str], bool]) -> str:
    """Return what to do next, without the ways that lead to hidden tools."""
    if not _mentions(text, is_hidden):
        return text
    return _joined(_without_alternatives(text, is_hidden), is_hidden, keeps_first=False) or INSTEAD


def description(text: str, is_hidden: Callable[[str], bool]) -> str:
    """Return a description without hidden tools: their clauses are left out, but in the first they are put in words."""
    if not _mentions(text, is_hidden):
        return text
    return _joined(_without_alternatives(text, is_hidden), is_hidden, keeps_first=True)


def definition(tool: Mapping[str, Any], is_hidden: Callable[[str], bool]) -> dict[str, Any]:
    """Return the definition of a tool with all its descriptions so."""

    def fitted(part: Any) -> Any:
        if isinstance(part, dict):
            entries = cast("dict[str, Any]", part)
            return {
                name: description(value, is_hidden)
                if name == "description" and isinstance(value, str)
                else fitted(value)
                for name, value in entries.items()
            }
        if isinstance(part, list):
            return [fitted(entry) for entry in cast("list[Any]", part)]
        return part

    return cast("dict[str, Any]", fitted(tool))


def facts(values: dict[str, Any], is_hidden: Callable[[str], bool]) -> dict[str, Any]:
    """Return facts for a program without hidden tools: as a value of its own, such a name becomes words."""

    def fitted(part: Any) -> Any:
        if isinstance(part, str):
            whole = NAME.fullmatch(part) is not None and is_hidden(part)
            return in_words(part) if whole else description(part, is_hidden)
        if isinstance(part, dict):
            return {name: fitted(value) for name, value in cast("dict[str, Any]", part).items()}
        return [fitted(entry) for entry in cast("list[Any]", part)] if isinstance(part, list) else part

    return {name: fitted(value) for name, value in values.items()}


def in_words(tool: str) -> str:
    """Return the name of a tool as words that nobody takes for a tool."""
    return tool.removeprefix("kallyai_").replace("_", " ")


def _mentions(text: str, is_hidden: Callable[[str], bool]) -> bool:
    return any(is_hidden(name) for name in NAME.findall(text))


def _without_alternatives(text: str, is_hidden: Callable[[str], bool]) -> str:
    """Leave hidden tools out where another way stands beside them: `X or Y`, `X and Y`."""
    for name in {name for name in NAME.findall(text) if is_hidden(name)}:
        before = rf"{name}(?: from here)?(?:,? or {_LINK}(?=`?kallyai)| and (?=kallyai_))"
        text = re.sub(rf"(?:,? or|,? and) {_LINK}{name}\b(?! and| or)", "", re.sub(before, "", text))
    return text


def _joined(text: str, is_hidden: Callable[[str], bool], *, keeps_first: bool) -> str:
    """Put together the clauses that name no hidden tool."""
    first, *rest = _SEPARATOR.split(text)
    clauses = [("", first), *zip(rest[::2], rest[1::2], strict=True)]
    kept, starts_anew = "", False
    for place, (separator, clause) in enumerate(clauses):
        shown = clause
        if _mentions(clause, is_hidden):
            if place or not keeps_first:
                starts_anew = clause.endswith(".") or starts_anew
                continue
            shown = NAME.sub(lambda found: in_words(found[0]) if is_hidden(found[0]) else found[0], clause)
        if kept.endswith(";") and separator.isspace() and starts_anew:
            kept = kept[:-1] + "."
        starts_anew = False
        if not kept or kept.endswith("."):
            shown = shown[:1].upper() + shown[1:] if not shown.startswith("kallyai_") else shown
        kept += (separator if kept else "") + shown
    kept = kept.strip().rstrip(";,")
    return kept + "." if kept and kept[-1] not in ".!?”" else kept
