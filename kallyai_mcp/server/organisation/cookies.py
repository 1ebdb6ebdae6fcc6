"""What a browser keeps for the pages: who has signed in, and the sign-in under way. Sealed, short-lived, ours alone."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

from mcp.server.request_state import InvalidRequestState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp.server.request_state import RequestStateCodec
    from starlette.requests import Request
    from starlette.responses import Response


class Cookies:
    """Sealed cookies.

    Args:
        codec: Seals them; the same on every replica.
        secure: Whether pages are reached by https; without it, on this machine alone.
        clock: Unix seconds.
    """

    def __init__(self, codec: RequestStateCodec, *, secure: bool, clock: Callable[[], float] = time.time) -> None:
        self._codec = codec
        self._secure = secure
        self._clock = clock

    def put(self, response: Response, name: str, facts: Mapping[str, Any], seconds: int) -> None:
        """Have a browser keep something for so many seconds."""
        content = json.dumps({"for": name, "ends": self._clock() + seconds, "facts": dict(facts)})
        response.set_cookie(
            self._name(name),
            self._codec.seal(content.encode()),
            max_age=seconds,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",  # a person comes here from their assistant, and from the provider's pages
        )

    def take(self, request: Request, name: str) -> dict[str, Any] | None:
        """Return what a browser has kept; None where there is nothing, or it is over."""
        sealed = request.cookies.get(self._name(name))
        if sealed is None:
            return None
        try:
            content = cast("dict[str, Any]", json.loads(self._codec.unseal(sealed)))
        except (InvalidRequestState, ValueError):
            return None
        is_good = content.get("for") == name and content.get("ends", 0) > self._clock()
        return content["facts"] if is_good else None

    def drop(self, response: Response, name: str) -> None:
        """Have a browser forget something."""
        response.delete_cookie(self._name(name), path="/", secure=self._secure, httponly=True, samesite="lax")

    def _name(self, name: str) -> str:
        # With the prefix a browser takes it from this very host alone, by https (RFC 6265bis, 4.1.3.2).
        return f"__Host-kallyai-{name}" if self._secure else f"kallyai-{name}"
