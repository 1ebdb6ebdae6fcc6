"""From what an area returns, or refuses, to the response that goes out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import Response

from kallyai_mcp.examples import examples_of
from kallyai_mcp.sandbox.area import Reply

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from kallyai_mcp.model import Command
    from kallyai_mcp.sandbox.refusal import Refusal

APP_SETTINGS = "https://kallyai.com/app/settings"
"""Where the API's redirect leads."""


def to_reply(command: Command, result: object) -> Reply:
    """Return a handler's result as a reply."""
    if isinstance(result, Reply):
        return result
    return Reply(status=204) if result is None and not command.redirects else Reply(result)


def sample_reply(command: Command) -> Reply:
    """Return the answer of a command's first example, for a command that no area answers."""
    answer = examples_of(command)[0]["answer"]
    if command.redirects:
        return Reply(status=302, headers={"Location": APP_SETTINGS})
    if command.calendar:
        return Reply(answer, media_type="text/calendar")
    return to_reply(command, answer)


def respond(reply: Reply) -> Response:
    """Render a reply."""
    headers = dict(reply.headers)
    if reply.body is None:
        return Response(status_code=reply.status, headers=headers)
    if reply.media_type != "application/json" and isinstance(reply.body, str | bytes):
        return Response(reply.body, reply.status, headers, media_type=reply.media_type)
    return Response(json_bytes(reply.body), reply.status, headers, media_type="application/json")


def refuse(refusal: Refusal, connection: HTTPConnection) -> Response:
    """Render a refusal in the form of the envelope that is switched on."""
    state = cast("dict[str, Any]", connection.scope.get("state", {}))
    headers = dict(refusal.headers)
    if refusal.retry_after is not None:
        headers["Retry-After"] = f"{refusal.retry_after:g}"
    if refusal.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    body = refusal.envelope(state.get("correlation_id", "sbx_req_unknown"), state.get("form", "a"))
    return Response(json_bytes(body), refusal.status, headers, media_type="application/json")


def json_bytes(value: Any) -> bytes:
    """Write JSON in UTF-8; text that UTF-8 cannot hold (half a surrogate pair) stays escaped."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
