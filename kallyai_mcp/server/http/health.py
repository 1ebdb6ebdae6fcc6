"""Whether the server lives, and whether it can serve: for whoever watches over it, without a token and without data."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

ALIVE_PATH = "/healthz"
READY_PATH = "/readyz"

LONGEST_LOOK = 3.0
"""Seconds that finding out may take."""

logger = logging.getLogger(__name__)


class Health:
    """Answers both.

    Args:
        problems: Each tells what is missing, in sentences without data.
    """

    def __init__(self, problems: Sequence[Callable[[], Awaitable[list[str]]]]) -> None:
        self._problems = problems
        self.is_closing = False

    async def alive(self, _: Request) -> Response:
        """Say that the event loop answers."""
        return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})

    async def ready(self, _: Request) -> Response:
        """Say what is missing."""
        found = ["The server is about to end."] if self.is_closing else await self._missing()
        status = "ready" if not found else "not ready"
        return JSONResponse(
            {"status": status, "missing": found}, 503 if found else 200, headers={"Cache-Control": "no-store"}
        )

    async def _missing(self) -> list[str]:
        found: list[str] = []
        with anyio.move_on_after(LONGEST_LOOK) as looking:
            for ask in self._problems:
                try:
                    found += await ask()
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a reason not to be ready
                    logger.warning("A check failed: %s", type(error).__name__)
                    found.append("A check failed; the server's log has the details.")
        if looking.cancelled_caught:
            found.append("A check took too long.")
        return found
