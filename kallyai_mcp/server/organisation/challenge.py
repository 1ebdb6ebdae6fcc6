"""What a caller without a good token is told (RFC 6750, 3; RFC 9728, 5.1; MCP, Authorization)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

WELL_KNOWN = "/.well-known/oauth-protected-resource"


class Challenges:
    """Makes the answers that refuse.

    Args:
        origin: Origin of this server, as people reach it.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def metadata_of(self, path: str) -> str:
        """Return the address of the metadata of an endpoint (RFC 9728, 3.1)."""
        return f"{self._origin}{WELL_KNOWN}{path}"

    def no_token(self, path: str, scope: str) -> Response:
        """Ask for a token. Without one there is no error to name (RFC 6750, 3.1)."""
        return self._refuse(401, path, scope, None, "An access token is needed.")

    def bad_token(self, path: str, scope: str) -> Response:
        """Refuse a token, without a word on why: our log has it."""
        return self._refuse(401, path, scope, "invalid_token", "The access token is not good for this server.")

    def two_tokens(self, path: str, scope: str) -> Response:
        """Refuse a token outside its header, where it would end in logs (RFC 6750, 2 and 5.3)."""
        said = "An access token belongs into the Authorization header, once."
        return self._refuse(400, path, scope, "invalid_request", said)

    def more_scope(self, path: str, scopes: Iterable[str]) -> Response:
        """Ask for a token that allows more: all that this request needs, in one challenge."""
        said = "This tool needs more than the access token allows."
        return self._refuse(403, path, " ".join(scopes), "insufficient_scope", said)

    @staticmethod
    def away(seconds: int = 5) -> Response:
        """Say that tokens cannot be checked for the moment."""
        body = {"error": "temporarily_unavailable", "error_description": "Tokens cannot be checked for the moment."}
        return _json(503, body, {"Retry-After": str(seconds)})

    def _refuse(self, status: int, path: str, scope: str, error: str | None, said: str) -> Response:
        parts = [f'error="{error}"', f'error_description="{said}"'] if error else []
        parts += [f'resource_metadata="{self.metadata_of(path)}"', f'scope="{scope}"']
        body = {"error": error or "invalid_token", "error_description": said}
        return _json(status, body, {"WWW-Authenticate": f"Bearer {', '.join(parts)}"})


def _json(status: int, body: dict[str, str], headers: dict[str, str]) -> Response:
    headers = {"Cache-Control": "no-store", **headers}
    return Response(json.dumps(body), status, headers, "application/json")
