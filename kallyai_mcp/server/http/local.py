"""Who may use the server of one machine: whoever has its token, or may open its Unix socket."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from typing import TYPE_CHECKING

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.journal.private import require_folder
from kallyai_mcp.privacy import hide
from kallyai_mcp.server.http.fence import refuse
from kallyai_mcp.server.secret_file import shared_secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from kallyai_mcp.server.http.access import Bound

FILE = "http-token"
LENGTH = 43
"""Characters of a token: 256 bits in base64url (RFC 4648, 5)."""

OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
_TOKEN = re.compile(rb"[A-Za-z0-9_-]{43}")
_REALM = b'Bearer realm="kallyai-mcp"'


class LocalAccess:
    """Lets in whoever brings the token; without one, everybody who gets as far as the socket.

    Args:
        token: The token.
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode("ascii")

    visited: tuple[str, ...] = ()

    @property
    def for_strangers(self) -> bool:
        """One token for everybody is no authentication for people beyond this machine."""
        return False

    def hosts(self, bound: Bound, /) -> frozenset[str]:
        """Return the names of this machine, with the port."""
        if bound.uds is not None:
            return frozenset({"localhost"})
        own = f"[{bound.host}]" if ":" in bound.host else bound.host
        names = {*OWN_NAMES, own}
        named = {f"{name}:{bound.port}" for name in names}
        return frozenset(named | names if bound.port == 80 else named)

    def origins(self, bound: Bound, /) -> frozenset[str]:
        """Return the server's own origins; it has no pages, but some hosts name its address."""
        return frozenset(f"http://{host}" for host in self.hosts(bound))

    def wrap(self, app: ASGIApp, /) -> ASGIApp:
        """Return the application behind the token."""
        token = self._token
        if token is None:
            return app

        async def checked(scope: Scope, receive: Receive, send: Send) -> None:
            given = [value for name, value in scope["headers"] if name == b"authorization"]
            scheme, _, brought = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
            if scheme.lower() == b"bearer" and hmac.compare_digest(brought.strip(), token):
                await app(scope, receive, send)
                return
            challenge = _REALM + (b', error="invalid_token"' if given else b"")
            await refuse(
                send,
                401,
                "The token of this server is missing or wrong. `kallyai-mcp serve` shows it when it starts, and the "
                f"file {FILE} in its state folder keeps it; send it as `Authorization: Bearer ...`.",
                (b"www-authenticate", challenge),
            )

        return checked

    def routes(self) -> Sequence[BaseRoute]:
        """Return none."""
        return ()

    async def problems(self) -> list[str]:
        """Return none: it needs nothing that could go missing."""
        return []


def local_token(folder: Path) -> tuple[str, bool]:
    """Return the token in the state folder, and whether it was made just now.

    Raises:
        InvalidSettings: It cannot be kept there.
    """
    path = folder / FILE
    try:
        require_folder(folder)
        is_new = not os.path.lexists(path)
        kept = shared_secret(path, lambda: secrets.token_urlsafe(32).encode(), LENGTH)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    except InvalidSettings as error:
        raise InvalidSettings(
            f"The token of the HTTP server cannot be kept in {folder}. {error.message}", next_step=error.next_step
        ) from None
    if not _TOKEN.fullmatch(kept):
        raise _unusable(path, "it holds no token")
    token = kept.decode("ascii")
    hide(token, lasting=True)
    return token, is_new


def _unusable(path: Path, why: str) -> InvalidSettings:
    return InvalidSettings(
        f"The token of the HTTP server cannot be kept in {path}: {why}.",
        next_step="Put that right (a file that is open to others: remove it, and a new token is made), or name another "
        "folder with --state-dir; --uds serves a Unix socket, which needs no token.",
    )
