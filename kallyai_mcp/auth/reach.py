"""Whether the service can be reached, and what time it is there. Nothing is sent but a question for public metadata."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import anyio
import httpx2

from kallyai_mcp.auth.discovery import METADATA_PATH
from kallyai_mcp.auth.http import Http, no_answer

if TYPE_CHECKING:
    from kallyai_mcp.settings import Settings

WITHIN = 8.0
"""Seconds for everything: looking up the name, connecting, the answer."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What the service answered.

    Attributes:
        status: HTTP status; any will do.
        seconds: How long it took.
        ahead: Seconds by which this machine's clock is ahead of the service's; None where it did not tell the time.
    """

    status: int
    seconds: float
    ahead: float | None


async def reach(settings: Settings, http: Http | None = None) -> Reached:
    """Ask the service for its metadata, without a token.

    Raises:
        TransportError: No answer, or not in time.
    """
    url = settings.api_url + METADATA_PATH
    began, moment = time.monotonic(), time.time()
    client = httpx2.AsyncClient(**(http or Http.for_settings(settings)).client_options())
    try:
        with anyio.fail_after(WITHIN):
            response = await client.get(url)
    except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise no_answer(url, error) from None
    finally:
        with anyio.move_on_after(1, shield=True):
            await client.aclose()
    seconds = time.monotonic() - began
    return Reached(response.status_code, seconds, _ahead(response.headers.get("date"), moment + seconds / 2))


def _ahead(told: str | None, moment: float) -> float | None:
    try:
        return moment - parsedate_to_datetime(told or "").timestamp()
    except ValueError:
        return None
