"""The one connection by which a process counts as alive, and by which it hears of changes.

It holds a lock of the database for as long as it lasts, so that whatever ends the process frees it; and writes down
each few seconds that it was there, so that one that is only reconnecting is not taken for dead. The name of a process
is never given out again.
"""

from __future__ import annotations

import hashlib
import selectors
import socket
import threading
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

GRACE = 15.0
"""Seconds for which a process counts as alive after it was last seen, or after the database came back."""

BEAT = 4.0
"""Seconds between two times of being seen."""

_PAUSE = 0.2
_LONGEST_PAUSE = 1.0
_SEEN = """
INSERT INTO life (instance, seen) VALUES (%(instance)s, clock_timestamp())
ON CONFLICT (instance) DO UPDATE SET seen = excluded.seen
"""


def lock_number(kind: str, name: str) -> int:
    """Return the number of an advisory lock: 64 bits, so that two names hardly ever share one."""
    digest = hashlib.sha256(f"kallyai-mcp\n{kind}\n{name}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class Presence:
    """This process in the database, from `begin` to `end`.

    Args:
        connect: Makes a connection.
    """

    def __init__(self, connect: Callable[..., psycopg.Connection[dict[str, Any]]]) -> None:
        self._connect = connect
        self.instance = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._alive = threading.Event()
        self._ended = threading.Event()
        self._woken: tuple[socket.socket, socket.socket]
        self._failure: psycopg.Error | None = None
        self._hears: Callable[[str | None], None] | None = None
        self._loop: AbstractEventLoop | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the connection is there."""
        return self._alive.is_set()

    def on_change(self, hears: Callable[[str | None], None]) -> None:
        """Have each notification handed to a function, in the event loop that calls `start`; None after a gap."""
        self._hears = hears

    def start(self) -> None:
        """Begin without waiting, in an event loop."""
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._started()

    def begin(self, wait: float) -> None:
        """Be alive, or wait so many seconds for it.

        Raises:
            psycopg.Error: There is no connection.
        """
        if self._alive.is_set():
            return
        self._started()
        if not self._alive.wait(wait):
            raise self._failure or psycopg.OperationalError("no connection in time")

    def end(self) -> None:
        """Be dead to all others."""
        with self._lock:
            self._ended.set()
            thread, self._thread = self._thread, None
        if thread is not None:
            self._woken[1].send(b".")
            thread.join(10)
            for end in self._woken:
                end.close()
        self.instance = uuid.uuid4().hex

    def _started(self) -> None:
        with self._lock:
            if self._thread is None:
                self._ended.clear()
                self._woken = socket.socketpair()
                self._thread = threading.Thread(target=self._live, name="kallyai presence", daemon=True)
                self._thread.start()

    def _live(self) -> None:
        pause = _PAUSE
        while not self._ended.is_set():
            try:
                with self._connect() as connection:
                    try:
                        self._be(connection)
                    finally:
                        pause = _PAUSE
                        self._alive.clear()
                    self._leave(connection)
            except psycopg.Error as error:
                self._failure = error
            self._ended.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _be(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        connection.execute("SELECT pg_advisory_lock_shared(%(lock)s)", {"lock": lock_number("life", self.instance)})
        connection.execute(_SEEN, {"instance": self.instance})
        connection.execute("LISTEN kallyai")
        self._failure = None
        self._alive.set()
        self._hand(None)
        seen = time.monotonic()
        while not self._ended.is_set():
            self._wait_for(connection, BEAT)
            for notification in connection.notifies(timeout=0):
                self._hand(notification.payload)
            if time.monotonic() - seen >= BEAT:
                connection.execute(_SEEN, {"instance": self.instance})
                seen = time.monotonic()

    def _wait_for(self, connection: psycopg.Connection[dict[str, Any]], longest: float) -> None:
        """Wait until something comes, or this process is to end."""
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._woken[0], selectors.EVENT_READ)
            selector.select(longest)

    def _leave(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        with suppress(psycopg.Error):
            connection.execute("DELETE FROM life WHERE instance = %(instance)s", {"instance": self.instance})

    def _hand(self, payload: str | None) -> None:
        if self._hears is not None and self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._hears, payload)
