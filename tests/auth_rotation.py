"""A service on loopback that rotates refresh tokens, ends the family on reuse, and refuses every other access token."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

DELAY = 0.15
"""Seconds a refresh takes, so that everybody has time to come along."""


class Rotation(ThreadingHTTPServer):
    """Refreshes for whoever holds the current refresh token, and answers runs that carry the current access token."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self.guard = threading.Condition()
        self.delay = DELAY
        self.strict = True
        """Whether a refresh token that is used twice ends the family."""
        self.forgiving = False
        """Whether any refresh token will do: of a client that is killed nobody can ask that it saved the last one."""
        self.before: Callable[[str], None] = lambda _: None
        self.begin(0)

    def begin(self, number: int) -> None:
        """Make pair `number` the one in force, and forget what was counted."""
        with self.guard:
            self.number, self.refreshes, self.reused, self.refused, self.answered = number, 0, 0, 0, 0
            self.waiting = 0
            self.revoked = False

    def refresh(self, token: str) -> tuple[int, Mapping[str, object]]:
        """Rotate; a token that is not the current one ends the family, unless the service is lenient."""
        with self.guard:
            self.waiting += 1
            self.guard.notify_all()
        self.before(token)
        with self.guard:
            if not self.forgiving and (self.revoked or token != f"rt-{self.number}"):
                self.reused += 1
                self.revoked = self.strict
                return 400, {"error": "invalid_grant"}
            self.number += 1
            self.refreshes += 1
            answer = {"access_token": f"at-{self.number}", "refresh_token": f"rt-{self.number}", "expires_in": 3600}
        threading.Event().wait(self.delay)
        return 200, answer

    def answer(self, authorization: str | None) -> tuple[int, Mapping[str, object]]:
        """Answer a run."""
        with self.guard:
            if self.revoked or authorization != f"Bearer at-{self.number}":
                self.refused += 1
                return 401, {"error": {"code": "invalid_token", "message": "no"}}
            self.answered += 1
            return 200, {"answered": self.answered}

    def wait_refreshing(self, wait: float = 60.0) -> None:
        """Return once somebody has asked for a refresh."""
        with self.guard:
            assert self.guard.wait_for(lambda: self.waiting, wait), "nobody refreshed"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _reply(self) -> None:
        assert isinstance(self.server, Rotation)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/v1/auth/refresh":
            status, answer = self.server.refresh(json.loads(body)["refresh_token"])
        elif self.path == "/device":
            status, answer = 503, {}  # no sign-in can begin here: a run that needs one says so at once
        else:
            status, answer = self.server.answer(self.headers.get("Authorization"))
        content = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        try:
            self.wfile.write(head.encode() + content)
        except OSError:
            self.close_connection = True  # the client was killed, as some tests do

    do_GET = do_POST = _reply  # noqa: N815 - the base class looks for these names

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


@contextmanager
def rotating() -> Generator[Rotation]:
    """Give a service for as long as the block lasts."""
    with Rotation() as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02}, name="rotation")
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()
