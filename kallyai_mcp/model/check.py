"""Check a run's arguments against the declaration, and say everything that is wrong at once."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from kallyai_mcp.errors import InvalidArguments, Problem
from kallyai_mcp.model.types import PATTERN_RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_core import ErrorDetails

    from kallyai_mcp.model.args import Args
    from kallyai_mcp.model.command import Command

_TYPES = {
    "string_type": "must be text.",
    "string_unicode": "must be valid Unicode text.",
    "int_type": "must be a whole number.",
    "int_from_float": "must be a whole number.",
    "int_parsing_size": "is too large a number.",
    "float_type": "must be a number.",
    "finite_number": "must be a finite number.",
    "bool_type": "must be true or false.",
    "list_type": "must be a list.",
    "dict_type": "must be an object.",
    "missing": "is required.",
}


def parse(
    command: Command,
    arguments: Mapping[str, Any],
    example: Callable[[Command, str], object] | None = None,
) -> Args:
    """Return the arguments as the command's model.

    Args:
        command: The command to be run.
        arguments: What the caller gave.
        example: Finds a right value for an argument of a command, to show with a refusal.

    Raises:
        InvalidArguments: One entry for every argument that is wrong.
    """
    try:
        return command.args.model_validate(arguments)
    except ValidationError as error:
        problems: dict[str, Problem] = {}
        for detail in error.errors(include_url=False, include_input=False):
            name = str(detail["loc"][0]) if detail["loc"] else "arguments"
            if name not in problems:
                value = example(command, name) if example and name in command.args.model_fields else None
                problems[name] = Problem(_shown(command, name), _sentence(command, detail), value)
        raise InvalidArguments(command.tool, list(problems.values())) from None


def _shown(command: Command, name: str) -> str:
    # The name of an unknown argument is the caller's text: short and printable is all that is repeated.
    if name in command.args.model_fields:
        return name
    return "".join(c for c in name[:64] if c.isprintable()) or "(unnamed)"


def _sentence(command: Command, detail: ErrorDetails) -> str:
    kind = detail["type"]
    ctx = detail.get("ctx", {})
    name, *inner = detail["loc"] or ("arguments",)
    where = f"entry {inner[0]} " if inner else ""
    match kind:
        case "extra_forbidden":
            return _unknown(command, str(name))
        case "rule":
            rule = str(ctx["rule"])
        case "literal_error":
            rule = f"must be {ctx['expected']}."
        case "string_pattern_mismatch":
            rule = PATTERN_RULES.get(str(ctx["pattern"]), f"must match {ctx['pattern']}.")
        case "string_too_short" | "too_short":
            rule = (
                "must not be empty."
                if ctx["min_length"] == 1
                else f"must have at least {ctx['min_length']} characters."
            )
        case "string_too_long":
            rule = f"must have at most {ctx['max_length']} characters."
        case "greater_than_equal":
            rule = f"must be {ctx['ge']} or more."
        case "less_than_equal":
            rule = f"must be {ctx['le']} or less."
        case _:
            rule = _TYPES.get(kind, "is not of the right kind.")
    return where + rule


def _unknown(command: Command, name: str) -> str:
    known = list(command.args.model_fields)
    if near := difflib.get_close_matches(name, known, n=1):
        return f"is not an argument; did you mean {near[0]}?"
    return f"is not an argument; there are {', '.join(known)}." if known else "is not an argument; there are none."
