"""A host reduced to its pipes: starts a server, speaks JSON-RPC with it, measures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
VERSION = "2025-11-25"


@dataclass(frozen=True)
class Subject:
    """A server to be measured: its command line, its environment, the tool to run, and what each run has of its own."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    tool: str = "balance"
    varied: str | None = None
    """Name of an argument that is another with each run."""


class Host:
    """One running server."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._next = 0
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            subject.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | subject.environment,
            cwd=ROOT,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin
        self._out = self._process.stdout

    def __enter__(self) -> Self:
        about = {"name": "bench", "version": "1"}
        self.send("initialize", {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": about})
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        self._process.wait(60)
        self._out.close()

    def _write(self, message: dict[str, Any]) -> None:
        self._in.write(json.dumps(message).encode() + b"\n")
        self._in.flush()

    def send(self, method: str, params: dict[str, Any]) -> int:
        self._next += 1
        self._write({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params})
        return self._next

    def answer(self) -> dict[str, Any]:
        return json.loads(self._out.readline())

    def answer_to(self, number: int) -> dict[str, Any]:
        while (answer := self.answer()).get("id") != number:
            pass
        if "error" in answer or answer["result"].get("isError"):
            sys.exit(f"{self._subject.name}: {json.dumps(answer)[:600]}")
        return answer

    def list_tools(self) -> int:
        return len(self.answer_to(self.send("tools/list", {}))["result"]["tools"])

    def call(self) -> float:
        """Run the tool once; return the seconds it took."""
        varied = self._subject.varied
        arguments = {} if varied is None else {varied: f"Collect parcel {self._next} from the post office"}
        begun = time.perf_counter()
        self.answer_to(self.send("tools/call", {"name": self._subject.tool, "arguments": arguments}))
        return time.perf_counter() - begun

    def calls_in_flight(self, count: int, at_once: int) -> float:
        """Run the tool `count` times, `at_once` at any moment; return runs per second."""
        params: dict[str, Any] = {"name": self._subject.tool, "arguments": {}}
        begun = time.perf_counter()
        for _ in range(at_once):
            self.send("tools/call", params)
        for done in range(count):
            if "error" in self.answer():
                sys.exit(f"{self._subject.name} failed under load")
            if done + at_once < count:
                self.send("tools/call", params)
        return count / (time.perf_counter() - begun)

    def processor(self) -> float:
        """Seconds of processor time used so far (Linux: /proc; elsewhere: the seconds that have passed)."""
        stat = Path(f"/proc/{self._process.pid}/stat")
        if not stat.exists():
            return time.perf_counter() - self.started
        user, system = stat.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """Memory in use, in MiB (Linux: /proc; elsewhere: ps)."""
        status = Path(f"/proc/{self._process.pid}/status")
        if status.exists():
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
            return int(line.split()[1]) / 1024
        shown = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self._process.pid)], capture_output=True, text=True, check=True
        )
        return int(shown.stdout) / 1024
