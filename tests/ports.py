"""Ports for servers that tests start, out of a range from which the system hands out none by itself."""

from __future__ import annotations

import os
import random
import socket

RANGE = range(20_000, 32_000)
"""Below what Linux takes for outgoing connections, so that a port stays free while its server is started anew."""

_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nothing listens on."""
    return free_ports(1, host).start


def free_ports(count: int, host: str = "127.0.0.1") -> range:
    """Return so many ports in a row that nothing listens on, none of them given out before by this process."""
    own = _own()
    for _ in range(1000):
        start = random.choice(own[: 1 - count or None])  # noqa: S311 - no secret
        ports = range(start, start + count)
        if _given.isdisjoint(ports) and all(_is_free(host, port) for port in ports):
            _given.update(ports)
            return ports
    raise AssertionError("no free port")


def _own() -> range:
    """The part of the range that is this worker's: what two of a run have found free, both would take."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = len(RANGE) // workers
    return RANGE[share * (number % workers) :][:share]


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
        try:
            tried.bind((host, port))
        except OSError:
            return False
        return True
