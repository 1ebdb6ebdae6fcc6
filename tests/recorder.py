"""An API on loopback that keeps every request as its bytes came, and answers to order, or not at all.

It speaks HTTP/1.1 itself: a library would hide what these tests look at, and could not misbehave as they need.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from kallyai_mcp.model import Command

WAIT = 60.0
"""Seconds after which something that was waited for counts as missing."""

JSON_TYPE = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True)
class Received:
    """One request.

    Attributes:
        method: As sent.
        path: As sent, up to the question mark.
        query: As sent, after the question mark.
        headers: Names in lower case, in their order, repeated ones too.
        body: Its bytes.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name.lower()]

    def json(self) -> Any:
        """Return the body's value; None when there is no body."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Reply:
    """How to answer one request.

    Attributes:
        status: HTTP status.
        body: Bytes of the body.
        headers: Besides Content-Length.
        cut: Bytes of the body after which the connection is closed, although more were announced.
        held: Nothing is answered before `Recorder.release`.
        stream: Gives part after part, without announcing a length, until the client leaves.
        pause: Seconds between two parts of the stream.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = (JSON_TYPE,)
    cut: int | None = None
    held: bool = False
    stream: Callable[[], Generator[bytes]] | None = None
    pause: float = 0


def answer(data: Any, status: int = 200, *headers: tuple[str, str]) -> Reply:
    """Return an answer in JSON."""
    return Reply(status, json.dumps(data).encode(), (JSON_TYPE, *headers))


HELD = Reply(held=True)


class Recorder:
    """The requests that came, and the replies that are due. Safe to use from any thread."""

    def __init__(self) -> None:
        self.origin = ""
        self.left: list[float] = []
        """For each client that closed its connection while its answer was due: when, on the monotonic clock."""
        self._requests: list[Received] = []
        self._replies: list[Reply] = [Reply()]
        self._about: Command | None = None
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transports = weakref.WeakSet[asyncio.WriteTransport]()

    @property
    def requests(self) -> list[Received]:
        """What has come since the last `answers`."""
        with self._changed:
            return list(self._requests)

    def answers(self, *replies: Reply, about: Command | None = None) -> None:
        """Forget what came; from now on give these replies in their order, the last one for ever.

        What is not a request of the command named is answered with 404 and kept aside: the server reads around an act.
        """
        with self._changed:
            self._requests, self.left = [], []
            self._about = about
            self._replies = list(replies) or [Reply()]
            self._released.clear()

    def release(self) -> None:
        """Have held answers sent."""
        self._released.set()

    def wait_requests(self, count: int = 1) -> list[Received]:
        """Return the requests once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._requests) >= count, WAIT), "no request came"
            return list(self._requests)

    def wait_left(self, count: int = 1) -> float:
        """Return when the last client left, once so many have."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.left) >= count, WAIT), "no client left"
            return self.left[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._transports.add(writer.transport)
        try:
            while (request := await _read(reader)) is not None:
                with self._changed:
                    if self._about is not None and not _is_of(request, self._about):
                        reply = Reply(404)
                    else:
                        self._requests.append(request)
                        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
                        self._changed.notify_all()
                if not await self._answer(reply, reader, writer):
                    break
        except OSError:
            self._note_leaving()
        except asyncio.CancelledError:
            pass  # by `_close`; of a client's task that is cancelled, asyncio logs an error
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer. Whether the connection stays open."""
        if reply.held and not await self._hold(reader):
            self._note_leaving()
            return False
        lines = [f"HTTP/1.1 {reply.status} Recorded", *(f"{name}: {value}" for name, value in reply.headers)]
        if reply.stream is not None:
            writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
            for part in reply.stream():
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(reply.pause)
            return False
        lines.append(f"Content-Length: {len(reply.body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + reply.body[: reply.cut])
        await writer.drain()
        return reply.cut is None

    async def _hold(self, reader: asyncio.StreamReader) -> bool:
        """Wait for the release. Whether the client is still there."""
        gone = asyncio.ensure_future(reader.read(1))
        try:
            while not self._released.is_set():
                done, _ = await asyncio.wait({gone}, timeout=0.01)
                if done:
                    return False
            return True
        finally:
            gone.cancel()
            await asyncio.wait({gone})  # until it has let go of the reader

    def _note_leaving(self) -> None:
        with self._changed:
            self.left.append(time.monotonic())
            self._changed.notify_all()

    async def _open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _close(self, server: asyncio.Server) -> None:
        """End all that is under way; what was left would warn where it is collected, in the midst of another test."""
        server.close()
        await self._turns()  # whoever came at the last moment has a task by then
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in tuple(self._transports):
            transport.abort()  # also where a client does not take what is left to send
        await self._turns()

    async def _turns(self) -> None:
        for _ in range(5):  # more than asyncio takes to begin a connection that it has accepted, or to end one
            await asyncio.sleep(0)

    def run(self, ready: threading.Event) -> None:
        """Serve until `stop`; the work of the recorder's own thread."""
        server = self._loop.run_until_complete(self._open())
        ready.set()
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._close(server))
        finally:
            self._loop.close()

    def stop(self) -> None:
        """End `run`."""
        self._loop.call_soon_threadsafe(self._loop.stop)


def _is_of(request: Received, command: Command) -> bool:
    path = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(command.path))
    return request.method == command.method and re.fullmatch(path, request.path) is not None


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    length = next((int(value) for name, value in headers if name == "content-length"), 0)
    path, _, query = target.partition("?")
    return Received(method, path, query, headers, await reader.readexactly(length))


@contextmanager
def recording() -> Generator[Recorder]:
    """Give a recorder that serves for as long as the block lasts."""
    recorder = Recorder()
    ready = threading.Event()
    thread = threading.Thread(target=recorder.run, args=(ready,), name="recorder")
    thread.start()
    try:
        assert ready.wait(WAIT)
        yield recorder
    finally:
        recorder.stop()
        thread.join(WAIT)
