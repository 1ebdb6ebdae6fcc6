"""A proxy in front of PostgreSQL that can stop forwarding: connections stay open, and nothing comes through."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


class StallingProxy:
    """Forwards to a port of this machine, in threads.

    Args:
        port: Where to.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.heard = threading.Event()
        """Set once something has come that was not forwarded."""
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Forward nothing more; new connections are taken all the same."""
        self.heard.clear()
        self._flows.clear()

    def go_on(self) -> None:
        """Forward what has come meanwhile, and all that follows."""
        self._flows.set()

    def close(self) -> None:
        """End it."""
        self._flows.set()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._sockets.append(near)
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        self._flows.wait()
        far = socket.create_connection(("127.0.0.1", self._target))
        self._sockets.append(far)
        back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
        back.start()
        self._pump(near, far)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self._flows.is_set():
                    self.heard.set()
                    self._flows.wait()
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def stalling(port: int) -> Generator[StallingProxy]:
    """Give a proxy for as long as the block lasts."""
    made = StallingProxy(port)
    try:
        yield made
    finally:
        made.close()
