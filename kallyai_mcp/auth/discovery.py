"""Where the device flow's endpoints are.

The API's facts name none. What the settings name is used without a question, since somebody wrote it down on purpose;
else metadata at the API's origin (RFC 8414), else the usual paths. Whether a guessed path exists shows only when it is
used.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from kallyai_mcp.settings import is_loopback

if TYPE_CHECKING:
    from kallyai_mcp.auth.http import Http
    from kallyai_mcp.settings import Settings

METADATA_PATH = "/.well-known/oauth-authorization-server"
DEVICE_PATH = "/v1/auth/device/code"
TOKEN_PATH = "/v1/auth/device/token"  # noqa: S105 - a path, not a secret

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The two addresses of the device flow, and who named them."""

    device_authorization: str
    token: str
    source: Literal["metadata", "settings", "guess"]


async def find_endpoints(settings: Settings, http: Http) -> Endpoints:
    """Look the endpoints up.

    Raises:
        TransportError: The API cannot be reached, and the settings do not name both endpoints.
    """
    origin = settings.api_url
    configured = settings.device_authorization_url, settings.token_url
    usual = Endpoints(
        configured[0] or origin + DEVICE_PATH,
        configured[1] or origin + TOKEN_PATH,
        "settings" if any(configured) else "guess",
    )
    if all(configured):
        return usual
    answer = await http.exchange("GET", origin + METADATA_PATH)
    if answer.status != 200 or answer.fields is None:
        return usual
    return _announced(answer.fields, origin) or usual


def _announced(metadata: dict[str, Any], origin: str) -> Endpoints | None:
    if metadata.get("issuer") not in (origin, f"{origin}/"):  # RFC 8414 section 3.3: otherwise it must not be used
        _log.warning("The OAuth metadata at %s names another issuer and is not used.", origin)
        return None
    device, token = metadata.get("device_authorization_endpoint"), metadata.get("token_endpoint")
    if device is None or token is None:
        return None
    if not (_is_at(device, origin) and _is_at(token, origin)):
        _log.warning("The OAuth metadata at %s names endpoints elsewhere and is not used.", origin)
        return None
    return Endpoints(device, token, "metadata")


def _is_at(endpoint: object, origin: str) -> bool:
    """Whether an announced endpoint is on the API's host, by https, or on this machine where the API is too."""
    if not isinstance(endpoint, str) or not endpoint.isascii() or not endpoint.isprintable():
        return False
    try:
        parts, home = urlsplit(endpoint), urlsplit(origin)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.fragment or not host:
        return False
    if is_loopback(home.hostname):
        return parts.scheme in {"http", "https"} and is_loopback(host) and port == home.port
    return parts.scheme == "https" and host == home.hostname
