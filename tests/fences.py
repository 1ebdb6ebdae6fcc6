"""Read an answer with words of others as its reader is meant to: what this program says, and what they say."""

from __future__ import annotations

import re
from typing import Any

from kallyai_mcp.catalog import find

_FENCED = re.compile(
    r"(?P<before>.*?)\n<<words-of-others (?P<number>[0-9a-f]{16})>>\n(?P<words>.*)\n"
    r"<</words-of-others (?P=number)>>(?P<after>.*)",
    re.DOTALL,
)


def between_marks(text: str) -> tuple[str, str]:
    """Return what stands outside the marks, and what stands between them."""
    found = _FENCED.fullmatch(text)
    assert found is not None, text
    assert text.count(found["number"]) == 2
    return found["before"] + found["after"], found["words"]


def with_origin(tool: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the structured content of an answer with words of others."""
    command = find(tool)
    assert command.text_from is not None
    origin = {"kind": "third_party", "source": command.text_from.value, "from": command.name}
    return {"_origin": origin} | answer
