"""Take what is personal or secret out of a text before it is logged or shown in an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEPT = (
    r"(?P<kept>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"  # UUID (RFC 9562)
    r"|(?<![\d+-])(?:19|20)\d\d-[01]\d-[0-3]\d(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?)?(?![\d-]))"  # ISO 8601
)
_PERSONAL = re.compile(
    _KEPT + r"|(?P<secret>(?<=[Bb]earer )[^\s\"',]+|(?<=token=)[^\s&\"']+|(?<=code=)[^\s&\"']+"
    r"|(?<=_token\": \")[^\"]+|(?<=_token\":\")[^\"]+|(?<=_token': ')[^']+"
    r'|(?<=_token\\": \\")[^\\"]+|(?<=_token\\":\\")[^\\"]+'  # JSON within JSON
    r"|\beyJ[\w-]{8,}(?:\.[\w-]+)*|\bkallyai_sandbox_\w+|[\w-]{40,}|(?:%[0-9a-fA-F]{2}){7,})"
    r"|(?P<address>[^\s@<>()\[\]\"',;:]{1,64}(?:@|%40)[^\s@<>()\[\]\"',;:]+)"
    r"|(?P<number>\+?\(?\d(?:[\s().\-/]{0,3}\d){6,})"
)
_WORDS = {"address": "[address]", "secret": "[secret]", "number": "[number]"}


SHORTEST = 8
"""Characters of a secret from which on it is looked for in texts; a shorter one would occur in them anyway."""

MOST = 64
"""Passing secrets that are remembered, the latest of all that were in use."""

_lasting: dict[str, re.Pattern[str] | None] = {}
_passing: dict[str, re.Pattern[str] | None] = {}


def hide(secret: str, *, lasting: bool = False) -> None:
    """Mask this very secret from now on, in whatever encoding a service may send it back.

    A lasting one stays in force as long as the process; the others are tokens, which later ones replace.
    """
    hidden = _lasting if lasting else _passing
    if len(secret) < SHORTEST or secret in hidden:
        return
    hidden[secret] = None
    for oldest in list(_passing)[:-MOST]:
        _passing.pop(oldest, None)


def mask(text: str) -> str:
    """Replace tokens, mail addresses and phone numbers by what kind of thing stood there.

    A run of seven or more digits counts as a number, with blanks, dots, dashes and brackets between them; a word long
    enough to be a token counts as a secret. Identifiers in UUID form and ISO dates stay. Secrets that were named to
    `hide` are found plain, percent-encoded, JSON-escaped, in base64 and in hexadecimal.
    """
    return _PERSONAL.sub(_replace, _mask_named(text))


def without_secrets(value: Any) -> Any:
    """Return a JSON value without the secrets that were named to `hide`, found as `mask` finds them; the rest stays."""
    if isinstance(value, str):
        return _mask_named(value)
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, Any]", value)
        return {_mask_named(name): without_secrets(inner) for name, inner in entries.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in cast("Sequence[Any]", value)]
    return value


def _mask_named(text: str) -> str:
    for hidden in (_lasting, _passing):
        for secret, known in list(hidden.items()):
            pattern = known or _pattern(secret)
            if known is None:
                hidden[secret] = pattern
            text = pattern.sub(_WORDS["secret"], text)
    return text


def _replace(found: re.Match[str]) -> str:
    return _WORDS.get(found.lastgroup or "", found.group())


def _pattern(secret: str) -> re.Pattern[str]:
    import json

    content = secret.encode()
    # In an address any character may be written as it is, or as its byte (RFC 3986, 2.4).
    percent = "".join(f"(?:{re.escape(letter)}|%(?i:{ord(letter):02x}))" for letter in secret if letter.isascii())
    exact = {json.dumps(secret)[1:-1], repr(secret)[1:-1], *_base64(content)}
    return re.compile("|".join((percent, f"(?i:{content.hex()})", *map(re.escape, exact))))


def _base64(content: bytes) -> list[str]:
    """What of a content is the same in base64 whatever stands before and after it, for each alignment."""
    from base64 import b64encode, urlsafe_b64encode

    found: list[str] = []
    for before in range(3):
        first, end = -(-8 * before // 6), 8 * (before + len(content)) // 6
        padded = bytes(before) + content
        found += [encode(padded).decode("ascii")[first:end] for encode in (b64encode, urlsafe_b64encode)]
    return found
