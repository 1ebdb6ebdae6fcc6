"""The program's parts as they are put together, with clocks that a test puts ahead."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.app import App
from kallyai_mcp.engine.contacts import Contacts
from kallyai_mcp.engine.control import Control
from kallyai_mcp.engine.gate import Gate
from kallyai_mcp.engine.parts import Parts
from kallyai_mcp.engine.reading import Reading
from kallyai_mcp.journal import Journal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kallyai_mcp.api import ApiClient
    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.auth.session import Session
    from kallyai_mcp.model import Defaults


class ShiftedApp(App):
    """An app whose journal, marks and contacts live in a time of their own: the machine's, and a bit."""

    ahead = 0.0

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time() + self.ahead

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.ahead += seconds

    def in_an_hour(self) -> str:
        """Return a moment to come, as tools take it."""
        return datetime.fromtimestamp(self.now() + 3600, UTC).isoformat(timespec="minutes")

    def _acting(self, api: ApiClient, session: Session, defaults: Defaults, owner: Owner) -> Parts:
        journal = Journal(self.settings.state_folder, clock=self.now)
        parts = Parts(self.settings, api, session, defaults, owner, self._start, journal)
        safety, zone = self.settings.safety, self.settings.zone
        parts.contacts = Contacts(parts.reader, self.now)
        parts.gate = Gate(parts.reader, parts.contacts, safety, zone, lambda: datetime.fromtimestamp(self.now(), UTC))
        parts.reading = Reading(journal, owner, parts.contacts, parts.reader, safety, self.now)
        parts.control = Control(journal, owner, safety, parts.settler, parts.brake, zone, self.now)
        self._made = parts
        return parts

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[ShiftedApp]:
        """Give this app for as long as the block lasts."""
        async with anyio.create_task_group() as group:
            self.live_in(group)
            try:
                yield self
            finally:
                with anyio.CancelScope(shield=True):
                    await self.aclose()
                group.cancel_scope.cancel()
