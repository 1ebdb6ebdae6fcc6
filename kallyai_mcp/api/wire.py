"""One HTTP request and its answer: what goes into the one, and how the other is read within bounds.

Redirects are not followed, cookies not kept, and proxy variables of the environment not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
import pydantic_core

from kallyai_mcp.api import answer, failure
from kallyai_mcp.api.body import NotUnderstood, TooLarge, read
from kallyai_mcp.api.pools import Pools
from kallyai_mcp.api.target import Origin
from kallyai_mcp.errors import ApiError, InvalidArguments, Problem
from kallyai_mcp.model import Effect
from kallyai_mcp.model.sandbox_marks import HEADER
from kallyai_mcp.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.api.answer import Answer
    from kallyai_mcp.api.observer import Exchanged, Observer
    from kallyai_mcp.model import ApiRequest, Command


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that things may take.

    Attributes:
        connect: Until a connection stands.
        pool: Until one of the shared connections is free.
        phase: Between two pieces of the request or the answer, except for slow commands.
        read: A command that changes nothing, all attempts together.
        write: Any other command.
        slow: A command that is declared slow, such as one that lasts as long as a phone call.
    """

    connect: float = 5
    pool: float = 5
    phase: float = 20
    read: float = 45
    write: float = 60
    slow: float = 600

    def total(self, command: Command) -> float:
        """Return the seconds for all attempts of a run together."""
        if command.slow:
            return self.slow
        return self.read if command.effect is Effect.READ else self.write

    def phases(self, command: Command) -> dict[str, float]:
        """Return the timeouts of one attempt, by phase."""
        return {
            "connect": self.connect,
            "pool": self.pool,
            "write": self.phase,
            "read": self.slow if command.slow else self.phase,
        }


class Wire:
    """Sends requests to one origin and reads their answers."""

    def __init__(
        self,
        origin: str,
        *,
        agent: str,
        proxy: str | None,
        deadlines: Deadlines,
        limits: httpx2.Limits,
        max_bytes: int,
        transport: httpx2.AsyncBaseTransport | None,
        clock: Callable[[], float],
        observer: Observer | None = None,
    ) -> None:
        """Prepare; the first request opens the first connection. See `ApiClient` for the arguments."""
        self._origin = Origin(origin)
        self.is_local = is_loopback(self._origin.host)
        self.met_sandbox = False
        """Whether an answer said that it comes from a sandbox."""
        self._agent = agent
        self._deadlines = deadlines
        self._max_bytes = max_bytes
        self._clock = clock
        self._observer = observer
        self._pools = Pools(
            self._origin,
            proxy=None if self.is_local else proxy,
            limits=limits,
            transport=transport,
        )

    async def aclose(self) -> None:
        """Close all connections. A later request opens new ones."""
        await self._pools.aclose()

    def build(self, command: Command, request: ApiRequest, token: str | None, run_id: str) -> httpx2.Request:
        """Return the HTTP request, with nothing in it that the API does not document.

        Raises:
            InvalidArguments: A value cannot be sent.
        """
        headers = [("User-Agent", self._agent), ("Accept", _accepted(command)), ("Accept-Encoding", "identity")]
        if token is not None:
            headers.append(("Authorization", f"Bearer {token}"))
        if command.idempotency_key:
            headers.append(("Idempotency-Key", run_id))
        content = None
        if request.body is not None:
            headers.append(("Content-Type", "application/json"))
            content = _json(command, request.body)
        return httpx2.Request(
            request.method,
            self._origin.address(command, request),
            headers=headers,
            content=content,
            extensions={"timeout": self._deadlines.phases(command)},
        )

    async def exchange(self, command: Command, request: httpx2.Request) -> Answer | ApiError:
        """Send one HTTP request and read its answer to the end.

        Raises:
            httpx2.TransportError: The connection failed.
            TransportError: The answer is of no use.
        """
        if self._observer is None:
            return await self._exchange(command, request)
        with self._observer.request(command) as exchanged:
            return await self._exchange(command, request, exchanged)

    async def _exchange(
        self, command: Command, request: httpx2.Request, exchanged: Exchanged | None = None
    ) -> Answer | ApiError:
        async with self._pools.answered(request, new=command.method != "GET") as response:
            if exchanged is not None:
                exchanged.answered(response.status_code)
            self.met_sandbox = self.met_sandbox or HEADER in response.headers
            return await self._read(command, response)

    async def _read(self, command: Command, response: httpx2.Response) -> Answer | ApiError:
        headers, status = response.headers, response.status_code
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        sandbox = HEADER in headers
        if 300 <= status < 400 and not command.redirects:
            raise failure.not_followed(command, status)
        try:
            if 300 <= status < 400:
                return answer.redirected(status, headers.get("location"), media_type, sandbox=sandbox)
            body = await self._body(response.stream, headers)
            if status < 400:
                return answer.succeeded(command, status, media_type, body, sandbox=sandbox)
        except TooLarge:
            raise failure.lost(command, "answer_too_large", sent=True, status=status) from None
        except NotUnderstood:
            if status < 400:
                raise failure.unexpected(command, status, media_type) from None
            body = b""
        return failure.refused(command, status, headers, body, clock=self._clock)

    async def _body(self, stream: object, headers: Mapping[str, str]) -> bytes:
        # Read below the library's decoder, which has no bound.
        if not isinstance(stream, httpx2.AsyncByteStream):
            raise NotUnderstood
        return await read(stream, headers.get("content-encoding", ""), headers.get("content-length"), self._max_bytes)


def _accepted(command: Command) -> str:
    if command.redirects:
        return "*/*"
    return "text/calendar" if command.calendar else "application/json"


def _json(command: Command, body: object) -> bytes:
    try:
        return pydantic_core.to_json(body)
    except (ValueError, TypeError):
        raise InvalidArguments(
            command.tool, [Problem("arguments", "must be valid Unicode text and numbers.")]
        ) from None
