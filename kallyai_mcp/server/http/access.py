"""Who may use the endpoints. One machine and an organisation differ in nothing else that the HTTP server sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class Bound:
    """What the server listens on.

    Attributes:
        host: Address, as it was set.
        port: The port, also where any free one was asked for; 0 for a Unix socket.
        uds: The Unix socket, if it is one.
    """

    host: str
    port: int
    uds: Path | None = None


class Access(Protocol):
    """Tells who may use the endpoints of the protocol, and adds what finding that out needs."""

    @property
    def for_strangers(self) -> bool:
        """Whether callers prove who they are, so that addresses beyond this machine may be listened on."""
        ...

    @property
    def visited(self) -> tuple[str, ...]:
        """Beginnings of paths that people open in a browser, coming from another site; only by GET, as a whole page."""
        ...

    def hosts(self, bound: Bound, /) -> frozenset[str]:
        """Return every Host header that is accepted, in lower case, each with its port where it has one.

        Those of the settings are added to them.
        """
        ...

    def origins(self, bound: Bound, /) -> frozenset[str]:
        """Return every Origin header that is accepted. Those of the settings are added; they alone get CORS headers."""
        ...

    def wrap(self, app: ASGIApp, /) -> ASGIApp:
        """Return the application of the endpoints behind a check of who calls; who may not is answered with 401.

        The check has to put an `mcp.server.auth` `AuthenticatedUser` into `scope["user"]` where there are several
        callers: sessions are bound to it. Host, Origin and the size of the head have been checked before.
        """
        ...

    def routes(self) -> Sequence[BaseRoute]:
        """Return further routes: metadata, pages. They are not behind `wrap`."""
        ...

    async def problems(self) -> list[str]:
        """Return what is missing to serve callers, as short sentences without data; empty when nothing is."""
        ...
