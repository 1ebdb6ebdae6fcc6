"""The pages of the sandbox for people: approving a device code, and watching what the agent does.

Real HTML that works without JavaScript, from this machine alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from kallyai_mcp.looks import sheet
from kallyai_mcp.sandbox.pages.activate import Activation
from kallyai_mcp.sandbox.pages.consent import Consent
from kallyai_mcp.sandbox.pages.guard import guarded
from kallyai_mcp.sandbox.pages.mail import MailPages
from kallyai_mcp.sandbox.pages.render import FOLDER, Pages
from kallyai_mcp.sandbox.pages.watching import Watching

if TYPE_CHECKING:
    from starlette.requests import Request

    from kallyai_mcp.sandbox.pages.guard import Handler
    from kallyai_mcp.sandbox.world import World

__all__ = ["consent_routes", "routes"]

_STATIC = {
    "style.css": "text/css; charset=utf-8",
    "watch.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def routes(world: World) -> list[Route]:
    """Return the pages' routes."""
    pages = Pages()
    activation, watching, mail = Activation(world, pages), Watching(world, pages), MailPages(world, pages)
    return [
        _get("/", watching.everything),
        _get("/events", watching.events),
        _get("/calls/{call_id}", watching.one_call),
        _get("/recordings/{name}.wav", watching.sound),
        _get("/activate", activation.show),
        _post("/activate", activation.submit),
        _get("/sandbox/email/{provider}", mail.show),
        _post("/sandbox/email/{provider}", mail.connect),
        _get("/settings", mail.verified),
        *(_get(f"/pages/{name}", _static(name, media_type)) for name, media_type in _STATIC.items()),
    ]


def consent_routes(world: World) -> list[Route]:
    """Return the routes of the sign-ins that go through the browser."""
    consent = Consent(world, Pages())
    return [
        _get("/v1/auth/cli", consent.show_cli),
        _post("/v1/auth/cli", consent.answer_cli),
        _get("/v1/auth/authorize", consent.show_authorize),
        _post("/v1/auth/authorize", consent.answer_authorize),
    ]


def _get(path: str, handler: Handler) -> Route:
    return Route(path, guarded(handler), methods=["GET"])


def _post(path: str, handler: Handler) -> Route:
    return Route(path, guarded(handler), methods=["POST"])


def _static(name: str, media_type: str) -> Handler:
    async def serve(request: Request) -> Response:
        path = FOLDER / "static" / name
        return Response(sheet(path) if path.suffix == ".css" else path.read_bytes(), media_type=media_type)

    return serve
