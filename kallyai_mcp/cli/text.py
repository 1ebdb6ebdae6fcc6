"""Texts as a terminal may have them: nothing that moves its cursor, and commands by what is typed there."""

from __future__ import annotations

import re

PROGRAM = "kallyai-mcp"

# C0 and C1 controls but tab and line feed, and the marks that reorder text on the screen (Unicode TR 36, 2.5).
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_TOOL = re.compile(r"\bkallyai_[a-z0-9_]*[a-z0-9]")
_EITHER_WAY = re.compile(rf"(?:the tool )?kallyai_login\b[^.]*?{PROGRAM} login`? in a terminal")
_OWN = {"login": "login", "logout": "logout", "auth-status": "status", "stop": "stop"}


def visible(text: str) -> str:
    """Return the text without what a terminal would obey instead of show."""
    return text if text.isprintable() else _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def escaped(json_text: str) -> str:
    r"""Return JSON text whose characters without a glyph are written `\uXXXX` (RFC 8259, section 7)."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)


def for_terminal(text: str) -> str:
    """Return a sentence that names tools with the commands to type in their place."""
    text = _EITHER_WAY.sub(f"'{PROGRAM} login'", text)
    if "kallyai_" not in text:
        return text
    from kallyai_mcp.catalog import by_tool

    def typed(found: re.Match[str]) -> str:
        command = by_tool().get(found[0])
        if command is None:
            return found[0]
        return f"'{PROGRAM} {_OWN[command.name]}'" if command.name in _OWN else f"'{PROGRAM} run {command.name}'"

    return _TOOL.sub(typed, text)
