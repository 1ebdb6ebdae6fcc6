"""Read the body of an answer without letting it grow beyond bounds, and make text or JSON of it."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import pydantic_core

from kallyai_mcp.api.clean import clean, clean_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

MAX_BYTES = 8 * 1024 * 1024
"""Largest body that is read, before and after decoding."""

_WBITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_MAX_DIGITS = 300
"""Digits of an integer that are read; longer ones stay text, below Python's own limit."""


class TooLarge(Exception):
    """The body is larger than is read."""


class NotUnderstood(Exception):
    """The body is in an encoding, or of a form, that is not understood."""


async def read(parts: AsyncIterable[bytes], encoding: str, length: str | None, limit: int = MAX_BYTES) -> bytes:
    """Collect a body.

    Identity is asked for, yet a proxy on the way may have compressed the body: gzip and deflate are undone here, since
    the HTTP library's own decoder inflates a whole chunk at once, whatever it holds.

    Args:
        parts: The body as it comes over the wire.
        encoding: The answer's Content-Encoding, empty if there is none.
        length: The answer's Content-Length, if there is one.
        limit: Most bytes that are read, before and after decoding.

    Raises:
        TooLarge: There is more.
        NotUnderstood: The encoding is another one, or broken.
    """
    encoding = encoding.strip().lower()
    if encoding not in _WBITS and encoding not in {"", "identity"}:
        raise NotUnderstood
    if length is not None and length.isascii() and length.isdecimal() and len(length) < 20 and int(length) > limit:
        raise TooLarge
    body = bytearray()
    async for part in parts:
        if len(body) + len(part) > limit:
            raise TooLarge
        body += part
    return _inflate(bytes(body), _WBITS[encoding], limit) if body and encoding in _WBITS else bytes(body)


def _inflate(body: bytes, wbits: int, limit: int) -> bytes:
    if wbits == 15 and body[0] & 0x0F != 8:
        wbits = -15  # deflate without the zlib wrapper, which RFC 9110, 8.4.1.2 notes as a common mistake
    decoder = zlib.decompressobj(wbits)
    try:
        plain = decoder.decompress(body, limit + 1)
    except zlib.error:
        raise NotUnderstood from None
    if len(plain) > limit:
        raise TooLarge
    if not decoder.eof:
        raise NotUnderstood
    return plain


def as_json(body: bytes) -> Any:
    """Return the cleaned JSON value of a body.

    Raises:
        NotUnderstood: It is no JSON, or nested too deeply for any parser.
    """
    try:
        value = pydantic_core.from_json(body)
    except ValueError:
        value = _patient(body)
    return clean(value)


def _patient(body: bytes) -> Any:
    # A byte order mark, half an emoji, bad UTF-8 or a number of thousands of digits must not cost the user the answer.
    try:
        return json.loads(body.decode("utf-8-sig", errors="replace"), strict=False, parse_int=_integer)
    except (ValueError, RecursionError):
        raise NotUnderstood from None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def as_text(body: bytes) -> str:
    """Return the cleaned text of a body in UTF-8."""
    return clean_text(body.decode("utf-8-sig", errors="replace"))
