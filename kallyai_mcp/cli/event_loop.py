"""The event loop that a terminal command runs in: one that Ctrl-C always wakes."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

T = TypeVar("T")


def run_async(work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Run something to its end in an event loop of its own, as `anyio.run` does.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, at whatever moment.
    """

    async def woken() -> T:
        with _signals_wake_it():
            return await work(*args)

    return anyio.run(woken)


@contextmanager
def _signals_wake_it() -> Generator[None]:
    """Have the event loop wake when a signal comes in.

    Python runs the handler of a signal between two steps of the main thread. One that comes just before the loop falls
    asleep, or to another thread, is otherwise handled when something else wakes the loop, which may be never
    (Python's documentation, `signal.set_wakeup_fd`).
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield  # asyncio does so itself there; and other threads are given no signals by Python
        return
    loop = asyncio.get_running_loop()
    taking, giving = socket.socketpair()
    with taking, giving:
        taking.setblocking(False)
        giving.setblocking(False)
        loop.add_reader(taking, taking.recv, 4096)
        before = signal.set_wakeup_fd(giving.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(taking)
