"""The page to which `email connect` leads: it stands for the mail provider's sign-in and connects a made-up account.

Also the page to which a verified address is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallyai_mcp.sandbox.areas.email import finish_connecting
from kallyai_mcp.sandbox.pages.activate import STALE_FORM
from kallyai_mcp.sandbox.pages.forms import BadForm, read_form
from kallyai_mcp.sandbox.pages.guard import Forms

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from kallyai_mcp.sandbox.pages.render import Pages
    from kallyai_mcp.sandbox.world import World

_USED_UP = ("This page is used up", "Ask for a new address with email connect.")


class MailPages:
    """Both pages, for one world."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world = world
        self._pages = pages
        self._forms = Forms(world)

    async def show(self, request: Request) -> Response:
        """Ask whether to connect the account."""
        provider, state = request.path_params["provider"], request.query_params.get("state", "")
        if not self._is_open(provider, state):
            return self._pages.message(*_USED_UP, status=404)
        csrf, cookie = self._forms.token(request)
        return self._pages.answer(
            "mail.html", cookie=cookie, provider=provider.title(), state=state, csrf=csrf, action=request.url.path
        )

    async def connect(self, request: Request) -> Response:
        """Connect it, once."""
        try:
            fields = await read_form(request)
        except BadForm as error:
            return self._pages.message("This cannot be read", str(error), status=400)
        if not self._forms.holds(request, fields):
            return self._pages.message(*STALE_FORM, _USED_UP[1], status=403)
        state = fields.get("state", "")
        if not self._is_open(request.path_params["provider"], state):
            return self._pages.message(*_USED_UP, status=404)
        with self._world.transaction():
            account = finish_connecting(self._world, state)
        return self._pages.message("Connected", f"{account['email']} is connected. You can close this page.")

    async def verified(self, request: Request) -> Response:
        """Say how the verification of an address went."""
        if request.query_params.get("email_verification") == "success":
            return self._pages.message("The address is verified", "You can close this page.")
        return self._pages.message("The address is not verified", "The link is not valid, or was used before.")

    def _is_open(self, provider: str, state: str) -> bool:
        connection = self._world.get("email_connection", state)
        return connection is not None and connection["provider"] == provider
