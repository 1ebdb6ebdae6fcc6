"""Start a host's command as the host does, have its tools listed, and end it."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import anyio

from kallyai_mcp.privacy import mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_TOLD = 400
_ERROR = "Error: "


@dataclass(frozen=True, slots=True)
class Started:
    """What came of it.

    Attributes:
        seconds: From the start to the list of tools.
        tools: Names of the tools; None where it did not come to that.
        problem: What happened instead.
    """

    seconds: float
    tools: list[str] | None = None
    problem: str = ""


async def start(words: Sequence[str], environment: Mapping[str, str], *, within: float) -> Started:
    """Start the command and list its tools with the client of the SDK.

    Args:
        words: The program and its arguments.
        environment: All of its variables.
        within: Seconds after which it is given up.
    """
    from mcp import Client, MCPError, StdioServerParameters
    from mcp.client.stdio import stdio_client

    began = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        parameters = StdioServerParameters(command=words[0], args=list(words[1:]), env=dict(environment))
        problem, tools, seconds = "", None, 0.0
        try:
            with anyio.fail_after(within):
                async with Client(stdio_client(parameters, errlog=errors)) as client:
                    tools = [tool.name for tool in (await client.list_tools()).tools]
                    seconds = time.monotonic() - began
        except* TimeoutError:
            problem = f"it was not ready within {within:g} s."
        except* (OSError, MCPError, ValueError) as group:
            problem = f"it ended before it was ready ({_first(group)})."
        if tools is not None:
            return Started(seconds, tools)
        errors.seek(0)
        said = mask(_last_words(errors.read()))
    told = f"{problem} It said: {said}" if said else problem
    return Started(time.monotonic() - began, None, told)


def _last_words(text: str) -> str:
    """Return what the program said last, from its beginning: an error of this program may go over several lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    begin = next((number for number in reversed(range(len(lines))) if lines[number].startswith(_ERROR)), len(lines) - 1)
    words = " ".join(lines[max(begin, 0) :])
    return words if len(words) <= _MOST_TOLD else f"{words[:_MOST_TOLD]}…"


def _first(error: BaseException) -> str:
    inner = cast("Sequence[BaseException]", getattr(error, "exceptions", ()))
    return _first(inner[0]) if inner else type(error).__name__
