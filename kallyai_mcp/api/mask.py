"""Keep phone numbers, e-mail addresses and secrets out of error texts, whoever wrote them."""

from __future__ import annotations

import re

from kallyai_mcp.api.clean import clean_text

_KEPT = (
    r"(?P<kept>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"  # UUID
    r"|(?<![\d+-])(?:19|20)\d\d-[01]\d-[0-3]\d(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d)?)?(?![\d-]))"  # ISO 8601
)
_PERSONAL = re.compile(
    _KEPT
    + r"|(?P<address>[^\s@<>()\[\]\"',;:]{1,64}(?:@|%40)[^\s@<>()\[\]\"',;:]+)"
    + r"|(?P<secret>[\w-]{40,}|\beyJ[\w-]+\.[\w.-]+|\bkallyai_sandbox_\w+)"
    + r"|(?P<number>\+?\(?\d(?:[\s().\-/]{0,3}\d){6,})"
)
_WORDS = {"address": "[address]", "secret": "[secret]", "number": "[number]"}


def mask(text: str, limit: int = 500) -> str:
    """Return the text on one line, cleaned and cut to `limit` characters, for use in an error.

    E-mail addresses, runs of seven or more digits (blanks, dots, dashes and brackets between them count as part of the
    run) and words long enough to be a token are replaced; identifiers in UUID form and ISO dates stay.
    """
    line = " ".join(clean_text(text[: 4 * limit]).split())
    # Whole things are masked before the cut, so that none is cut to a form that is no longer recognised.
    line = _PERSONAL.sub(_replace, line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _replace(found: re.Match[str]) -> str:
    return _WORDS.get(found.lastgroup or "", found.group())
