"""Hosts of every version over HTTP, and what a host gets that does not keep to the protocol."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import httpx2
import pytest
from fences import with_origin
from hosts import LEGACY, MODERN, agree, envelope
from http_world import PATH, READ, START, Session, Web, encoded, web
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from recorder import HELD, Recorder, answer, recording

if TYPE_CHECKING:
    from collections.abc import Generator
    from http.client import HTTPConnection, HTTPResponse
    from pathlib import Path

CALL = "kallyai_calls_make"
TASK = {"phone": "+12025550143", "task": "Ask until when the kitchen is open"}
GOALS = with_origin(READ, {"goals": []})


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


@pytest.fixture(scope="module")
def server(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Generator[Web]:
    home = tmp_path_factory.mktemp("web")
    with web(home, recorder.origin, "--approval", "ask", transport="http,sse") as made:
        yield made


@pytest.mark.parametrize("version", LEGACY[1:])
def test_a_session_of_each_version_lists_and_runs(server: Web, recorder: Recorder, version: str) -> None:
    recorder.answers(answer({"goals": []}))
    session = Session(server, version)
    assert session.said["protocolVersion"] == version
    listed = session.ask(1, "tools/list").events()[-1]["result"]["tools"]
    assert len(listed) > 100
    assert session.run(2, READ)["structuredContent"] == GOALS
    assert server.send("DELETE", PATH, session.headers()).status == 200
    assert session.ask(3, "tools/list").status == 404


class Stream:
    """A host of 2024-11-05: it reads a stream and posts."""

    def __init__(self, server: Web, version: str = LEGACY[0]) -> None:
        self.server = server
        self._connection: HTTPConnection
        self._stream: HTTPResponse
        self._connection, self._stream = server.opened("/sse", server.headers(("Accept", "text/event-stream")))
        assert self._stream.status == 200
        self.address = self._next()[1]
        about = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "h", "version": "1"}}
        self.said = self.ask(0, "initialize", about)
        self.post(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    def _next(self) -> tuple[str, str]:
        kind = data = ""
        while True:
            line = self._stream.readline().decode().rstrip("\r\n")
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
            elif not line and data:
                return kind, data

    def post(self, body: bytes) -> int:
        return self.server.send("POST", self.address, self.server.headers(), body).status

    def ask(self, number: int, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        assert self.post(encoded(number, method, params)) == 202
        return self.message()

    def message(self) -> dict[str, Any]:
        kind, data = self._next()
        assert kind == "message"
        return json.loads(data)

    def close(self) -> None:
        self._stream.close()
        self._connection.close()


def test_a_host_of_the_first_version_is_served_over_sse(server: Web, recorder: Recorder) -> None:
    recorder.answers(answer({"goals": []}))
    host = Stream(server)
    assert host.said["result"]["protocolVersion"] == LEGACY[0]
    found = host.ask(1, "tools/call", {"name": READ, "arguments": {}})
    assert "goals" in found["result"]["content"][0]["text"]
    host.close()


def test_an_id_that_is_under_way_is_not_run_again(server: Web, recorder: Recorder) -> None:
    recorder.answers(HELD)
    session, host = Session(server, LEGACY[-1]), Stream(server)
    first: list[Any] = []
    body: dict[str, Any] = {"name": READ, "arguments": {}}
    waiting = threading.Thread(target=lambda: first.append(session.ask(7, "tools/call", body)))
    waiting.start()
    recorder.wait_requests(1)
    assert host.post(encoded(7, "tools/call", body)) == 202  # the same id of another host is another request
    recorder.wait_requests(2)
    again = session.ask(7, "tools/call", body)
    assert (again.status, again.json()["error"]["code"]) == (400, -32600)
    assert host.post(encoded(7, "tools/call", body)) == 202
    assert host.message()["error"]["code"] == -32600
    assert len(recorder.requests) == 2
    recorder.release()
    waiting.join()
    assert first[0].events()[-1]["id"] == 7
    assert host.message()["result"]["isError"] is False
    host.close()


def test_sessions_of_nobody_are_not_found(server: Web) -> None:
    session = Session(server, LEGACY[-1])
    for unknown in ("0" * 32, "x", session.id[:-1]):
        headers = server.headers(("Mcp-Session-Id", unknown), ("MCP-Protocol-Version", LEGACY[-1]))
        got = [server.send(method, PATH, headers, encoded(1, "ping")) for method in ("POST", "GET", "DELETE")]
        assert {(each.status, each.body) for each in got} == {(404, got[0].body)}
    nowhere = f"/messages?session_id={'0' * 32}"
    assert server.send("POST", nowhere, server.headers(), encoded(1, "ping")).status == 404
    assert server.send("POST", "/messages", server.headers(), encoded(1, "ping")).status == 400


def test_what_is_not_acceptable_is_told_so(server: Web) -> None:
    session = Session(server, LEGACY[-1])

    def without(name: str) -> list[tuple[str, str]]:
        return [pair for pair in session.headers() if pair[0] != name]

    assert server.send("GET", PATH, without("Accept")).status == 406
    assert server.send("GET", PATH, without("Mcp-Session-Id")).status == 400
    assert server.send("DELETE", PATH, without("Mcp-Session-Id")).status == 400
    assert server.send("POST", PATH, without("Accept"), encoded(1, "ping")).status == 406
    assert server.send("POST", PATH, without("Mcp-Session-Id"), encoded(1, "ping")).status == 400
    assert server.send("PUT", PATH, session.headers(), encoded(1, "ping")).status == 405
    assert server.send("GET", "/messages", session.headers()).status == 405
    assert server.send("POST", "/sse", session.headers(), encoded(1, "ping")).status == 405
    assert server.send("GET", "/sse", [*without("Accept"), ("Accept", "application/json")]).status == 406
    assert server.send("GET", "/nowhere", session.headers()).status == 404
    for body in (b"", b"{", b"[]", b"\xff", b'{"a":' * 100_000, b'{"jsonrpc":"2.0"}', b"1e999"):
        assert server.send("POST", PATH, session.headers(), body).status == 400, body[:20]
        assert server.send("POST", PATH, server.headers(("MCP-Protocol-Version", MODERN)), body).status == 400, body[
            :20
        ]


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_refused(server: Web, declared: bool) -> None:
    connection = server.client()
    connection.putrequest("POST", PATH, skip_host=True, skip_accept_encoding=True)
    for name, value in server.headers(("MCP-Protocol-Version", MODERN)):
        connection.putheader(name, value)
    if declared:
        connection.putheader("Content-Length", str(1024 * 1024 + 1))
        connection.endheaders()
    else:
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        connection.send(b"".join(b"4000\r\n" + b" " * 0x4000 + b"\r\n" for _ in range(64)) + b"1\r\n \r\n")
    assert connection.getresponse().status == 413
    connection.close()


def test_a_request_of_this_version_stands_for_itself(server: Web, recorder: Recorder) -> None:
    recorder.answers(answer({"goals": []}))
    got = server.modern("tools/call", {"name": READ, "arguments": {}})
    assert (got.status, got.headers["content-type"]) == (200, "application/json")
    assert "mcp-session-id" not in got.headers
    assert got.json()["result"]["structuredContent"] == GOALS
    assert server.modern("tools/unknown").status == 404
    assert server.modern("tools/call", {"name": "kallyai_unknown", "arguments": {}}).json()["error"]["code"] == -32602
    body = encoded(1, "tools/list", {"_meta": envelope()})
    asked = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/list")]
    for method in ("GET", "DELETE"):
        assert server.send(method, PATH, server.headers(*asked)).status == 405
    for headers, code in (
        ([("MCP-Protocol-Version", MODERN), ("Mcp-Method", "ping")], -32020),
        ([("MCP-Protocol-Version", MODERN)], -32020),
        ([*asked, ("Mcp-Method", "tools/list")], -32020),
        ([("MCP-Protocol-Version", "2099-01-01"), ("Mcp-Method", "tools/list")], -32020),
    ):
        refused = server.send("POST", PATH, server.headers(*headers), body)
        assert (refused.status, refused.json()["error"]["code"]) == (400, code), headers
    told = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    assert server.send("POST", PATH, server.headers(*asked), told).status == 202


@pytest.mark.parametrize("version", [LEGACY[-1], MODERN])
def test_a_text_cut_within_an_emoji_is_mended(server: Web, recorder: Recorder, version: str) -> None:
    recorder.answers(answer({"events": []}))
    params: dict[str, Any] = {"name": "kallyai_search_quick", "arguments": {"query": "pizza \ud83d"}}
    if version == MODERN:
        found = server.modern("tools/call", params)
        assert found.status == 200
    else:
        assert Session(server, version).ask(1, "tools/call", params).status == 200
    sent = recorder.requests[-1]
    assert "\ufffd" in unquote_plus(sent.query) + sent.body.decode()


def test_a_run_of_this_version_is_called_off_by_leaving(server: Web, recorder: Recorder) -> None:
    recorder.answers(HELD)
    connection = server.client()
    body = encoded(1, "tools/call", {"name": READ, "arguments": {}, "_meta": envelope()})
    connection.putrequest("POST", PATH, skip_host=True, skip_accept_encoding=True)
    about = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/call"), ("Mcp-Name", READ)]
    for name, value in server.headers(*about, ("Content-Length", str(len(body)))):
        connection.putheader(name, value)
    connection.endheaders(body)
    recorder.wait_requests()
    connection.close()
    recorder.wait_left()


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_clients_of_the_sdk_are_served_and_their_person_is_asked(
    server: Web, recorder: Recorder, mode: Any
) -> None:
    recorder.answers(answer({"goals": []}))
    headers = {"Authorization": f"Bearer {server.token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=START) as http:
        transport = streamable_http_client(f"http://{server.name}{PATH}", http_client=http)
        async with Client(transport, mode=mode, elicitation_callback=agree) as client:
            assert client.protocol_version == (MODERN if mode == "auto" else LEGACY[-1])
            assert len((await client.list_tools()).tools) > 100
            assert (await client.call_tool(READ, {})).structured_content == GOALS
            recorder.answers(answer({"call_id": "c1", "status": "success"}))
            done = await client.call_tool(CALL, TASK | {"phone": "+12025550143" if mode == "auto" else "+12025550144"})
            assert not done.is_error, done
    assert [request.method for request in recorder.requests if request.path == "/v1/calls"] == ["POST"]


@pytest.mark.anyio
async def test_the_sdk_client_over_sse_is_served_and_its_person_is_asked(server: Web, recorder: Recorder) -> None:
    recorder.answers(answer({"call_id": "c1", "status": "success"}))
    headers = {"Authorization": f"Bearer {server.token}"}
    transport = sse_client(f"http://{server.name}/sse", headers=headers, timeout=START)
    async with Client(transport, mode="legacy", elicitation_callback=agree) as client:
        done = await client.call_tool(CALL, TASK | {"phone": "+12025550145"})
        assert not done.is_error, done
    assert [request.method for request in recorder.requests if request.path == "/v1/calls"] == ["POST"]


def test_nobody_asked_means_nothing_sent(server: Web, recorder: Recorder) -> None:
    recorder.answers(answer({"call_id": "c1", "status": "success"}))
    found = server.run(CALL, TASK | {"phone": "+12025550146"})
    assert found["structuredContent"]["error"]["code"] == "approval_required"
    asked = server.run(CALL, TASK | {"phone": "+12025550147"}, agrees=True)
    assert asked["resultType"] == "input_required"
    assert [request.method for request in recorder.requests if request.path == "/v1/calls"] == []


def test_an_approval_is_good_for_one_run(server: Web, recorder: Recorder) -> None:
    recorder.answers(answer({"call_id": "c1", "status": "success"}))
    params: dict[str, Any] = {"name": CALL, "arguments": TASK | {"phone": "+12025550148"}}
    asked = server.modern("tools/call", params, agrees=True).json()["result"]
    retry: dict[str, Any] = {
        "inputResponses": {"consent": {"action": "accept", "content": {}}},
        "requestState": asked["requestState"],
    }
    codes = [server.modern("tools/call", params | retry, agrees=True).json()["result"] for _ in range(4)]
    assert [code["isError"] for code in codes] == [False, True, True, True]
    assert len([request for request in recorder.requests if request.path == "/v1/calls"]) == 1


def test_a_replica_without_sessions_serves_older_hosts_request_by_request(tmp_path: Path, recorder: Recorder) -> None:
    """What an organisation's replicas do: no session, so that any of them can answer."""
    script = (
        "from kallyai_mcp.server.http import serve; import functools, kallyai_mcp.server.http as h; "
        "h.serve_http = functools.partial(serve.serve_http, stateless=True); "
        "from kallyai_mcp.__main__ import main; raise SystemExit(main())"
    )
    with web(tmp_path, recorder.origin, command=("-c", script)) as made:
        recorder.answers(answer({"goals": []}))
        got = made.send("POST", PATH, made.headers(), encoded(1, "tools/call", {"name": READ, "arguments": {}}))
        assert got.events()[-1]["result"]["isError"] is False
        assert "mcp-session-id" not in got.headers
        assert [made.send(method, PATH, made.headers()).status for method in ("GET", "DELETE")] == [405, 405]


