"""The pipes to the host as streams of messages (MCP, transports, stdio: a message is a line of JSON in UTF-8).

The SDK's own transport hands every line to a thread and back, three times for each run. Here the event loop reads and
writes the pipes itself, which takes a good part less and leaves no thread waiting for input when the process is to end.
Where the loop cannot watch the descriptors (files, terminals, Windows), the SDK's transport takes over.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import sys
from contextlib import asynccontextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, cast

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared._stream_protocols import ReadStream, WriteStream

    from kallyai_mcp.pipes import Pipes

    Streams = tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]

logger = logging.getLogger(__name__)

_CHUNK = 1 << 16
GRACE = 2.0
"""Seconds that runs under way may take once the input has ended."""

_WAITING = 16
"""Messages that may wait in either direction before their sender has to."""

ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")


class _Unanswered(set[types.RequestId]):
    """The requests under way, by their ids.

    Attributes:
        standing: Those that are answered only when their host ends them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.standing: set[types.RequestId] = set()
        self._changed = anyio.Event()

    def answered(self, number: types.RequestId) -> None:
        self.discard(number)
        self.standing.discard(number)
        self._changed.set()

    async def settled(self) -> None:
        """Wait until there is none but standing ones."""
        while self - self.standing:
            self._changed = anyio.Event()
            await self._changed.wait()


@asynccontextmanager
async def message_streams(pipes: Pipes, at_end: Callable[[], None]) -> AsyncGenerator[Streams]:
    """Give the streams of the host's messages and of ours, for as long as the block lasts.

    Args:
        pipes: To the host.
        at_end: Called once the host has closed its end, perhaps in another thread.
    """
    if not _can_be_watched(pipes):
        from mcp.server.stdio import stdio_server

        # Not closed with the objects: a thread may still be waiting for input when the process ends.
        reading = _HostInput(os.fdopen(pipes.incoming, "rb", closefd=False), encoding="utf-8", errors="replace")
        reading.at_end = at_end
        writing = TextIOWrapper(os.fdopen(pipes.outgoing, "wb", closefd=False), encoding="utf-8", newline="\n")
        async with stdio_server(anyio.wrap_file(reading), anyio.wrap_file(writing)) as streams:
            yield streams
        return
    for descriptor in (pipes.incoming, pipes.outgoing):
        os.set_blocking(descriptor, False)
    incoming, received = anyio.create_memory_object_stream[SessionMessage | Exception](_WAITING)
    sent, outgoing = anyio.create_memory_object_stream[SessionMessage](_WAITING)
    unanswered = _Unanswered()
    async with anyio.create_task_group() as writing, anyio.create_task_group() as reading:
        writing.start_soon(_write, pipes.outgoing, outgoing, unanswered)
        reading.start_soon(_read, pipes.incoming, incoming, sent.clone(), unanswered, at_end)
        yield received, sent
        reading.cancel_scope.cancel()
        await sent.aclose()  # what waits is still written, at the host's pace; whoever called `at_end` sets the end


def _can_be_watched(pipes: Pipes) -> bool:
    if sys.platform == "win32":
        return False
    log, *ours = (os.fstat(number) for number in (2, pipes.incoming, pipes.outgoing))
    if any((log.st_dev, log.st_ino) == (fact.st_dev, fact.st_ino) for fact in ours):
        return False  # what the log shares must stay blocking
    return all(stat.S_ISFIFO(fact.st_mode) or stat.S_ISSOCK(fact.st_mode) for fact in ours)


async def _read(
    source: int,
    incoming: MemoryObjectSendStream[SessionMessage | Exception],
    outgoing: MemoryObjectSendStream[SessionMessage],
    unanswered: _Unanswered,
    at_end: Callable[[], None],
) -> None:
    async with incoming, outgoing:
        rest: list[bytes] = []
        while chunk := await _chunk(source):
            *lines, last = chunk.split(b"\n")
            for line in lines:
                rest.append(line)
                for message in _messages(b"".join(rest)):
                    if isinstance(message.message, types.JSONRPCError):
                        await outgoing.send(message)
                    elif _is_new(message.message, unanswered):
                        await incoming.send(message)
                rest = []
            rest.append(last)
        at_end()
        # Whoever pipes a few requests in wants the answers, and a request that was sent is best let finish.
        with anyio.move_on_after(GRACE):
            await unanswered.settled()


