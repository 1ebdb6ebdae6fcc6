"""Reports of progress of one call, whoever in the server makes them: what they tell must increase (MCP, progress)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

logger = logging.getLogger(__name__)


class Reports:
    """Tells the host how long a call has been under way.

    Args:
        ctx: The call; it carries a progress token.
    """

    def __init__(self, ctx: ServerRequestContext[Any]) -> None:
        self._session = ctx.session
        self._before = 0.0
        self._last = 0.0

    @classmethod
    def of(cls, ctx: ServerRequestContext[Any]) -> Reports | None:
        """Return the reports of a call; None where its host wants none."""
        return None if ctx.meta is None or "progress_token" not in ctx.meta else cls(ctx)

    async def __call__(self, seconds: float, message: str) -> None:
        """Report seconds since the part of the call began that is under way."""
        self._last = self._before + seconds
        await self._session.report_progress(self._last, None, message)

    async def tell(self, every: float, message: str) -> None:
        """Report a wait until it is cancelled, or the host takes no more reports."""
        started = anyio.current_time()
        while True:
            await anyio.sleep(every)
            seconds = round(anyio.current_time() - started, 1)
            try:
                await self(seconds, f"{message}, {seconds:.0f} s so far")
            except Exception as error:  # noqa: BLE001 - whatever it is, the wait it tells of must not end for it
                logger.info("Progress is no longer reported: %s", type(error).__name__)
                return

    def go_on(self) -> None:
        """Begin another part of the call: its seconds are added to those reported so far."""
        self._before = self._last
