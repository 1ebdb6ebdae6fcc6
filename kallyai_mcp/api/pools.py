"""The connections to one origin, shared by all runs.

Requests go straight to a transport: there are no redirects, cookies, credentials or hooks for the HTTP library's client
to look after.

Whatever is no GET goes over a new connection each time. One that was used before the service may be closing just now,
which leaves the outcome unknown. A GET is repeated after that, and does no harm.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kallyai_mcp.api.target import Origin

LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=15)
"""Idle connections are given up before a server or a proxy is likely to, so that a request rarely meets a dead one."""


class Pools:
    """Two sets of connections: those that are kept, and those for one request each.

    Args:
        origin: Where they lead.
        proxy: HTTP proxy, if any.
        limits: How many connections each set has.
        transport: Replaces the network, for tests.
    """

    def __init__(
        self, origin: Origin, *, proxy: str | None, limits: httpx2.Limits, transport: httpx2.AsyncBaseTransport | None
    ) -> None:
        self._origin = origin
        self._proxy = proxy
        self._limits = limits
        self._replaced = transport
        self._made: list[httpx2.AsyncBaseTransport] = []

    async def aclose(self) -> None:
        """Close all connections. A later request opens new ones."""
        made, self._made = self._made, []
        for transport in made:
            await transport.aclose()

    @asynccontextmanager
    async def answered(self, request: httpx2.Request, *, new: bool) -> AsyncGenerator[httpx2.Response]:
        """Send a request and give the answer, whose body is yet to be read, for the length of the block.

        Args:
            request: What to send.
            new: Whether it needs a connection that was never used.

        Raises:
            httpx2.TransportError: The connection failed.
        """
        kept, once = self._made or self._make()
        response = await (once if new else kept).handle_async_request(request)
        try:
            yield response
        finally:
            await response.aclose()

    def _make(self) -> list[httpx2.AsyncBaseTransport]:
        limits = self._limits
        once = httpx2.Limits(
            max_connections=limits.max_connections,
            max_keepalive_connections=0,
            keepalive_expiry=limits.keepalive_expiry,
        )
        self._made = [self._replaced, self._replaced] if self._replaced else self._over_network(limits, once)
        return self._made

    def _over_network(self, *each: httpx2.Limits) -> list[httpx2.AsyncBaseTransport]:
        # Loading the system's certificates takes longer than a request: only for those who need them.
        origin, proxy = self._origin, self._proxy
        context = httpx2.create_ssl_context(trust_env=False) if origin.is_encrypted or proxy is not None else None
        if proxy is None:
            from kallyai_mcp.api.direct import Direct

            return [Direct(origin.host, origin.port, context=context, limits=limits) for limits in each]
        return [
            httpx2.AsyncHTTPTransport(verify=context or True, trust_env=False, proxy=proxy, limits=limits)
            for limits in each
        ]
