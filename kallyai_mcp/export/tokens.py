"""What a model reads of a tool in `tools/list`, in o200k tokens; what counts them is not shipped, the counts are."""

from __future__ import annotations

import json
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from kallyai_mcp import catalog
from kallyai_mcp.exposure import FIRST, Entry, surface
from kallyai_mcp.model import tool_definition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def tokens_of(tool: Mapping[str, Any]) -> int:
    """Count name, description and input schema of a tool, as they go over the wire."""
    part = {key: tool[key] for key in ("name", "description", "inputSchema")}
    return len(_encode()(json.dumps(part, ensure_ascii=False, separators=(",", ":"))))


@cache
def index_entries() -> Mapping[str, Entry]:
    """Return what the index of tools holds."""
    commands = sorted(catalog.all_commands(), key=lambda command: (command.tool != FIRST, command.tool))
    entries = {
        command.tool: Entry(
            command.domain,
            command.annotations["readOnlyHint"],
            command.is_recorded,
            tokens_of(tool_definition(command)),
        )
        for command in commands
    }
    searching = {
        name: Entry("", tool["annotations"]["readOnlyHint"], recorded=False, tokens=tokens_of(tool))
        for name, tool in surface.TOOLS.items()
    }
    return entries | searching


@cache
def _encode() -> Callable[[str], list[int]]:
    with warnings.catch_warnings():
        # It reads its tables with a function that the standard library keeps for old code (importlib.resources).
        warnings.simplefilter("ignore", DeprecationWarning)
        import bpe_openai

    return bpe_openai.get_encoding("o200k_base").encode