FEW = (
    "import kallyai_mcp.server.http.endpoint as endpoint; endpoint.MOST_SESSIONS = 3; "
    "from kallyai_mcp.__main__ import main; raise SystemExit(main())"
)
"""A server that keeps few sessions."""


def test_the_session_unused_the_longest_makes_room(tmp_path: Path, recorder: Recorder) -> None:
    with web(tmp_path, recorder.origin, command=("-c", FEW)) as made:
        first = Session(made, "2025-11-25")
        stream, _ = made.opened(PATH, first.headers())
        second, third = Session(made, "2025-06-18"), Session(made, "2025-03-26")
        assert second.ask(1, "ping").status == 200
        others = [Session(made, "2025-11-25") for _ in range(8)]
        assert first.ask(1, "ping").status == 200  # it has a stream open
        assert third.ask(1, "ping").status == 404
        assert second.ask(2, "ping").status == 404
        assert others[-1].ask(1, "ping").status == 200
        stream.close()


def batch(*messages: dict[str, Any]) -> bytes:
    """Return several messages as one body."""
    return json.dumps([{"jsonrpc": "2.0"} | each for each in messages]).encode()


def test_a_batch_is_answered_one_by_one_in_one_stream(server: Web, recorder: Recorder) -> None:
    """JSON-RPC 2.0, 6; MCP 2025-03-26, Streamable HTTP."""
    session = Session(server, "2025-03-26")
    recorder.answers(answer({"goals": []}))
    headers = [(name, value) for name, value in session.headers() if name.lower() != "mcp-protocol-version"]
    run: dict[str, Any] = {"id": "r", "method": "tools/call", "params": {"name": READ, "arguments": {}}}
    several = batch({"id": 1, "method": "ping"}, {"method": "notifications/cancelled"}, {"id": []}, run)
    got = server.send("POST", PATH, headers, several)
    assert got.status == 200
    assert [each["id"] for each in got.events()] == [1, None, "r"]
    assert got.events()[1]["error"] == {"code": -32600, "message": "Invalid Request"}
    assert got.events()[2]["result"]["structuredContent"] == GOALS


