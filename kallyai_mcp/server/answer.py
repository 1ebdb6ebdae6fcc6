"""From results and errors to `CallToolResult`s of the protocol, as they go over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kallyai_mcp.engine import Result
    from kallyai_mcp.errors import KallyError


def success(result: Result) -> dict[str, Any]:
    """Say what the run brought: structured, and as text; a file as an embedded resource."""
    content: list[dict[str, Any]] = [{"type": "text", "text": result.text}]
    if (file := result.file) is not None:
        resource = {"uri": file.uri, "mimeType": file.media_type, "text": file.text}
        content.append({"type": "resource", "resource": resource})
    return _complete(content, result.structured, is_error=False)


def failure(error: KallyError) -> dict[str, Any]:
    """Say what went wrong and what to do, in one text a model can act on and in `structuredContent.error`."""
    reference = f" (code {error.error_code}"
    if error.correlation_id is not None:
        reference += f", correlation id {error.correlation_id}"
    text = f"{error.message} {error.next_step}{reference})"
    return _complete([{"type": "text", "text": text}], {"error": error.as_dict()}, is_error=True)


def _complete(content: list[dict[str, Any]], structured: dict[str, Any], *, is_error: bool) -> dict[str, Any]:
    # 2026-07-28 demands the type of a result; the SDK leaves it out for earlier versions.
    return {"content": content, "structuredContent": structured, "isError": is_error, "resultType": "complete"}
