"""The pages of the two flows that go through the browser: sign-in by loopback redirect, and authorization codes.

`/v1/auth/cli` hands the tokens over in the query of the redirect, as the service does. `/v1/auth/authorize` is RFC 6749
4.1.1, with PKCE (RFC 7636) when the client offers it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.responses import RedirectResponse

from kallyai_mcp.sandbox import signin, tokens
from kallyai_mcp.sandbox.pages.activate import STALE_FORM
from kallyai_mcp.sandbox.pages.forms import BadForm, read_form
from kallyai_mcp.sandbox.pages.guard import Forms, policy
from kallyai_mcp.sandbox.scopes import SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from kallyai_mcp.sandbox.pages.render import Pages
    from kallyai_mcp.sandbox.world import World

_REDIRECT = re.compile(r"http://(?:localhost|127\.0\.0\.1):([1-9][0-9]{0,4})(?:/[A-Za-z0-9._~/-]*)?", re.ASCII)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_MAX_STATE = 1024


def is_loopback_redirect(uri: str) -> bool:
    """Whether a redirect leads to a port of this machine: the documented rule of `/v1/auth/cli`."""
    match = _REDIRECT.fullmatch(uri)
    return match is not None and int(match[1]) < 65536


class Consent:
    """Both flows' pages."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world = world
        self._pages = pages
        self._forms = Forms(world)

    async def show_cli(self, request: Request) -> Response:
        """Ask whether the command line may sign in."""
        asked = dict(request.query_params)
        if problem := _unsafe(asked):
            return self._refused(problem)
        return self._ask(request, asked, "/v1/auth/cli", "kallyai-cli", list(SCOPES), ("redirect_uri", "state"))

    async def answer_cli(self, request: Request) -> Response:
        """Send the browser back with tokens, or with an error."""
        fields, refused = await self._read(request)
        if refused:
            return refused
        if fields["decision"] == "deny":
            return _back(fields, error="access_denied")
        pair = tokens.issue(self._world)
        return _back(
            fields,
            access_token=pair.access_token,
            refresh_token=pair.refresh_token,
            expires_in=str(pair.expires_in),
        )

    async def show_authorize(self, request: Request) -> Response:
        """Ask whether the client may have an authorization code."""
        asked = dict(request.query_params)
        if problem := _unsafe(asked):
            return self._refused(problem)
        if asked.get("client_id") != signin.CODE_CLIENT:
            known = f"The sandbox knows {signin.CODE_CLIENT}, whose secret is {signin.CODE_CLIENT_SECRET}."
            return self._refused(f"The client_id is unknown. {known}")
        try:
            scope = _check_authorization(asked)
        except signin.OAuthError as error:
            return _back(asked, error=error.error, error_description=error.description)
        kept = ("client_id", "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method")
        return self._ask(request, asked, "/v1/auth/authorize", asked["client_id"], scope.split(), kept)

    async def answer_authorize(self, request: Request) -> Response:
        """Send the browser back with a code, or with an error."""
        fields, refused = await self._read(request)
        if refused:
            return refused
        if fields.get("client_id") != signin.CODE_CLIENT:
            return self._refused("The client_id is unknown.")
        try:
            scope = _check_authorization(fields | {"response_type": "code"})
        except signin.OAuthError as error:
            return _back(fields, error=error.error, error_description=error.description)
        if fields["decision"] == "deny":
            return _back(fields, error="access_denied")
        code = signin.grant_code(
            self._world,
            client_id=fields["client_id"],
            redirect_uri=fields["redirect_uri"],
            scope=scope,
            challenge=fields.get("code_challenge"),
        )
        return _back(fields, code=code)

    def _ask(
        self,
        request: Request,
        asked: Mapping[str, str],
        action: str,
        client_id: str,
        scopes: list[str],
        kept: tuple[str, ...],
    ) -> Response:
        csrf, cookie = self._forms.token(request)
        client, registered = signin.client_name(client_id)
        goes_to = urlsplit(asked["redirect_uri"])
        return self._pages.answer(
            "confirm.html",
            cookie=cookie,
            headers={"Content-Security-Policy": policy(form_target=f"http://{goes_to.netloc}")},
            csrf=csrf,
            client=client,
            registered=registered,
            user_code=None,
            target=goes_to.netloc,
            scopes=[SCOPES[scope] for scope in scopes],
            action=action,
            fields={name: asked[name] for name in kept if asked.get(name)},
            yes="Allow",
            minutes=None,
        )

    async def _read(self, request: Request) -> tuple[dict[str, str], Response | None]:
        try:
            fields = await read_form(request)
        except BadForm as error:
            return {}, self._refused(str(error))
        if not self._forms.holds(request, fields):
            return {}, self._pages.message(*STALE_FORM, "Start the sign-in again.", status=403)
        if problem := _unsafe(fields):
            return {}, self._refused(problem)
        if fields.get("decision") not in {"approve", "deny"}:
            return {}, self._refused("Allow or deny, nothing else.")
        return fields, None

    def _refused(self, problem: str) -> Response:
        return self._pages.message("This sign-in cannot go on", problem, "Nothing was sent anywhere.", status=400)


def _unsafe(asked: Mapping[str, str]) -> str:
    """Return why the browser must not be sent back, or nothing."""
    if not is_loopback_redirect(asked.get("redirect_uri", "")):
        return "The redirect_uri must be http://localhost:PORT or http://127.0.0.1:PORT, with a path at most."
    state = asked.get("state", "")
    if len(state) > _MAX_STATE or not state.isprintable():
        return "The state is too long, or holds control characters."
    return ""


def _check_authorization(asked: Mapping[str, str]) -> str:
    if asked.get("response_type") != "code":
        raise signin.OAuthError("unsupported_response_type", "The response_type must be code.")
    challenge, method = asked.get("code_challenge"), asked.get("code_challenge_method")
    if (challenge or method) and (method != "S256" or not _CHALLENGE.fullmatch(challenge or "")):
        raise signin.OAuthError("invalid_request", "PKCE is taken with S256 only.")
    return signin.read_scope(asked.get("scope"))


def _back(asked: Mapping[str, str], **answer: str) -> Response:
    state = {"state": asked["state"]} if asked.get("state") else {}
    uri = asked["redirect_uri"]
    path = "" if urlsplit(uri).path else "/"
    return RedirectResponse(f"{uri}{path}?{urlencode(answer | state)}", 303)
