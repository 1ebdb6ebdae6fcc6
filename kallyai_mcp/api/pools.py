"""The connections to one origin, shared by all runs.

Requests go straight to the HTTP library's transport: there are no redirects, cookies, credentials or hooks for its
client to look after. A pool looks at each idle connection of its own for every request, so several small pools serve
many requests at once better than a large one.

Whatever is no GET goes over a new connection each time. One that was used before the service may be closing just now,
which leaves the outcome unknown; or there may be bytes on it beyond the end of an earlier answer, which the HTTP
library would take for the answer to this request. A GET is repeated after the one, and does no harm after the other.
"""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SHARE = 1
"""Requests in flight in a pool from which on the next pool is used."""

MOST = 64
"""Pools that are made at most; then the emptiest is used."""

LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=15)
"""Idle connections are given up before a server or a proxy is likely to, so that a request rarely meets a dead one."""


@dataclass(slots=True)
class _Pool:
    transport: httpx2.AsyncBaseTransport
    in_flight: int = 0


@dataclass(slots=True)
class _Kind:
    limits: httpx2.Limits
    pools: list[_Pool] = field(default_factory=list[_Pool])


class Pools:
    """Pools of connections, made as they are needed.

    Args:
        is_encrypted: Whether a connection needs the system's certificates; loading them takes longer than a request.
        proxy: HTTP proxy, if any.
        limits: How many connections each pool keeps.
        transport: Replaces the network, for tests.
    """

    def __init__(
        self,
        *,
        is_encrypted: bool,
        proxy: str | None,
        limits: httpx2.Limits,
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        self._is_encrypted = is_encrypted or proxy is not None
        self._proxy = proxy
        self._transport = transport
        self._context: ssl.SSLContext | None = None
        self._kept = _Kind(limits)
        self._new = _Kind(
            httpx2.Limits(
                max_connections=limits.max_connections,
                max_keepalive_connections=0,
                keepalive_expiry=limits.keepalive_expiry,
            )
        )

    async def aclose(self) -> None:
        """Close all connections. A later request opens new ones."""
        for kind in (self._kept, self._new):
            pools, kind.pools = kind.pools, []
            for pool in pools:
                await pool.transport.aclose()

    @asynccontextmanager
    async def answered(self, request: httpx2.Request, *, new: bool) -> AsyncGenerator[httpx2.Response]:
        """Send a request and give the answer, whose body is yet to be read, for the length of the block.

        Args:
            request: What to send.
            new: Whether it needs a connection that was never used.

        Raises:
            httpx2.TransportError: The connection failed.
        """
        pool = self._choose(self._new if new else self._kept)
        pool.in_flight += 1
        try:
            response = await pool.transport.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            pool.in_flight -= 1

    def _choose(self, kind: _Kind) -> _Pool:
        for pool in kind.pools:
            if pool.in_flight < SHARE:
                return pool
        if len(kind.pools) >= MOST:
            return min(kind.pools, key=lambda pool: pool.in_flight)
        kind.pools.append(_Pool(self._transport or self._new_transport(kind.limits)))
        return kind.pools[-1]

    def _new_transport(self, limits: httpx2.Limits) -> httpx2.AsyncBaseTransport:
        if self._context is None:
            self._context = (
                httpx2.create_ssl_context(trust_env=False)
                if self._is_encrypted
                else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            )
        return httpx2.AsyncHTTPTransport(verify=self._context, trust_env=False, proxy=self._proxy, limits=limits)