def _is_new(message: types.JSONRPCMessage, unanswered: _Unanswered) -> bool:
    """Whether a message is to be passed on, which a request is not that repeats the id of one under way.

    No host may do that (MCP, base protocol, requests). It gets the one answer: two runs could be two phone calls.
    """
    if isinstance(message, types.JSONRPCRequest):
        if message.id in unanswered:
            logger.warning("A request was ignored: another one with its id is still under way.")
            return False
        unanswered.add(message.id)
        if message.method == "subscriptions/listen":
            unanswered.standing.add(message.id)
    elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
        number = (message.params or {}).get("requestId")
        if isinstance(number, int | str):
            unanswered.answered(number)  # a cancelled request is not answered
    return True


async def _chunk(source: int) -> bytes:
    while True:
        try:
            return os.read(source, _CHUNK)
        except BlockingIOError:
            await anyio.wait_readable(source)
        except ConnectionResetError:
            return b""


def _messages(line: bytes) -> list[SessionMessage]:
    """Return the messages of a line; what is none becomes the error that answers it, so that no host waits in vain."""
    text = line.decode("utf-8", errors="replace")
    if ESCAPED.search(line):
        text = mended(text)
    try:
        return [SessionMessage(types.jsonrpc_message_adapter.validate_json(text, by_name=False))]
    except ValueError:
        return [] if text.isspace() or not text else [m for m in _mistaken(text) if m is not None]


def _mistaken(text: str) -> list[SessionMessage | None]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return [_refusal(None, types.PARSE_ERROR, "Parse error")]
    # A batch (JSON-RPC 2.0, 6) belongs to protocol 2025-03-26 alone; its messages are answered one by one.
    if isinstance(value, list) and value:
        return [_single(entry) for entry in cast("list[Any]", value)]
    return [_single(value)]


def _single(value: Any) -> SessionMessage | None:
    try:
        return SessionMessage(types.jsonrpc_message_adapter.validate_python(value, by_name=False))
    except ValueError:
        fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if "result" in fields or "error" in fields:
            return None  # an answer is not answered
        number = fields.get("id")
        known = isinstance(number, int | str) and not isinstance(number, bool)
        return _refusal(number if known else None, types.INVALID_REQUEST, "Invalid Request")


def _refusal(number: int | str | None, code: int, message: str) -> SessionMessage:
    error = types.ErrorData(code=code, message=message)
    return SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=number, error=error))


def mended(line: str) -> str:
    """Return a message in which halves of surrogate pairs, which no UTF-8 can hold, have become U+FFFD."""
    # A host written in JavaScript sends a text cut within an emoji as "\ud83d" (RFC 8259, 8.2); left as it is, the
    # whole message would be dropped and never answered.
    try:
        text = json.dumps(json.loads(line), ensure_ascii=False)
    except (ValueError, RecursionError):
        return line
    return _HALF.sub("\ufffd", text)


async def _write(target: int, outgoing: MemoryObjectReceiveStream[SessionMessage], unanswered: _Unanswered) -> None:
    async with outgoing:
        async for item in outgoing:
            rest = memoryview(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            while rest:
                try:
                    rest = rest[os.write(target, rest) :]
                except BlockingIOError:
                    await anyio.wait_writable(target)
            if isinstance(item.message, types.JSONRPCResponse | types.JSONRPCError) and item.message.id is not None:
                unanswered.answered(item.message.id)


class _HostInput(TextIOWrapper):
    at_end: Callable[[], None] | None = None

    def readline(self, size: int = -1, /) -> str:
        line = super().readline(size)
        if not line and self.at_end is not None:
            self.at_end()
        return mended(line) + "\n" if ESCAPED.search(line.encode()) else line
