"""From results and errors to `CallToolResult`s of the protocol, as they go over the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

LONGEST_ERROR = 8_000
"""Characters of an error, message and advice together; what is longer repeats what the caller itself has given."""

LONGEST_BEYOND_ASCII = 2_000
"""The same where a character may be four tokens: said twice, with its details, it is within what hosts take."""

_STOPS = (".", "!", "?", ":", "\u2026", "\u201d", ")", "\u3002", "\uff01", "\uff1f")
_ALWAYS = ("code", "message", "next_step", "retryable", "http_status", "correlation_id")

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kallyai_mcp.engine import Result
    from kallyai_mcp.errors import KallyError


def success(result: Result, links: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Say what the run brought: structured, and as text; a file as an embedded resource; links to what follows."""
    content: list[dict[str, Any]] = [{"type": "text", "text": result.text}]
    if (file := result.file) is not None:
        resource = {"uri": file.uri, "mimeType": file.media_type, "text": file.text}
        content.append({"type": "resource", "resource": resource})
    content += links
    return _complete(content, result.structured, is_error=False)


def failure(error: KallyError) -> dict[str, Any]:
    """Say what went wrong and what to do, in one text a model can act on and in `structuredContent.error`."""
    most = LONGEST_ERROR if error.message.isascii() and error.next_step.isascii() else LONGEST_BEYOND_ASCII
    if len(error.message) + len(error.next_step) > most:
        error.message, error.next_step = (_shortened(part, most // 2) for part in (error.message, error.next_step))
    reference = f" (code {error.error_code}"
    if error.correlation_id is not None:
        reference += f", correlation id {error.correlation_id}"
    stop = "" if error.message.endswith(_STOPS) else "."  # a message may end with the service's own words
    text = f"{error.message}{stop} {error.next_step}{reference})"
    told = error.as_dict()
    written = json.dumps(told, ensure_ascii=False)
    if len(written) > 2 * (LONGEST_ERROR if written.isascii() else LONGEST_BEYOND_ASCII):
        told = {name: value for name, value in told.items() if name in _ALWAYS}
    return _complete([{"type": "text", "text": text}], {"error": told}, is_error=True)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… (cut to {most} of {len(text)} characters)"


def _complete(content: list[dict[str, Any]], structured: dict[str, Any], *, is_error: bool) -> dict[str, Any]:
    # 2026-07-28 demands the type of a result; the SDK leaves it out for earlier versions.
    return {"content": content, "structuredContent": structured, "isError": is_error, "resultType": "complete"}
