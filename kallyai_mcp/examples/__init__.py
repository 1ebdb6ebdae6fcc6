"""Hand-written examples of every command: arguments, the request expected, a sample answer.

They come from the API's facts and are never made from the declarations, so that a mistake in one shows against the
other. Between them the examples of a command use each of its arguments.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, TypedDict, cast

if TYPE_CHECKING:
    from kallyai_mcp.model import Command


class ExpectedRequest(TypedDict):
    """The request that the arguments must lead to; `body` None means that none is sent."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any] | None


class Example(TypedDict):
    """One run: `request` is None for a command that runs on this machine."""

    arguments: dict[str, Any]
    request: ExpectedRequest | None
    answer: Any


@cache
def load(domain: str) -> dict[str, list[Example]]:
    """Return the examples of a domain by command name."""
    text = resources.files(__name__).joinpath(f"{domain}.json").read_text(encoding="utf-8")
    return cast("dict[str, list[Example]]", json.loads(text))


def examples_of(command: Command) -> list[Example]:
    """Return the examples of a command."""
    return load(command.domain)[command.name]


def example_value(command: Command, argument: str) -> object | None:
    """Return a right value for an argument, to show with a refusal; None for what must not be shown."""
    if argument in command.sensitive_args:
        return None
    values = (e["arguments"][argument] for e in examples_of(command) if argument in e["arguments"])
    return next(values, None)
