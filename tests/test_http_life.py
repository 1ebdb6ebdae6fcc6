"""The life of the HTTP server: slow and bad clients, too many of them, and its end in time with a true journal."""

from __future__ import annotations

import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hosts import MODERN, environment
from http_world import PATH, READ, START, Session, Web, encoded, web
from recorder import HELD, Recorder, answer, recording

from kallyai_mcp.server.http.connections import LARGEST_HEAD, LONGEST_STALL

if TYPE_CHECKING:
    from collections.abc import Generator

CALL = "kallyai_calls_make"
IN_TIME = 5.0
"""Seconds within which the server ends."""
TASK = {"phone": "+12025550143", "task": "Ask until when the kitchen is open"}


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


def run_in_background(work: object) -> threading.Thread:
    def quietly() -> None:
        try:
            work()  # pyright: ignore[reportCallIssue] - a function without arguments
        except (OSError, AssertionError, HTTPException):
            return  # the server left

    made = threading.Thread(target=quietly)
    made.start()
    return made


@pytest.mark.parametrize(
    ("how", "status", "times"), [(signal.SIGTERM, 143, 1), (signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 2)]
)
def test_it_ends_in_time_with_calls_in_flight_and_a_true_journal(
    tmp_path: Path, recorder: Recorder, how: signal.Signals, status: int, times: int
) -> None:
    seconds: list[float] = []
    while len(seconds) < 3 and (not seconds or seconds[-1] > IN_TIME):  # a machine may stop any process for a while
        folder = tmp_path / str(len(seconds))
        folder.mkdir()
        seconds.append(seconds_to_its_end(folder, recorder, how, status, times))
    assert min(seconds) <= IN_TIME


