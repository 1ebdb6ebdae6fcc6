"""Ports for servers that tests start, out of a range from which the system hands out none by itself."""

from __future__ import annotations

import random
import socket

RANGE = range(20_000, 32_000)
"""Below what Linux takes for outgoing connections, so that a port stays free while its server is started anew."""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nothing listens on."""
    for _ in range(100):
        port = random.choice(RANGE)  # noqa: S311 - no secret
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
            try:
                tried.bind((host, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
