"""The sandbox's authorization server: device codes, tokens, refresh, browser sign-in, metadata."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from kallyai_mcp.sandbox import signin, tokens
from kallyai_mcp.sandbox.answers import refuse
from kallyai_mcp.sandbox.pages import consent_routes
from kallyai_mcp.sandbox.pages.forms import BadForm, read_body, read_form
from kallyai_mcp.sandbox.pages.guard import guarded, origin
from kallyai_mcp.sandbox.refusal import Refusal
from kallyai_mcp.sandbox.scopes import SCOPES
from kallyai_mcp.sandbox.signin import OAuthError

if TYPE_CHECKING:
    from starlette.requests import Request

    from kallyai_mcp.sandbox.pages.guard import Handler
    from kallyai_mcp.sandbox.tokens import Pair
    from kallyai_mcp.sandbox.world import World

DEVICE_CODE = "/v1/auth/device/code"
DEVICE_TOKEN = "/v1/auth/device/token"  # noqa: S105 - a path
CODE_TOKEN = "/v1/auth/gpt/token"  # noqa: S105 - a path
METADATA = "/.well-known/oauth-authorization-server"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

_CLIENT_ID = re.compile(r"[!-~](?:[ -~]{0,78}[!-~])?", re.ASCII)
_NOT_CACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def routes(world: World) -> list[Route]:
    """Return the routes of signing in, with those of the pages that belong to it."""
    server = AuthorizationServer(world)
    return [
        _route(DEVICE_CODE, server.device_code, "POST"),
        _route(DEVICE_TOKEN, server.device_token, "POST"),
        _route(CODE_TOKEN, server.code_token, "POST"),
        _route("/v1/auth/refresh", server.refresh, "POST"),
        _route(METADATA, server.metadata, "GET"),
        *consent_routes(world),
    ]


def _route(path: str, handler: Handler, method: str) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except OAuthError as error:
            body = {"error": error.error, "error_description": error.description}
            return JSONResponse(body, error.status, headers=_NOT_CACHED)
        except Refusal as refusal:
            return refuse(refusal, request)

    return Route(path, guarded(answer), methods=[method])


class AuthorizationServer:
    """The endpoints' answers."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def device_code(self, request: Request) -> Response:
        """Answer a device authorization request (RFC 8628 3.1, 3.2)."""
        self._need_device_endpoints()
        if script := signin.scripted(self._world, "next_code"):
            return _scripted(script)
        form = await _form(request)
        client_id, scope = _client_id(form), signin.read_scope(form.get("scope"))
        code, grant = signin.begin(self._world, client_id, scope)
        page = f"{origin(request)}/activate"
        options = signin.options(self._world)
        answer = {
            "device_code": code,
            "user_code": grant["user_code"],
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={grant['user_code']}",
            "expires_in": options["expires_in"],
            "interval": options["interval"],
        }
        if options["interval"] is None:
            del answer["interval"]
        return JSONResponse(answer, headers=_NOT_CACHED)

    async def device_token(self, request: Request) -> Response:
        """Answer a token request of any grant (RFC 8628 3.4, RFC 6749 4.1.3 and 6)."""
        self._need_device_endpoints()
        script = signin.scripted(self._world, "next")
        if script in {"html", "empty", "redirect", "429", "500", "503"}:
            return _scripted(script)
        if script in {"invalid_grant", "invalid_request", "invalid_client", "unsupported_grant_type"}:
            raise OAuthError(script, "A test asked for this answer.", status=401 if script == "invalid_client" else 400)
        form = await _form(request)
        match form.get("grant_type"):
            case signin_type if signin_type == DEVICE_GRANT:
                return self._device_grant(form, script)
            case "refresh_token":
                return self._refresh_grant(form)
            case "authorization_code":
                return self._code_grant(request, form)
            case None:
                raise OAuthError("invalid_request", "The grant_type is missing.")
            case _:
                raise OAuthError("unsupported_grant_type", "The grant_type is not supported here.")

    async def code_token(self, request: Request) -> Response:
        """Answer the token request of the authorization code flow."""
        form = await _form(request)
        match form.get("grant_type"):
            case "authorization_code":
                return self._code_grant(request, form)
            case "refresh_token":
                return self._refresh_grant(form)
            case None:
                raise OAuthError("invalid_request", "The grant_type is missing.")
            case _:
                raise OAuthError("unsupported_grant_type", "The grant_type must be authorization_code.")

    async def refresh(self, request: Request) -> Response:
        """Exchange a refresh token as the service documents it: JSON, and the documented 401 for a bad one."""
        body = await _json(request)
        given = body.get("refresh_token")
        if not isinstance(given, str) or not given:
            raise Refusal(None, "The body must be an object with a refresh_token.", status=422)
        pair = tokens.refresh(self._world, given)
        if pair is None:
            raise Refusal("token_expired", "The refresh token is not valid any more. Sign in again.")
        answer = {
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            "expires_in": pair.expires_in,
        }
        return JSONResponse(answer, headers=_NOT_CACHED)

    async def metadata(self, request: Request) -> Response:
        """Answer with the metadata of RFC 8414."""
        self._need_device_endpoints()
        ours = origin(request)
        return JSONResponse(
            {
                "issuer": ours,
                "authorization_endpoint": f"{ours}/v1/auth/authorize",
                "device_authorization_endpoint": ours + DEVICE_CODE,
                "token_endpoint": ours + DEVICE_TOKEN,
                "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_GRANT],
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
                "scopes_supported": list(SCOPES),
            }
        )

    def _need_device_endpoints(self) -> None:
        if not signin.options(self._world)["device_endpoints"]:
            raise Refusal(status=404)

    def _device_grant(self, form: dict[str, str], script: str | None) -> Response:
        code = form.get("device_code")
        if not code:
            raise OAuthError("invalid_request", "The device_code is missing.")
        grant = signin.poll(self._world, code, _client_id(form), script)
        return _issued(tokens.issue(self._world, grant["scope"].split()))

    def _refresh_grant(self, form: dict[str, str]) -> Response:
        given = form.get("refresh_token")
        if not given:
            raise OAuthError("invalid_request", "The refresh_token is missing.")
        pair = tokens.refresh(self._world, given)
        if pair is None:
            raise OAuthError("invalid_grant", "The refresh token is unknown, revoked, or was used before.")
        return _issued(pair)

    def _code_grant(self, request: Request, form: dict[str, str]) -> Response:
        client_id = _authenticated_client(request, form)
        if missing := [name for name in ("code", "redirect_uri") if name not in form]:
            raise OAuthError("invalid_request", f"The {missing[0]} is missing.")
        try:
            grant = signin.redeem(
                self._world,
                form["code"],
                client_id=client_id,
                redirect_uri=form["redirect_uri"],
                verifier=form.get("code_verifier"),
            )
        except signin.CodeReplayed as replay:
            if replay.refresh_token:
                # A token that was used before ends its family; two exchanges make sure that it was.
                tokens.refresh(self._world, replay.refresh_token)
                tokens.refresh(self._world, replay.refresh_token)
            raise
        pair = tokens.issue(self._world, grant["scope"].split())
        signin.note_issued(self._world, grant, pair.refresh_token)
        return _issued(pair)


