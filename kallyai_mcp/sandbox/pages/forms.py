"""Read what a form or an OAuth client posts, with limits."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BODY = 16 * 1024
_FORM = "application/x-www-form-urlencoded"


class BadForm(ValueError):
    """What was posted cannot be read; the text says why."""


async def read_body(request: Request) -> bytes:
    """Return the body.

    Raises:
        BadForm: It is larger than the limit.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadForm("The body is too large.")
    return bytes(body)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form, those without a value left out (RFC 6749 3.2).

    Raises:
        BadForm: Another content type, a field that comes twice, or something that is no form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise BadForm(f"The content type must be {_FORM}.")
    body = await read_body(request)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=40, errors="strict")
    except ValueError:
        raise BadForm("The body is not a form in UTF-8.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadForm("A field comes twice.")
    return {name: value for name, value in fields.items() if value}
