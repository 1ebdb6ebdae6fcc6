"""A host reduced to its sockets: starts a server, sends it requests of 2026-07-28, measures."""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.host import ROOT

VERSION = "2026-07-28"
ABOUT = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
START_TIME = 30.0


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


@dataclass(frozen=True)
class WebSubject:
    """A server to be measured: its command line with {port} in it, its environment, the tool to run."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    tool: str = "balance"
    token_file: Path | None = None


class WebHost:
    """One running server."""

    def __init__(self, subject: WebSubject) -> None:
        self._subject = subject
        self.port = free_port()
        self._process = subprocess.Popen(
            [part.format(port=self.port) for part in subject.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | subject.environment,
            cwd=ROOT,
        )

    def __enter__(self) -> Self:
        deadline = time.monotonic() + START_TIME
        while True:
            try:
                self._connect()
                break
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    sys.exit(f"{self._subject.name} did not start")
                time.sleep(0.05)
        token_file = self._subject.token_file
        self._request = self._whole("" if token_file is None else token_file.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _whole(self, token: str) -> bytes:
        params = {"name": self._subject.tool, "arguments": {}, "_meta": ABOUT}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        lines = [
            "POST /mcp HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            *([f"Authorization: Bearer {token}"] if token else []),
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            f"MCP-Protocol-Version: {VERSION}",
            "Mcp-Method: tools/call",
            f"Mcp-Name: {self._subject.tool}",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def call(self) -> float:
        """Run the tool once; return the seconds it took."""
        if select.select([self._socket], [], [], 0)[0]:  # closed, for nothing else is due: uvicorn does after 5 s
            self._socket.close()
            self._connect()
            self.call()
        begun = time.perf_counter()
        self._socket.sendall(self._request)
        data = b""
        while (size := _whole_answer(data)) is None:
            if not (chunk := self._socket.recv(65536)):
                sys.exit(f"{self._subject.name} hung up")
            data += chunk
        seconds = time.perf_counter() - begun
        _check(self._subject.name, data[:size])
        return seconds

    def calls_in_flight(self, count: int, at_once: int) -> float:
        """Run the tool `count` times, `at_once` at any moment; return runs per second."""
        return asyncio.run(self._many(count, at_once))

    async def _many(self, count: int, at_once: int) -> float:
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        state = [count - at_once, count]
        made = [
            await loop.create_connection(lambda: _Client(self._request, state, over), "127.0.0.1", self.port)
            for _ in range(at_once)
        ]
        begun = time.perf_counter()
        for _, client in made:
            client.send()
        failed = await over
        seconds = time.perf_counter() - begun
        for transport, _ in made:
            transport.close()
        if failed:
            sys.exit(f"{self._subject.name} failed under load: {failed}")
        return count / seconds

    def cpu(self) -> float:
        """Seconds of CPU used so far (Linux)."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _whole_answer(data: bytes) -> int | None:
    """Return the length of the answer at the beginning of some bytes; None where it is not all there."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    at = head.find(b"content-length:")
    if at < 0:
        last = data.find(b"\r\n0\r\n\r\n", end)
        return None if last < 0 else last + 7
    size = end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
    return size if len(data) >= size else None


def _check(name: str, answer: bytes) -> None:
    if not answer.startswith(b"HTTP/1.1 200") or b'"isError":true' in answer or b'"error":' in answer:
        sys.exit(f"{name}: {answer[:600]!r}")


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, state: list[int], over: asyncio.Future[str]) -> None:
        self._request = request
        self._state = state
        self._over = over
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self) -> None:
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if (size := _whole_answer(self._data)) is None:
            return
        answer, self._data = self._data[:size], self._data[size:]
        if not answer.startswith(b"HTTP/1.1 200") and not self._over.done():
            self._over.set_result(repr(answer[:300]))
        self._state[1] -= 1
        if not self._state[1] and not self._over.done():
            self._over.set_result("")
        elif self._state[0] > 0:
            self._state[0] -= 1
            self.send()
