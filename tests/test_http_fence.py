"""Who gets in over HTTP: only hosts with the token, by the server's own name, and no web page."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hosts import MODERN, envelope, environment
from http_world import PATH, READ, START, Web, encoded, web
from recorder import Recorder, answer, recording

from kallyai_mcp.server.http.access import Bound
from kallyai_mcp.server.http.application import Application
from kallyai_mcp.server.http.local import LocalAccess
from kallyai_mcp.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from starlette.routing import Route

ORIGIN = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        made.answers(answer({"goals": []}))
        yield made


@pytest.fixture(scope="module", params=["127.0.0.1", "::1", "uds"])
def server(
    request: pytest.FixtureRequest, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Web]:
    home = tmp_path_factory.mktemp("web")
    more: dict[str, Any] = {"uds": home / "own" / "http.sock"} if request.param == "uds" else {"host": request.param}
    with web(home, recorder.origin, transport="http,sse", **more) as made:
        yield made


@pytest.fixture(scope="module")
def plain(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Generator[Web]:
    home = tmp_path_factory.mktemp("plain")
    flags = ("--allow-origins", "https://app.example.com", "--allow-hosts", "tunnel.example.com")
    with web(home, recorder.origin, *flags, transport="http,sse") as made:
        yield made


def call() -> bytes:
    return encoded(1, "tools/call", {"name": READ, "arguments": {}, "_meta": envelope()})


ABOUT = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/call"), ("Mcp-Name", READ)]


def hosts(server: Web) -> list[tuple[str, bool]]:
    own, port = server.name, server.port
    local = "localhost" if server.uds else f"localhost:{port}"
    return [
        (own, True),
        (local, True),
        (local.upper(), True),
        ("evil.example", False),
        (f"evil.example:{port}", False),
        (f"127.0.0.1:{port}.evil.example", False),
        (f"127.0.0.1:{port}0", False),
        ("127.0.0.1", False),
        (f"localhost.evil.example:{port}", False),
        (f"127.0.0.1.nip.io:{port}", False),
        (f"user@127.0.0.1:{port}", False),
        ("", False),
    ]


def origins(server: Web) -> list[tuple[str | None, bool]]:
    return [
        (None, True),
        (f"http://{server.name}", True),
        ("null", False),
        ("http://evil.example", False),
        (f"http://{server.name}.evil.example", False),
        (f"https://{server.name}", False),
        ("http://localhost:1", False),
        ("http://localhost:1.evil.example", False),
        ("file://", False),
        ("", False),
    ]


KINDS: list[tuple[str | None, bool]] = [
    ("application/json", True),
    ("Application/JSON; charset=utf-8", True),
    ("application/json-evil", False),
    ("text/plain", False),
    (None, False),
]


def test_only_the_allowed_cells_run_a_tool(server: Web, recorder: Recorder) -> None:
    """Host x Origin x content type, for each way to listen: a request that is not meant to changes nothing."""
    recorder.answers(answer({"goals": []}))
    client, expected = server.client(), 0
    token = [] if server.uds else [("Authorization", f"Bearer {server.token}")]
    for (host, host_ok), (origin, origin_ok), (kind, kind_ok) in product(hosts(server), origins(server), KINDS):
        headers = [("Host", host), ("Accept", "application/json, text/event-stream"), *token, *ABOUT]
        headers += [("Origin", origin)] if origin is not None else []
        headers += [("Content-Type", kind)] if kind is not None else []
        got = server.send("POST", PATH, headers, call(), over=client)
        wanted = 421 if not host_ok else 403 if not origin_ok else 415 if not kind_ok else 200
        assert got.status == wanted, (host, origin, kind, got)
        assert not [name for name in got.headers if name.startswith("access-control-")]
        assert got.headers["cross-origin-resource-policy"] == "same-origin"
        expected += wanted == 200
        assert len(recorder.requests) == expected, (host, origin, kind)
    client.close()
    assert expected == 3 * 2 * 2


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403), ("anything", 403)],
)
def test_what_a_page_of_another_site_has_a_browser_send_is_refused(plain: Web, site: str, status: int) -> None:
    got = plain.send("POST", PATH, plain.headers(*ABOUT, ("Sec-Fetch-Site", site)), call())
    assert got.status == status


@pytest.mark.parametrize("twice", ["Host", "Origin"])
def test_a_header_that_occurs_twice_is_refused(plain: Web, twice: str) -> None:
    good = plain.name if twice == "Host" else f"http://{plain.name}"
    more = [(twice, "evil.example")] if twice == "Host" else [(twice, good), (twice, "http://evil.example")]
    assert plain.send("POST", PATH, plain.headers(*ABOUT, *more), call()).status == 400


def routes() -> list[str]:
    """Every path of the application but those about its health, found by walking it."""
    import anyio
    from hosts import serving

    found: list[Route] = []

    async def walk() -> None:
        options = Serving(transport=("http", "sse"))
        async with serving(ORIGIN) as made:
            application = Application(made, options, LocalAccess("t" * 43), Bound("127.0.0.1", 1))
            async with application.living():
                found.extend(application.routes)  # pyright: ignore[reportArgumentType] - they are all plain routes

    anyio.run(walk)
    return sorted(route.path for route in found if route.path not in {"/healthz", "/readyz"})


ROUTES = routes()


def test_the_walk_found_the_endpoints() -> None:
    assert ROUTES == ["/mcp", "/messages", "/sse"]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PUT", "HEAD"])
def test_no_route_serves_without_the_token(plain: Web, recorder: Recorder, path: str, method: str) -> None:
    recorder.answers(answer({"goals": []}))
    token = plain.token
    wrong: list[list[tuple[str, str]]] = [
        [],
        [("Authorization", "Bearer " + "x" * 43)],
        [("Authorization", f"Bearer {token[:-1]}")],
        [("Authorization", f"Bearer {token}x")],
        [("Authorization", f"Basic {token}")],
        [("Authorization", token)],
        [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")],
        [("X-Token", token), ("Cookie", f"token={token}")],
    ]
    for headers in wrong:
        got = plain.send(method, path, plain.headers(*ABOUT, *headers, token=False), call())
        assert got.status == 401, (method, path, headers)
        assert got.headers["www-authenticate"].startswith("Bearer ")
    query = f"{path}?access_token={token}&token={token}&session_id={'0' * 32}"
    assert plain.send(method, query, plain.headers(*ABOUT, token=False), call()).status == 401
    assert recorder.requests == []


def test_health_needs_no_token_and_tells_no_data(plain: Web) -> None:
    for host in (plain.name, "10.0.0.7"):  # a watcher goes by the address
        alive = plain.send("GET", "/healthz", [("Host", host)])
        assert (alive.status, alive.json()) == (200, {"status": "alive"})
        ready = plain.send("GET", "/readyz", [("Host", host)])
        assert (ready.status, ready.json()) == (200, {"status": "ready", "missing": []})
    assert plain.send("GET", "/readyz", [("Host", plain.name), ("Origin", "http://evil.example")]).status == 403


def test_a_preflight_of_a_stranger_gets_nothing(plain: Web) -> None:
    headers = [("Host", plain.name), ("Origin", "http://evil.example"), ("Access-Control-Request-Method", "POST")]
    got = plain.send("OPTIONS", PATH, headers)
    assert got.status == 403
    assert not [name for name in got.headers if name.startswith("access-control-")]


def test_a_page_that_was_named_can_use_the_server(plain: Web) -> None:
    page = ("Origin", "https://app.example.com")
    asked = [
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, mcp-param-x"),
    ]
    got = plain.send("OPTIONS", PATH, [("Host", plain.name), page, *asked])
    assert got.status == 204
    assert got.headers["access-control-allow-origin"] == "https://app.example.com"
    assert {"authorization", "mcp-param-x"} <= set(got.headers["access-control-allow-headers"].split(", "))
    done = plain.send("POST", PATH, plain.headers(*ABOUT, page, ("Sec-Fetch-Site", "cross-site")), call())
    assert (done.status, done.headers["access-control-allow-origin"]) == (200, "https://app.example.com")
    refused = plain.send("POST", PATH, plain.headers(*ABOUT, page, token=False), call())
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "https://app.example.com")


def test_a_name_that_was_added_is_one_of_the_server(plain: Web) -> None:
    headers = [("Host", "tunnel.example.com"), *plain.headers(*ABOUT)[1:]]
    assert plain.send("POST", PATH, headers, call()).status == 200


@pytest.mark.parametrize("flag", ["--host", "--metrics-host"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])  # noqa: S104 - it must not be listened on
def test_other_addresses_than_this_machines_are_not_listened_on(tmp_path: Path, host: str, flag: str) -> None:
    command = [sys.executable, "-m", "kallyai_mcp", "serve", "--transport", "http", flag, host, "--port", "0"]
    command += ["--metrics-port", "0"] if flag == "--metrics-host" else []
    done = subprocess.run(  # noqa: S603 - this interpreter, and code of these tests
        command, env=environment(tmp_path, ORIGIN), capture_output=True, text=True, timeout=START, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"out {flag}" in done.stderr


def test_the_token_is_random_private_kept_and_shown_once(tmp_path: Path, recorder: Recorder) -> None:
    before = os.umask(0)
    try:
        with web(tmp_path, recorder.origin) as first:
            assert first.run(READ)["isError"] is False
            token, shown = first.token, first.stderr  # written after it has begun to listen, before it answers
            assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
            assert shown.count(token) == 1
            assert f'"url": "http://127.0.0.1:{first.port}/mcp"' in shown
            assert stat.S_IMODE((tmp_path / "state" / "http-token").stat().st_mode) == 0o600
        with web(tmp_path, recorder.origin) as second:
            assert second.run(READ)["isError"] is False
            assert second.token == token
            assert token not in second.stderr
            assert "http-token" in second.stderr
    finally:
        os.umask(before)
