"""HTTP for signing in and refreshing: no redirects, no environment, a deadline for the whole, a cap on the body."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import anyio
import httpx2
import pydantic_core

from kallyai_mcp import __version__
from kallyai_mcp.errors import TransportError
from kallyai_mcp.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from kallyai_mcp.settings import Settings

DEADLINE = 20.0
LARGEST_BODY = 1024 * 1024
HEADERS = {"User-Agent": f"kallyai-mcp/{__version__}", "Accept": "application/json", "Accept-Encoding": "identity"}


class BodyRefused(httpx2.TransportError):
    """The body is larger than any answer we ask for, or packed although we asked for it plain."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer. `body` is None where it is not JSON; it is never shown."""

    status: int
    body: object = field(repr=False)

    @property
    def fields(self) -> dict[str, Any] | None:
        """The body's fields, where it is a JSON object."""
        body = self.body
        return cast("dict[str, Any]", body) if isinstance(body, dict) else None


class Http:
    """Makes the clients with which this package talks to the service.

    Args:
        transport: Makes a transport for one client; the client closes it.
    """

    def __init__(self, transport: Callable[[], httpx2.AsyncBaseTransport]) -> None:
        self._transport = transport

    @classmethod
    def for_settings(cls, settings: Settings) -> Http:
        """The real network, through the proxy of the settings unless the API is on this machine."""
        proxy = None if is_loopback(urlsplit(settings.api_url).hostname) else settings.proxy
        return cls(lambda: httpx2.AsyncHTTPTransport(trust_env=False, proxy=proxy))

    @classmethod
    def direct(cls) -> Http:
        """The real network, without a proxy."""
        return cls(lambda: httpx2.AsyncHTTPTransport(trust_env=False))

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of a client, the same for ours and for Authlib's, which is one of httpx2 too."""
        return {
            "transport": _CappedTransport(self._transport()),
            "headers": HEADERS,
            "timeout": httpx2.Timeout(DEADLINE, connect=5.0, pool=5.0),
            "follow_redirects": False,
            "trust_env": False,
        }

    @asynccontextmanager
    async def answered(
        self,
        method: str,
        url: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
    ) -> AsyncGenerator[Answer]:
        """Send one request; the whole answer is there while the connection is not yet closed.

        Args:
            method: The method.
            url: Where to.
            json: What is sent as JSON.
            form: What is sent as a form.
            basic: Name and password of ours there (RFC 7617).

        Raises:
            TransportError: No answer, or not within the deadline ("timeout").
        """
        client = httpx2.AsyncClient(**self.client_options())
        try:
            try:
                with anyio.fail_after(DEADLINE):
                    response = await client.request(method, url, json=json, data=form, auth=basic)
            except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise no_answer(url, error) from None
            yield Answer(response.status_code, json_or_none(response.content))
        finally:
            with anyio.move_on_after(1, shield=True):
                await client.aclose()

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
    ) -> Answer:
        """Send one request and read the whole answer.

        Raises:
            TransportError: As `answered`.
        """
        async with self.answered(method, url, json=json, form=form, basic=basic) as answer:
            return answer


def no_answer(url: str, error: Exception) -> TransportError:
    """What to report when a request brought no answer. Names the host only."""
    host = urlsplit(url).netloc
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return TransportError(
            f"{host} did not answer in time.", code="timeout", next_step="Try again in a moment.", retryable=True
        )
    if isinstance(error, BodyRefused):
        return TransportError(
            f"{host} sent an answer that is not one of this service.",
            code="unexpected_answer",
            next_step="Check that the address of the API is right.",
        )
    return TransportError(
        f"{host} cannot be reached.", next_step="Check the network connection and try again.", retryable=True
    )


def json_or_none(content: bytes) -> Any:
    """The JSON value in a body; None where it is none."""
    try:
        return pydantic_core.from_json(content)
    except ValueError:
        return None


def oauth_error(body: object) -> str | None:
    """The OAuth error code in a body (RFC 6749 section 5.2), also inside the API's own envelope."""
    if not isinstance(body, dict):
        return None
    error = cast("dict[str, Any]", body).get("error")
    if isinstance(error, dict):
        error = cast("dict[str, Any]", error).get("code")
    return error if isinstance(error, str) else None


class _CappedTransport(httpx2.AsyncBaseTransport):
    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise BodyRefused("the answer is packed")
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _CappedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _CappedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > LARGEST_BODY:
                raise BodyRefused("the answer is too large")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