def test_a_batch_of_notifications_is_taken(server: Web) -> None:
    session = Session(server, "2025-03-26")
    got = server.send("POST", PATH, session.headers(), batch({"method": "notifications/cancelled", "params": {}}))
    assert (got.status, got.body) == (202, b"")


def test_a_batch_of_an_unknown_session_is_refused_as_a_whole(server: Web) -> None:
    headers = server.headers(("Mcp-Session-Id", "of-nobody"))
    got = server.send("POST", PATH, headers, batch({"id": 1, "method": "ping"}, {"id": 2, "method": "ping"}))
    assert got.status == 404
    assert got.json()["error"]["message"] == "Session not found"


def test_a_session_does_not_begin_within_a_batch(server: Web) -> None:
    params = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "h", "version": "1"}}
    got = server.send("POST", PATH, server.headers(), batch({"id": 1, "method": "initialize", "params": params}))
    assert "mcp-session-id" not in got.headers
    assert got.events()[0]["error"]["code"] == -32600


def test_a_host_that_leaves_a_batch_has_no_more_of_it_run(server: Web, recorder: Recorder) -> None:
    session = Session(server, "2025-03-26")
    recorder.answers(HELD)
    run: dict[str, Any] = {"method": "tools/call", "params": {"name": READ, "arguments": {}}}
    connection = server.client()
    connection.putrequest("POST", PATH, skip_host=True, skip_accept_encoding=True)
    body = batch({"id": 1} | run, {"id": 2} | run)
    for name, value in [*session.headers(), ("Content-Length", str(len(body)))]:
        connection.putheader(name, value)
    connection.endheaders(body)
    recorder.wait_requests(1)
    connection.close()
    recorder.release()
    session.ask(3, "ping")
    time.sleep(0.5)  # in which the next one would begin
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("version", ["2025-03-26", "2025-11-25"])
@pytest.mark.parametrize("body", [b"null", b"{}", b"7", b'{"id":1}', b"[]"])
def test_what_is_no_message_is_told_so(server: Web, version: str, body: bytes) -> None:
    got = server.send("POST", PATH, Session(server, version).headers(), body)
    assert got.status == 400
    assert got.json()["error"] == {"code": -32600, "message": "Invalid Request"}


def test_later_versions_have_no_batches(server: Web) -> None:
    session = Session(server, "2025-06-18")
    got = server.send("POST", PATH, session.headers(), batch({"id": 1, "method": "ping"}))
    assert got.status == 400