def _issued(pair: Pair) -> Response:
    return JSONResponse(
        {
            "access_token": pair.access_token,
            "token_type": "Bearer",
            "expires_in": pair.expires_in,
            "refresh_token": pair.refresh_token,
            "scope": " ".join(pair.scopes),
        },
        headers=_NOT_CACHED,
    )


def _scripted(script: str) -> Response:
    match script:
        case "html":
            return HTMLResponse("<!doctype html><title>Sign in to the network</title><p>Accept the terms to go on.")
        case "empty":
            return Response(status_code=200)
        case "redirect":
            return RedirectResponse("https://sign-in.example/", 302)
        case "429" | "503":
            return HTMLResponse("<h1>Try again</h1>", int(script), headers={"Retry-After": "1"})
        case "404" | "405" | "500":
            return HTMLResponse("<h1>No</h1>", int(script))
        case error:
            raise OAuthError(error, "A test asked for this answer.", status=401 if error == "invalid_client" else 400)


async def _form(request: Request) -> dict[str, str]:
    try:
        return await read_form(request)
    except BadForm as error:
        raise OAuthError("invalid_request", str(error)) from None


async def _json(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(status=415)
    try:
        body = json.loads(await read_body(request))
    except BadForm as error:
        raise Refusal(None, str(error), status=413) from None
    except (ValueError, RecursionError):
        raise Refusal(None, "The body is not JSON.", status=400) from None
    if not isinstance(body, dict):
        raise Refusal(None, "The body must be a JSON object.", status=422)
    return body  # pyright: ignore[reportUnknownVariableType] - JSON from outside


def _client_id(form: dict[str, str]) -> str:
    client_id = form.get("client_id", "")
    if not _CLIENT_ID.fullmatch(client_id):
        raise OAuthError("invalid_request", "The client_id is missing, too long, or not printable.")
    return client_id


def _authenticated_client(request: Request, form: dict[str, str]) -> str:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            name, secret = "", ""
        # RFC 6749 2.3.1: both are form-encoded first.
        name, secret = unquote_plus(name), unquote_plus(secret)
    else:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
    known = hmac.compare_digest(secret.encode(), signin.CODE_CLIENT_SECRET.encode())
    if name != signin.CODE_CLIENT or not known:
        raise OAuthError("invalid_client", "The client is unknown, or its secret is wrong.", status=401)
    return name
