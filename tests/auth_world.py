"""What the tests of signing in share: a clock that the test moves, a token file, a service in memory."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx2

from kallyai_mcp.auth.http import Http
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.token_file import TokenFile
from kallyai_mcp.settings import Settings

NOW = 2_000_000_000.0
ORIGIN = "https://api.kallyai.com"
Handler = Callable[[httpx2.Request], httpx2.Response]


class VirtualClock:
    """Time passes when somebody sleeps, and at once."""

    def __init__(self, now: float = NOW) -> None:
        self.wall = now
        self.elapsed = 0.0
        self.sleeps: list[float] = []

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.sleeps.append(seconds)
        self.pass_(seconds)
        await anyio.lowlevel.checkpoint()

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.elapsed += seconds


class Service:
    """Answers by path, and keeps what it was asked."""

    def __init__(self, **routes: Handler) -> None:
        self.routes = {f"/{path.replace('__', '/')}": handler for path, handler in routes.items()}
        self.requests: list[httpx2.Request] = []

    def at(self, path: str, handler: Handler) -> "Service":
        self.routes[path] = handler
        return self

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        await anyio.lowlevel.checkpoint()
        handler = self.routes.get(request.url.path)
        answer = handler(request) if handler else httpx2.Response(404, json={"error": {"code": "not_found"}})
        await anyio.lowlevel.checkpoint()
        return answer

    def asked(self, path: str) -> list[httpx2.Request]:
        return [request for request in self.requests if request.url.path == path]

    @property
    def http(self) -> Http:
        return Http(lambda: httpx2.MockTransport(self))


class Refreshing(Service):
    """Rotates refresh tokens, and ends the family when an old one is used."""

    def __init__(self, current: str = "rt-0", prefix: str = "") -> None:
        super().__init__()
        self.current = current
        self.prefix = prefix
        self.issued = 0
        self.revoked = False
        self.at("/v1/auth/refresh", self._refresh)

    def _refresh(self, request: httpx2.Request) -> httpx2.Response:
        assert "authorization" not in request.headers
        if self.revoked or json.loads(request.content) != {"refresh_token": self.current}:
            self.revoked = True
            return httpx2.Response(400, json={"error": "invalid_grant"})
        self.issued += 1
        self.current = f"{self.prefix}rt-{self.issued}"
        return httpx2.Response(
            200,
            json={
                "access_token": f"{self.prefix}at-{self.issued}",
                "refresh_token": self.current,
                "expires_in": 3600,
            },
        )


def settings_in(folder: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {"token_file": folder / "token.json", "state_dir": folder / "state", "display": False}
    return Settings(**(values | changes))


def write(path: Path, *, mode: int = 0o600, **fields: object) -> Path:
    path.write_text(json.dumps(fields))
    path.chmod(mode)
    # Long ago: neither "just written by somebody", nor a token with a short life.
    os.utime(path, (NOW - 3_000, NOW - 3_000))
    return path


def write_pair(
    folder: Path,
    access: str = "at-0",
    refresh: str | None = "rt-0",
    *,
    seconds: float = 3_000,
    name: str = "token.json",
) -> Path:
    return write(folder / name, access_token=access, refresh_token=refresh, expires_at=NOW + seconds)


def stored(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def session_in(
    folder: Path, service: Service | None = None, clock: VirtualClock | None = None, **changes: Any
) -> Session:
    return Session(
        settings_in(folder, **changes),
        http=(service or Service()).http,
        clock=clock or VirtualClock(),
        jitter=lambda: 0.0,
    )


def file_at(path: Path, *, posix: bool = True) -> TokenFile:
    return TokenFile(path, VirtualClock(), posix=posix)
