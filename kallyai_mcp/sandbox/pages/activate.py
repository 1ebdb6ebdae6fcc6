"""The page on which a person enters or confirms a device code and says yes or no (RFC 8628 3.3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kallyai_mcp.sandbox import signin
from kallyai_mcp.sandbox.pages.forms import BadForm, read_form
from kallyai_mcp.sandbox.pages.guard import Forms
from kallyai_mcp.sandbox.scopes import SCOPES

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from kallyai_mcp.sandbox.pages.render import Pages
    from kallyai_mcp.sandbox.world import World

_OVER = {
    "approved": "This code was approved already. Nothing is left to do here.",
    "denied": "This code was denied already. The program has to ask again.",
    "used": "This code was used already. Nothing is left to do here.",
}
STALE_FORM = (
    "This form is not valid any more",
    "It was opened in another browser, or before the sandbox was started anew. Nothing was changed.",
)


class Activation:
    """The page's answers."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world = world
        self._pages = pages
        self._forms = Forms(world)

    async def show(self, request: Request) -> Response:
        """Answer GET: the empty form, or the grant of the code in the address."""
        typed = request.query_params.get("user_code", "")
        return self._look_up(request, typed) if typed else self._form(request)

    async def submit(self, request: Request) -> Response:
        """Answer POST: look a code up, or keep the person's answer."""
        try:
            fields = await read_form(request)
        except BadForm as error:
            return self._pages.message("The form cannot be read", str(error), status=400)
        if not self._forms.holds(request, fields):
            return self._pages.message(*STALE_FORM, status=403, link=("/activate", "Enter the code again"))
        typed, decision = fields.get("user_code", ""), fields.get("decision")
        if decision not in {"approve", "deny", None}:
            return self._pages.message("The form cannot be read", "Approve or deny, nothing else.", status=400)
        return self._look_up(request, typed, approve=None if decision is None else decision == "approve")

    def _look_up(self, request: Request, typed: str, *, approve: bool | None = None) -> Response:
        if not typed.strip():
            return self._form(request, error="Enter the code that the program shows.", status=422)
        if wait := self._must_wait():
            words = f"Too many wrong codes. Try again in {_minutes(wait)}."
            return self._form(request, typed, words, 429, {"Retry-After": str(math.ceil(wait))})
        grant = signin.by_user_code(self._world, typed)
        if grant is None:
            left = signin.count_wrong(self._world)
            tries = f"{left} more {'try' if left == 1 else 'tries'}" if left else "No more tries for now"
            words = f"No program is waiting for this code. Compare it with the one the program shows. {tries}."
            return self._form(request, typed, words, 404)
        if grant["status"] in _OVER:
            return self._form(request, typed, _OVER[grant["status"]], 409)
        left = grant["expires"] - signin.now(self._world)
        if left <= 0:
            return self._form(request, typed, "This code has expired. Let the program make a new one.", 410)
        if approve is None:
            return self._confirm(request, grant, left)
        signin.decide(self._world, grant, approve=approve)
        name, _ = signin.client_name(grant["client_id"])
        if approve:
            return self._pages.message(f"{name} is connected", "You can close this page and go back to the program.")
        return self._pages.message(f"{name} was denied", "It got no access. You can close this page.")

    def _must_wait(self) -> float:
        return max(0.0, signin.may_try(self._world))

    def _form(
        self,
        request: Request,
        typed: str = "",
        error: str = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        csrf, cookie = self._forms.token(request)
        values = {"typed": typed[:40], "error": error, "csrf": csrf}
        return self._pages.answer("enter.html", status=status, cookie=cookie, headers=headers, **values)

    def _confirm(self, request: Request, grant: dict[str, str], left: float) -> Response:
        csrf, cookie = self._forms.token(request)
        client, registered = signin.client_name(grant["client_id"])
        return self._pages.answer(
            "confirm.html",
            cookie=cookie,
            csrf=csrf,
            client=client,
            registered=registered,
            user_code=grant["user_code"],
            target=None,
            scopes=[SCOPES[scope] for scope in grant["scope"].split()],
            action="/activate",
            fields={"user_code": grant["user_code"]},
            yes="Approve",
            minutes=_minutes(left),
        )


def _minutes(seconds: float) -> str:
    whole = math.ceil(seconds / 60)
    return "1 minute" if whole == 1 else f"{whole} minutes"
