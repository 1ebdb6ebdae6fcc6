"""Servers as hosts start them, signed in by one token file that they share."""

from __future__ import annotations

import itertools
import json
import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from hosts import Host, environment
from recorder import WAIT

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

READ: tuple[str, dict[str, Any]] = ("kallyai_credits_balance", {})
WRITE = "kallyai_actions_errand"
"""Around it the server reads nothing, so that each run is one request."""

_orders = itertools.count(1)


def put(path: Path, number: int, seconds: float, *, access: str | None = None) -> None:
    """Put pair `number` into the token file as a whole, written an hour ago."""
    now = time.time()
    fields = {"access_token": access or f"at-{number}", "refresh_token": f"rt-{number}", "expires_at": now + seconds}
    new = path.with_name("new")
    new.touch(0o600)
    new.write_text(json.dumps(fields))
    os.utime(new, (now - 3600, now - 3600))
    new.replace(path)


@contextmanager
def signed_in(folder: Path, origin: str, count: int) -> Generator[list[Host]]:
    """Give servers that share `folder/token.json`, for as long as the block lasts."""
    environ = environment(
        folder,
        origin,
        KALLYAI_TOKEN_FILE=str(folder / "token.json"),
        KALLYAI_LOG_LEVEL="debug",
        KALLYAI_DEVICE_AUTHORIZATION_URL=f"{origin}/device",
        KALLYAI_TOKEN_URL=f"{origin}/device/token",
    )
    del environ["KALLYAI_ACCESS_TOKEN"]
    with ExitStack() as stack:
        hosts: list[Host] = []
        for number in range(count):
            home = folder / f"host-{number}"
            home.mkdir()
            host = Host(home, environ)
            stack.callback(host.close)
            host.listen()
            hosts.append(host)
        for host in hosts:
            host.connect("2025-11-25")
        yield hosts


def ask(hosts: Sequence[Host], runs: int, *, writes: bool = True) -> None:
    """Begin so many runs in each server, without waiting for any: reads and, in turn, writes, no two of them equal."""
    for number in range(runs):
        for host in hosts:
            if writes and number % 2:
                host.ask_tool(WRITE, {"description": f"Collect parcel {next(_orders)} from the post office"})
            else:
                host.ask_tool(*READ)


def results(host: Host, runs: int, wait: float = WAIT) -> list[dict[str, Any]]:
    """Return what so many runs brought, in the order in which they ended."""
    return [host.next(wait)["result"] for _ in range(runs)]


def codes(found: Sequence[dict[str, Any]]) -> set[str]:
    """Return how runs ended: "ok", or the code of the error."""
    return {one["structuredContent"]["error"]["code"] if one["isError"] else "ok" for one in found}
