"""Serve one host over its pipes, and end in time whatever is under way."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import anyio
from mcp.os.win32.utilities import rebind_std_handle_to_fd

from kallyai_mcp.server.ending import end_in_time, leave
from kallyai_mcp.server.streams import message_streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup
    from mcp.server.lowlevel import Server

    from kallyai_mcp.pipes import Pipes

CLOSING_TIME = 2.0
"""Seconds that closing connections may take before the process ends without them."""

LAST_MOMENT = 3.0
"""Seconds after which the process ends, whatever still holds it: a host that does not read, a thread that waits."""


async def serve_stdio(
    server: Server[Any],
    pipes: Pipes,
    *,
    tasks: Callable[[TaskGroup], None],
    close: Callable[[], Awaitable[None]],
) -> None:
    """Serve until the input ends, the host is gone, or a signal asks for the end.

    On SIGTERM and SIGINT the runs under way are cancelled, their connections closed, and the process ends with 128 plus
    the signal's number. It ends by `os._exit`, since a thread may still be waiting for input that never comes.

    Args:
        server: What to serve.
        pipes: To the host.
        tasks: Handed the task group that lives as long as the server.
        close: Closes what the runs used.
    """
    received: signal.Signals | None = None
    if sys.platform == "win32":
        for number in (0, 1):  # children inherit these, not the descriptors of the C library
            rebind_std_handle_to_fd(number)

    async def stop_on_signal(scope: anyio.CancelScope) -> None:
        nonlocal received
        if sys.platform == "win32":
            return  # the event loop takes no signals there; the host ends the input
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                received = number
                _end_in_time(128 + number)
                scope.cancel()
                return

    async with anyio.create_task_group() as group:
        try:
            async with message_streams(pipes, _end_in_time) as streams:
                try:
                    with anyio.CancelScope() as serving:
                        group.start_soon(stop_on_signal, serving)
                        tasks(group)
                        await server.run(*streams, server.create_initialization_options())
                finally:
                    _end_in_time()
                    with anyio.move_on_after(CLOSING_TIME, shield=True):
                        await close()
                if received is not None:
                    leave(128 + received)
        except* BrokenPipeError:
            pass  # the host has closed its end: there is nobody to answer
        group.cancel_scope.cancel()


def _end_in_time(code: int = 0) -> None:
    end_in_time(LAST_MOMENT, code)
