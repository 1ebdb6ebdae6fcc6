"""What one replica of an organisation's server carries, and four behind a proxy that deals requests out in turn.

    python -m bench.organisation [--calls 2000]

Everything runs on this machine: a PostgreSQL of its own, the service, the replicas, Caddy if it is installed, and the
load: 64 connections, each of another person, who reads their credits over 2026-07-28 HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from organisation_world import BALANCE, Organisation, message, organisation
from ports import free_port
from postgres_world import running
from provider_world import wait_for

if TYPE_CHECKING:
    from collections.abc import Generator

IN_FLIGHT = 64


async def load(us: Organisation, port: int, tokens: list[str], calls: int) -> tuple[float, list[float]]:
    """Return calls per second, and the seconds that each took."""
    host = us.origin.partition("://")[2]
    body = json.dumps(message(BALANCE, {})).encode()
    seconds: list[float] = []
    left = calls

    async def person(token: str) -> None:
        nonlocal left
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call"
            f"\r\nMcp-Name: {BALANCE}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            started = time.perf_counter()
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            content = await reader.readexactly(int(length.partition(b":")[2]))
            assert b'"owner"' in content, content
            seconds.append(time.perf_counter() - started)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(person(token) for token in tokens))
    return calls / (time.perf_counter() - started), seconds


@contextmanager
def proxy(us: Organisation, folder: Path) -> Generator[int | None]:
    """Give the port of a proxy in front of all replicas; None where Caddy is not installed."""
    caddy = shutil.which("caddy")
    if caddy is None:
        yield None
        return
    port = free_port()
    upstreams = " ".join(f"127.0.0.1:{one}" for one in us.ports)
    file = folder / "Caddyfile"
    file.write_text(
        f"{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n reverse_proxy {upstreams} {{\n"
        "  lb_policy round_robin\n  flush_interval -1\n }\n}\n"
    )
    with (folder / "caddy.log").open("w") as log:
        process = subprocess.Popen(
            [caddy, "run", "--config", str(file), "--adapter", "caddyfile"], stdout=log, stderr=log
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/readyz")
        yield port
    finally:
        process.kill()
        process.wait()


def measure(us: Organisation, port: int, tokens: list[str], calls: int, name: str) -> float:
    """Print what a port carries, and return its calls per second."""
    asyncio.run(load(us, port, tokens, calls // 4))
    speed, seconds = asyncio.run(load(us, port, tokens, calls))
    p99 = quantiles(seconds, n=100)[98]
    memory = max(_resident(process.pid) for process in us.processes)
    print(
        f"{name}: {speed:,.0f} calls/s, p50 {median(seconds) * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, "
        f"{memory:.0f} MB for each replica",
        flush=True,
    )
    return speed


def _resident(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    calls: int = parser.parse_args().calls
    speeds: list[float] = []
    with running() as cluster:
        for replicas in (1, 4):
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                us = stack.enter_context(organisation(folder, cluster.url(cluster.new()), replicas=replicas))
                names = [f"p{number}" for number in range(IN_FLIGHT)]
                asyncio.run(us.link(*names))
                tokens = [us.token(name) for name in names]
                if replicas == 1:
                    speeds.append(measure(us, us.ports[0], tokens, calls, "1 replica"))
                port = stack.enter_context(proxy(us, folder))
                if port is not None:
                    name = f"{replicas} replica{'s' * (replicas > 1)} behind Caddy"
                    speeds.append(measure(us, port, tokens, calls, name))
    print(f"4 replicas carry {speeds[-1] / speeds[-2]:.2f} times what one does, measured at the same place.")


if __name__ == "__main__":
    main()
