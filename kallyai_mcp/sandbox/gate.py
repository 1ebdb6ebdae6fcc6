"""The door of the sandbox: what every request passes, whatever it is for.

Other web pages must not reach in: the Host must be a loopback name (against DNS rebinding), and a request that a
browser marks as coming from another site is refused unless it is a person following a link.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection

from kallyai_mcp.model.sandbox_marks import HEADER
from kallyai_mcp.sandbox.answers import refuse
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from kallyai_mcp.sandbox.faults import Switches
    from kallyai_mcp.sandbox.world import World

REQUEST_ID_HEADER = "X-Request-Id"
_LOOPBACK = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.ASCII)


class Gate:
    """ASGI middleware: turns strangers away, lets due events happen, marks every answer."""

    def __init__(self, app: ASGIApp, world: World, switches: Switches) -> None:
        self._app = app
        self._world = world
        self._switches = switches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = self._world.new_request_id()
        state: dict[str, Any] = {
            **scope.get("state", {}),
            "correlation_id": correlation_id,
            "form": self._switches.form,
        }
        scope = {**scope, "state": state}

        started = False

        async def marked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers[HEADER] = "true"
                headers[REQUEST_ID_HEADER] = correlation_id
            await send(message)

        connection = HTTPConnection(scope)
        if (refusal := _stranger(connection)) is not None:
            await refuse(refusal, connection)(scope, receive, marked)
            return
        self._world.run_due()
        try:
            await self._app(scope, receive, marked)
        except ConnectionResetError:
            raise
        except Exception:
            # Answered here, since what Starlette answers outside its middleware would not be marked.
            if not started:
                await refuse(Refusal(status=500), connection)(scope, receive, marked)
            raise


def _stranger(connection: HTTPConnection) -> Refusal | None:
    headers = connection.headers
    host = headers.get("host", "")
    if not _LOOPBACK.fullmatch(host):
        return Refusal(status=421)
    site = headers.get("sec-fetch-site")
    if site is None:
        origin = headers.get("origin")
        own = origin is None or origin == f"{connection.url.scheme}://{host}"
    else:
        follows_link = (
            connection.scope["method"] in ("GET", "HEAD")
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
        )
        own = site in ("same-origin", "none") or follows_link
    return None if own else Refusal(status=403, message="Requests from other sites are refused.")
