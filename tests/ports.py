"""Ports for servers that tests start, out of a range from which the system hands out none by itself."""

from __future__ import annotations

import itertools
import os
import random
import socket
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RANGE = range(20_000, 32_000)
"""Below what Linux takes for outgoing connections, so that a port stays free while its server is started anew."""


@cache
def _own() -> Iterator[int]:
    """The ports of this process, in any order: no other process of this test run gives out one of them.

    Between the moment when a port is given out and the one when its server listens, nothing shows that it is taken.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = RANGE[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    return itertools.cycle(random.sample(ports, len(ports)))


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nothing listens on, and that was not given out lately."""
    for port in itertools.islice(_own(), 100):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
            try:
                tried.bind((host, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
