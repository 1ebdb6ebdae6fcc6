"""What has changed, told at once to whoever listens: in one process, or by PostgreSQL in every replica.

A hint, never the truth: it may be missed, and then a change tells that something may have been missed.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.journal.storage import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from kallyai_mcp.journal.postgresql import PostgreSQL

GAP = "gap"
"""Topic of the change, about everybody, that tells that others may have been missed: look at what matters."""

_TOPIC = re.compile(r"[a-z][a-z0-9_.:-]{0,99}", re.ASCII)
_KEPT = 256
"""Changes that wait for a listener who is slow; beyond, it is told of a gap."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes:
        key: Whose: a digest of the account, or "*" for everybody.
        topic: What: "stop", "approvals", "acts", or whatever was published; `GAP` where some may have been missed.
    """

    key: str
    topic: str

    def concerns(self, account: str) -> bool:
        """Whether the change is about an account; one about everybody is."""
        return self.key in (EVERYBODY, key_of(account))


def key_of(account: str) -> str:
    """Return what stands for an account in a change."""
    return EVERYBODY if account == EVERYBODY else hashlib.sha256(account.encode()).hexdigest()[:32]


class Changes:
    """The changes within one process.

    `async with changes.heard() as heard: async for change in heard: …` hears all of every account from then on; a
    server tells each client only those that concern its account.
    """

    def __init__(self) -> None:
        self._listeners: dict[MemoryObjectSendStream[Change], bool] = {}

    @property
    def is_connected(self) -> bool:
        """Whether changes arrive at this moment."""
        return True

    async def publish(self, account: str, topic: str) -> None:
        """Tell everybody who listens that something of an account, or of EVERYBODY ("*"), has changed.

        Raises:
            StorageAway: The others cannot be told for the moment.
            ValueError: The topic is no short word of small letters, digits, and _ . : -
        """
        if not _TOPIC.fullmatch(topic):
            raise ValueError("a topic is a short word")
        await self._send(Change(key_of(account), topic))

    @asynccontextmanager
    async def heard(self) -> AsyncGenerator[AsyncIterator[Change]]:
        """Listen, for as long as the block lasts."""
        send, receive = anyio.create_memory_object_stream[Change](_KEPT)
        self._listeners[send] = False
        try:
            yield self._each(send, receive)
        finally:
            self._listeners.pop(send, None)
            send.close()
            receive.close()

    async def wait(self, account: str, topic: str, longest: float) -> bool:
        """Wait for a change, or a gap, but not longer than so many seconds. Whether there was one."""
        with anyio.move_on_after(longest):
            async with self.heard() as heard:
                async for change in heard:
                    if change.topic in (topic, GAP) and change.concerns(account):
                        return True
        return False

    async def aclose(self) -> None:
        """End all listening."""
        for listener in list(self._listeners):
            listener.close()
        self._listeners.clear()

    async def _send(self, change: Change) -> None:
        self._tell(change)

    def _tell(self, change: Change) -> None:
        """Hand a change to all listeners; in the thread of the event loop."""
        for listener in list(self._listeners):
            try:
                listener.send_nowait(change)
            except anyio.WouldBlock:
                self._listeners[listener] = True
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                self._listeners.pop(listener, None)

    async def _each(
        self, send: MemoryObjectSendStream[Change], receive: MemoryObjectReceiveStream[Change]
    ) -> AsyncIterator[Change]:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError):
            while True:
                yield await receive.receive()
                if self._listeners.get(send) and not receive.statistics().current_buffer_used:
                    self._listeners[send] = False
                    yield Change(EVERYBODY, GAP)


class NotifiedChanges(Changes):
    """The changes of all replicas, over the connection by which this one counts as alive.

    Args:
        database: Which PostgreSQL.
    """

    def __init__(self, database: PostgreSQL) -> None:
        super().__init__()
        self._database = database
        database.presence.on_change(self._arrived)

    @property
    def is_connected(self) -> bool:
        """Whether changes arrive at this moment."""
        return self._database.presence.is_alive

    @asynccontextmanager
    async def heard(self) -> AsyncGenerator[AsyncIterator[Change]]:
        """Listen, for as long as the block lasts. What changes before the connection is there is told as a gap."""
        self._database.presence.start()
        async with super().heard() as heard:
            yield heard

    async def _send(self, change: Change) -> None:
        await self._database.notify(json.dumps([change.key, change.topic]))

    def _arrived(self, payload: str | None) -> None:
        """Take what PostgreSQL has told; None after a time in which nothing could be heard."""
        if payload is None:
            self._tell(Change(EVERYBODY, GAP))
            return
        with suppress(ValueError, TypeError):
            key, topic = json.loads(payload)
            self._tell(Change(str(key), str(topic)))