def seconds_to_its_end(folder: Path, recorder: Recorder, how: signal.Signals, status: int, times: int) -> float:
    """Return how long a server took to end, with its journal true."""
    recorder.answers(HELD)
    with web(folder, recorder.origin, transport="http,sse") as server:
        session = Session(server, "2025-11-25")
        stream, _ = server.opened("/sse", server.headers(("Accept", "text/event-stream")))
        listening = server.modern_stream("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        params = {"name": CALL, "arguments": TASK}
        waiting = [
            run_in_background(lambda: server.modern("tools/call", params)),
            run_in_background(lambda: session.ask(1, "tools/call", {"name": READ, "arguments": {}})),
        ]
        recorder.wait_requests(2)
        begun = time.monotonic()
        for _ in range(times):
            server.process.send_signal(how)
            time.sleep(0.2)
        assert server.process.wait(START) == status
        seconds = time.monotonic() - begun
        recorder.wait_left(2)
        for each in waiting:
            each.join()
        stream.close()
        listening.close()
        assert " ERROR " not in server.stderr
    (journal,) = (folder / "state").glob("*.db")
    with closing(sqlite3.connect(journal)) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    audit = subprocess.run(
        [sys.executable, "-m", "kallyai_mcp", "audit", "list", "--json"],
        env=environment(folder, recorder.origin),
        capture_output=True,
        text=True,
        timeout=START,
        check=False,
    )
    assert '"unknown"' in audit.stdout, audit
    return seconds


WITH_TIME = (
    "import kallyai_mcp.server.http.serve as serve; serve.GRACE = serve.LAST_MOMENT = 50.0; "
    "from kallyai_mcp.__main__ import main; raise SystemExit(main())"
)
"""A server that gives runs a time which is not over, however long the machine stops who is to end them."""


def test_a_run_that_ends_soon_is_let_end(tmp_path: Path, recorder: Recorder) -> None:
    recorder.answers(HELD)
    with web(tmp_path, recorder.origin, command=("-c", WITH_TIME)) as server:
        found: list[object] = []
        waiting = run_in_background(lambda: found.append(server.run(READ)))
        recorder.wait_requests()
        server.process.send_signal(signal.SIGTERM)
        await_no_more_listening(server)
        recorder.release()
        waiting.join()
        assert len(found) == 1
        assert server.process.wait(START) == 143


def await_no_more_listening(server: Web) -> None:
    """Wait until the server has begun to end."""
    deadline = time.monotonic() + START
    with suppress(OSError):
        while time.monotonic() < deadline:
            server.connect().close()
            time.sleep(0.05)
        pytest.fail("it listens on")


HALF_HEAD = b"POST /mcp HTTP/1.1\r\nHost: x\r\n"
HALF_BODY = HALF_HEAD + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection; what it said before does not matter."""
    connection.setblocking(False)
    try:
        while True:
            if not connection.recv(65536):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_slow_clients_are_dropped_and_healthy_ones_do_not_notice(tmp_path: Path, recorder: Recorder) -> None:
    """300 half heads, 40 half bodies (with the token), 10 that say nothing: gone within 15 s; a stream stays."""
    recorder.answers(answer({"goals": []}))
    with web(tmp_path, recorder.origin, transport="http,sse") as server:
        stream, _ = server.opened("/sse", server.headers(("Accept", "text/event-stream")))
        rounds: list[tuple[float, float]] = []
        while len(rounds) < 3 and not (rounds and is_good(rounds[-1])):  # a machine may stop any process for a while
            rounds.append(beside_slow_clients(server))
        assert is_good(rounds[-1]), rounds
        assert stream.sock is not None
        assert not is_closed(stream.sock)
        assert server.send("POST", PATH, modern_headers(server), list_body()).status == 200
        stream.close()


def is_good(figures: tuple[float, float]) -> bool:
    """Whether 99 of 100 requests of a healthy client took less than a second, and all others were gone in time."""
    return figures[0] < 1.0 and figures[1] < 15.0


def beside_slow_clients(server: Web) -> tuple[float, float]:
    """Return how long requests took beside slow clients (p99), and how long until the last of these was dropped."""
    token = f"Authorization: Bearer {server.token}\r\n".encode()
    body = HALF_BODY.replace(b"Host: x", f"Host: {server.name}".encode()).replace(b"\r\n", b"\r\n" + token, 1)
    left: dict[socket.socket, float] = {}
    for number in range(350):
        begun = time.monotonic()
        left[each := server.connect()] = begun
        if number < 340:
            each.sendall(HALF_HEAD if number < 300 else body)
    dripping = [*left][:20]
    client, deadline = server.client(), time.monotonic() + START
    times: list[float] = []
    dropped_after: list[float] = []
    while left:
        asked = time.monotonic()
        assert asked < deadline, f"{len(left)} are still there"
        got = server.send("POST", PATH, modern_headers(server), list_body(), over=client)
        times.append(time.monotonic() - asked)
        assert got.status == 200
        for each in dripping:
            with suppress(OSError):
                each.sendall(b"X")  # one byte now and then does not help
        for each in [each for each in left if is_closed(each)]:
            dropped_after.append(time.monotonic() - left.pop(each))
            each.close()
        time.sleep(0.05)
    client.close()
    times.sort()
    assert len(times) > 5
    return times[int(len(times) * 0.99)], max(dropped_after)


def modern_headers(server: Web) -> list[tuple[str, str]]:
    return server.headers(("MCP-Protocol-Version", MODERN), ("Mcp-Method", "server/discover"))


def list_body() -> bytes:
    from hosts import envelope

    return encoded(1, "server/discover", {"_meta": envelope()})


def test_who_does_not_read_answers_is_dropped(tmp_path: Path, recorder: Recorder) -> None:
    with web(tmp_path, recorder.origin) as server:
        begun = time.monotonic()
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((server.host, server.port))
        from hosts import envelope

        body = encoded(1, "tools/list", {"_meta": envelope()})
        headers = server.headers(("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/list"))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        asked = f"POST {PATH} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
        deaf.sendall(asked * 40)  # more than the system keeps for it
        while time.monotonic() < begun + LONGEST_STALL + 30 and open_connections(server) > 0:
            time.sleep(0.3)
        assert open_connections(server) == 0
        assert time.monotonic() > begun + LONGEST_STALL, "who does not read for a moment is no such client"
        deaf.close()
        assert "Traceback" not in server.stderr


def open_connections(server: Web) -> int:
    """Return how many connections the server has open, by the system's table."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    own = f"0100007F:{server.port:04X}"
    return sum(1 for line in lines if line.split()[1] == own and line.split()[3] == "01")


def test_too_many_connections_are_told_so_quickly(tmp_path: Path, recorder: Recorder) -> None:
    recorder.answers(answer({"goals": []}))
    flags = ("--max-connections", "8", "--max-connections-per-client", "4")
    with web(tmp_path, recorder.origin, *flags, transport="http,sse") as server:
        streams = [server.opened("/sse", server.headers(("Accept", "text/event-stream")))[0] for _ in range(4)]
        seconds: list[float] = []
        for _ in range(3):
            begun = time.monotonic()
            refused = server.send("POST", PATH, modern_headers(server), list_body())
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            seconds.append(time.monotonic() - begun)
        assert min(seconds) < 5
        streams.pop().close()
        deadline = time.monotonic() + START
        while server.send("POST", PATH, modern_headers(server), list_body()).status != 200:
            assert time.monotonic() < deadline
        # Those who hold connections without being let in make room for whoever is.
        idle = [server.connect() for _ in range(12)]
        assert server.send("POST", PATH, modern_headers(server), list_body()).status == 200
        for each in (*idle, *streams):
            each.close()


def test_a_head_without_an_end_is_refused(tmp_path: Path, recorder: Recorder) -> None:
    with web(tmp_path, recorder.origin) as server:
        with server.connect() as endless:
            line = b"X-More: " + b"x" * 8000 + b"\r\n"
            head = HALF_HEAD + line * 5
            endless.sendall(head[: LARGEST_HEAD + 1])  # all of it is read, so that the answer is not lost by a reset
            assert endless.recv(65536).startswith(b"HTTP/1.1 431 ")
            with suppress(OSError):
                while endless.recv(65536):
                    pass
        assert server.send("GET", "/healthz", [("Host", "x")]).status == 200


def serve(tmp_path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this interpreter, and code of these tests
        [sys.executable, "-m", "kallyai_mcp", "serve", "--transport", "http", *flags],
        env=environment(tmp_path, "http://127.0.0.1:1"),
        capture_output=True,
        text=True,
        timeout=START,
        check=False,
    )


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve(tmp_path, "--port", str(port))
    assert done.returncode == 2
    assert f"Port {port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_of_the_figures_in_use_is_told_by_its_own_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        done = serve(tmp_path, "--port", "0", "--metrics-port", str(port))
    assert done.returncode == 2
    assert f"Port {port}" in done.stderr
    assert "--metrics-port" in done.stderr
    done = serve(tmp_path, "--port", "0", "--metrics-port", "0", "--metrics-host", "no-such-host.invalid")
    assert done.returncode == 2
    assert "--metrics-host" in done.stderr


def test_a_state_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    done = serve(tmp_path, "--port", "0")
    assert done.returncode == 2
    assert "--state-dir" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "http-token").write_text("x" * 43)
    (tmp_path / "state" / "http-token").chmod(0o644)
    done = serve(tmp_path, "--port", "0")
    assert done.returncode == 2
    assert "0644" in done.stderr


def test_a_socket_left_behind_is_replaced_and_one_in_use_is_not(tmp_path: Path, recorder: Recorder) -> None:
    recorder.answers(answer({"goals": []}))
    path = tmp_path / "own" / "http.sock"
    path.parent.mkdir(mode=0o700)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with web(tmp_path, recorder.origin, uds=path) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert server.run(READ)["isError"] is False
        second = serve(tmp_path, "--uds", str(path))
        assert second.returncode == 2
        assert "server listens there" in " ".join(second.stderr.split())
        assert server.run(READ)["isError"] is False
    assert not path.exists()
    path.write_text("something of the user's")
    third = serve(tmp_path, "--uds", str(path))
    assert third.returncode == 2
    assert path.read_text() == "something of the user's"


def test_a_folder_that_others_may_write_to_gets_no_socket(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    done = serve(tmp_path, "--uds", str(tmp_path / "open" / "s"))
    assert done.returncode == 2
    assert "chmod" in done.stderr
