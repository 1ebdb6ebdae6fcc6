"""Several processes on one token file, with a service that rotates refresh tokens and ends the family on reuse."""

import json
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import time

import pytest
from auth_world import stored

PEER = Path(__file__).with_name("auth_peer.py")
KILLED = Path(__file__).with_name("auth_killed.py")
PROCESSES, TASKS = 8, 50


class Rotating(ThreadingHTTPServer):
    """Refreshes slowly, so that everybody has time to come along; an old or wrong refresh token ends the family."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RefreshHandler)
        self.current = "rt-0"
        self.refreshes = 0
        self.revoked = False
        self.guard = threading.Lock()

    def refresh(self, token: str) -> tuple[int, Mapping[str, object]]:
        with self.guard:
            if self.revoked or token != self.current:
                self.revoked = True
                return 400, {"error": "invalid_grant"}
            self.refreshes += 1
            self.current = f"rt-{self.refreshes}"
            answer = {"access_token": f"at-{self.refreshes}", "refresh_token": self.current, "expires_in": 3600}
        threading.Event().wait(0.15)
        return 200, answer


class RefreshHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Rotating)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.server.refresh(body["refresh_token"])
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


@contextmanager
def rotating() -> Generator[Rotating]:
    with Rotating() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def run_peers(path: Path, origin: str, refused: str) -> list[dict[str, object]]:
    command = [sys.executable, str(PEER), str(path), origin, str(TASKS), refused]
    peers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own script
        for _ in range(PROCESSES)
    ]
    try:
        for peer in peers:
            assert peer.stdout is not None
            assert peer.stdout.readline() == "ready\n"
        for peer in peers:
            assert peer.stdin is not None
            peer.stdin.write("go\n")
            peer.stdin.flush()
        return [json.loads(peer.communicate(timeout=240)[0]) for peer in peers]
    finally:
        for peer in peers:
            peer.kill()
            peer.communicate()


@pytest.mark.parametrize(("seconds", "refused"), [(-1, "-"), (3_000, "at-0")], ids=["expired token", "storm of 401"])
def test_many_runs_in_many_processes_cost_one_refresh_and_none_fails(
    tmp_path: Path, seconds: float, refused: str
) -> None:
    path = tmp_path / "token.json"
    path.touch(0o600)
    fields = {"access_token": "at-0", "refresh_token": "rt-0", "expires_at": time() + seconds}
    path.write_text(json.dumps(fields))
    with rotating() as service:
        results = run_peers(path, f"http://127.0.0.1:{service.server_address[1]}", refused)
    assert results == [{"ok": TASKS, "tokens": ["at-1"]}] * PROCESSES
    assert (service.refreshes, service.revoked) == (1, False)
    assert stored(path)["refresh_token"] == "rt-1"


def test_a_save_that_is_killed_at_any_moment_leaves_a_whole_private_file(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    command = [sys.executable, str(KILLED), str(path), "-", "150", "1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)  # noqa: S603 - our own script
    found = json.loads(result.stdout)
    assert (found["whole"], found["stray"]) == (150, 0)
