"""Requests to a token endpoint (RFC 6749 section 3.2), made by Authlib; whatever comes back is read with suspicion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio
import httpx2

from kallyai_mcp.auth.http import json_or_none
from kallyai_mcp.auth.pair import lifetime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.auth.http import Http


class TokenClient(Protocol):
    """What is used of Authlib's client, which has no types."""

    def register_compliance_hook(self, hook_type: str, hook: Callable[[httpx2.Response], httpx2.Response]) -> None:
        """Have the answer pass through a function."""
        ...

    async def fetch_token(self, url: str, **grant: str) -> Mapping[str, object]:
        """Send the request."""
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...


def oauth_client(http: Http, client_id: str, **options: Any) -> TokenClient:
    """Return a client for one request; `options` are Authlib's."""
    from authlib.integrations.httpx_client import AsyncOAuth2Client  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]  # Authlib ships no types

    return cast("TokenClient", AsyncOAuth2Client(client_id=client_id, **options, **http.client_options()))


async def request_token(
    client: TokenClient, endpoint: str, deadline: float, **grant: str
) -> tuple[int, dict[str, Any]] | None:
    """Send one token request and close the client.

    Returns:
        Status and fields of the answer; None where there was none.
    """
    from authlib.integrations.httpx_client import OAuthError  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]  # Authlib ships no types

    status = 0

    def observe(response: httpx2.Response) -> httpx2.Response:
        nonlocal status
        status = response.status_code
        body = json_or_none(response.content)
        if not isinstance(body, dict) or "error" in body:
            return response
        # Authlib trips over an expires_in that is no number, and over an expires_at of the service's own.
        told = cast("dict[str, Any]", body)
        fields = {name: told.get(name) for name in ("access_token", "refresh_token", "scope") if name in told}
        fields["expires_in"] = lifetime(told.get("expires_in"))
        return httpx2.Response(status, json=fields, request=response.request)

    client.register_compliance_hook("access_token_response", observe)
    try:
        with anyio.fail_after(deadline):
            token = await client.fetch_token(endpoint, **grant)
    except OAuthError as error:
        return status, {"error": cast("Any", error).error}
    except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        return None
    finally:
        with anyio.move_on_after(1, shield=True):
            await client.aclose()
    return status, dict(token)
