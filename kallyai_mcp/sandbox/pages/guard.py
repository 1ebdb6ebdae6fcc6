"""What keeps other web pages away from these: headers, and a token in every form.

The sandbox's gate refuses foreign Hosts, Origins and fetch sites before a page is asked. Beyond that a form carries a
token bound to a cookie, nothing can be framed, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from kallyai_mcp.model.sandbox_marks import ID_PREFIX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from kallyai_mcp.sandbox.world import World

    Handler = Callable[[Request], Awaitable[Response]]

COOKIE = "kallyai_sandbox_form"
_KEY = f"{ID_PREFIX}form_key"

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def policy(*, form_target: str = "", **sources: str) -> str:
    """Return a Content-Security-Policy that allows nothing but our own style sheet and icon, and what is named.

    Args:
        form_target: A further origin to which the answer to a form may redirect; browsers count that as its target.
        sources: More directives, such as `media_src="'self'"`.
    """
    rules = {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": f"'self' {form_target}".strip(),
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    } | {name.replace("_", "-"): value for name, value in sources.items()}
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def origin(request: Request) -> str:
    """Return our own origin as the client wrote it."""
    return f"{request.url.scheme}://{request.headers['host']}"


def guarded(handler: Handler) -> Handler:
    """Wrap a page: add the headers."""

    async def guard(request: Request) -> Response:
        response = await handler(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", policy())
        return response

    return guard


class Forms:
    """Tokens for forms: each is bound to a cookie of the browser that loaded the form, by a key of this world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def token(self, request: Request) -> tuple[str, str]:
        """Return the token for a form and the cookie that it is bound to."""
        cookie = request.cookies.get(COOKIE) or secrets.token_urlsafe(24)
        return self._bound(cookie), cookie

    def holds(self, request: Request, fields: Mapping[str, str]) -> bool:
        """Whether the form was loaded by the browser that sends it."""
        cookie = request.cookies.get(COOKIE, "")
        return bool(cookie) and hmac.compare_digest(self._bound(cookie).encode(), fields.get("csrf", "").encode())

    def _bound(self, cookie: str) -> str:
        kept = self._world.get("form_key", _KEY) or self._world.add("form_key", {"key": secrets.token_hex(32)}, id=_KEY)
        return hmac.new(bytes.fromhex(kept["key"]), cookie.encode(), hashlib.sha256).hexdigest()
