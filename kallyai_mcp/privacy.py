"""Take what is personal or secret out of a text before it is logged or shown in an error."""

from __future__ import annotations

import re

_KEPT = (
    r"(?P<kept>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"  # UUID (RFC 9562)
    r"|(?<![\d+-])(?:19|20)\d\d-[01]\d-[0-3]\d(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?)?(?![\d-]))"  # ISO 8601
)
_PERSONAL = re.compile(
    _KEPT + r"|(?P<secret>(?<=[Bb]earer )[^\s\"',]+|(?<=token=)[^\s&\"']+|(?<=code=)[^\s&\"']+"
    r"|(?<=_token\": \")[^\"]+|(?<=_token\":\")[^\"]+|(?<=_token': ')[^']+"
    r'|(?<=_token\\": \\")[^\\"]+|(?<=_token\\":\\")[^\\"]+'  # JSON within JSON
    r"|\beyJ[\w-]{8,}(?:\.[\w-]+)*|\bkallyai_sandbox_\w+|[\w-]{40,})"
    r"|(?P<address>[^\s@<>()\[\]\"',;:]{1,64}(?:@|%40)[^\s@<>()\[\]\"',;:]+)"
    r"|(?P<number>\+?\(?\d(?:[\s().\-/]{0,3}\d){6,})"
)
_WORDS = {"address": "[address]", "secret": "[secret]", "number": "[number]"}


def mask(text: str) -> str:
    """Replace tokens, mail addresses and phone numbers by what kind of thing stood there.

    A run of seven or more digits counts as a number, with blanks, dots, dashes and brackets between them; a word long
    enough to be a token counts as a secret. Identifiers in UUID form and ISO dates stay.
    """
    return _PERSONAL.sub(_replace, text)


def _replace(found: re.Match[str]) -> str:
    return _WORDS.get(found.lastgroup or "", found.group())
