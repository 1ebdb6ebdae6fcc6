"""The entry for 2026-07-28 answers as the SDK's own does, whatever comes; and what it streams."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hosts import MODERN, envelope, serving
from mcp.server._streamable_http_modern import handle_modern_request
from mcp.server.lowlevel import Server
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

from kallyai_mcp.server.http import modern
from kallyai_mcp.server.http.modern import Modern

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp_types import CallToolRequestParams

ABOUT = {"_meta": envelope()}
BOTH = "application/json, text/event-stream"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": ABOUT}
Headers = dict[str, str]


def asked(method: str = "tools/list", **more: str) -> Headers:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"accept": BOTH, "content-type": "application/json"} | {
        "mcp-protocol-version": MODERN,
        "mcp-method": method,
        **named,
    }


def message(**more: Any) -> bytes:
    return json.dumps(LIST | more).encode()


def call(name: Any, arguments: Any = None, **meta: Any) -> bytes:
    given = {"name": name, "arguments": arguments, "_meta": envelope() | meta}
    return message(method="tools/call", params={key: value for key, value in given.items() if value is not None})


CASES: list[tuple[Headers, bytes]] = [
    (asked(), message()),
    (asked(accept="*/*"), message()),
    (asked(accept="text/event-stream"), message()),
    (asked(accept=""), message()),
    (asked("server/discover"), message(method="server/discover")),
    (asked("ping"), message(method="ping")),
    (asked("nothing/like/it"), message(method="nothing/like/it")),
    (asked("initialize"), message(method="initialize")),
    (asked("ping"), message()),
    (asked(mcp_protocol_version="2099-01-01"), message()),
    (asked(mcp_protocol_version="nonsense"), message()),
    (asked(), message(params={})),
    (asked(), message(params={"_meta": {}})),
    (asked(), message(params={"_meta": envelope("2099-01-01")})),
    (asked(mcp_protocol_version="2099-01-01"), message(params={"_meta": envelope("2099-01-01")})),
    (asked(), message(params={"_meta": envelope() | {"io.modelcontextprotocol/protocolVersion": 7}})),
    (asked(), message(params={"_meta": envelope(), "cursor": 5})),
    (asked(), message(params={"_meta": envelope(), "cursor": "x"})),
    (asked(), message(id="a string")),
    (asked(), message(id=None)),
    (asked(), message(id=1.5)),
    (asked(), message(id=True)),
    (asked(), message(jsonrpc="1.0")),
    (asked(), message(params=[1])),
    (asked(), b""),
    (asked(), b"{"),
    (asked(), b"[]"),
    (asked(), b"7"),
    (asked(), b"\xff\xfe"),
    (asked(), b"[" + message() + b"]"),
    (asked(), json.dumps({"jsonrpc": "2.0", "id": 1, "result": {}}).encode()),
    (asked(), json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled"}).encode()),
    (asked(), json.dumps({"jsonrpc": "2.0", "method": 7}).encode()),
    (asked(mcp_protocol_version="2099-01-01"), json.dumps({"jsonrpc": "2.0", "method": "notifications/x"}).encode()),
    (asked("tools/call", mcp_name="kallyai_unknown"), call("kallyai_unknown")),
    (asked("tools/call"), call("kallyai_unknown")),
    (asked("tools/call", mcp_name="other"), call("kallyai_unknown")),
    (asked("tools/call", mcp_name="kallyai_coord_goal"), call("kallyai_coord_goal", {"goal_id": "../x"})),
    (asked("tools/call", mcp_name="kallyai_coord_goal"), call("kallyai_coord_goal", [1])),
    (asked("tools/call", mcp_name="x"), call(7)),
    (asked("subscriptions/listen"), message(method="subscriptions/listen")),
    (asked("subscriptions/listen", accept="application/json"), message(method="subscriptions/listen")),
]


class Sent:
    """What an application answered."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []

    async def send(self, part: Any) -> None:
        if part["type"] == "http.response.start":
            assert not self.status
            self.status = part["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in part["headers"]}
        else:
            self.parts.append(part["body"])

    @property
    def value(self) -> Any:
        body = b"".join(self.parts)
        return json.loads(body) if body else None


def scope(headers: Headers) -> dict[str, Any]:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": pairs}


async def never() -> Any:
    await anyio.sleep_forever()


def giving(body: bytes) -> Any:
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return parts.pop() if parts else await never()

    return receive


@pytest.mark.anyio
async def test_every_answer_is_the_one_of_the_sdk() -> None:
    async with serving("http://127.0.0.1:1") as server:
        ours = Modern(server, {})
        for headers, body in CASES:
            mine, theirs = Sent(), Sent()
            await ours.answer(scope(headers), body, never, mine.send)
            await handle_modern_request(server, None, False, {}, scope(headers), giving(body), theirs.send)
            assert (mine.status, mine.value) == (theirs.status, theirs.value), (headers, body)
            assert mine.headers.get("content-type") == theirs.headers.get("content-type"), (headers, body)


def slow_server(seconds: float) -> Server[Any]:
    async def run(ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        del params
        await anyio.sleep(seconds)
        await ctx.session.report_progress(1.0, None, "half")
        await anyio.sleep(seconds)
        return CallToolResult(content=[TextContent(text="done")])

    async def tools(*_: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="slow", description="", input_schema={"type": "object"})])

    return Server("slow", on_list_tools=tools, on_call_tool=run)


def events(sent: Sent) -> list[Any]:
    lines = b"".join(sent.parts).decode().split("\r\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


@pytest.mark.anyio
async def test_progress_is_streamed_where_it_was_asked_for() -> None:
    told, silent, plain = Sent(), Sent(), Sent()
    entry, headers = Modern(slow_server(0), {}), asked("tools/call", mcp_name="slow")
    await entry.answer(scope(headers), call("slow", progressToken="p"), never, told.send)
    await entry.answer(scope(headers), call("slow"), never, silent.send)
    await entry.answer(
        scope(headers | {"accept": "application/json"}), call("slow", progressToken="p"), never, plain.send
    )
    assert told.headers["content-type"] == "text/event-stream"
    assert told.headers["x-accel-buffering"] == "no"
    progress, done = events(told)
    assert progress["params"] == {"progressToken": "p", "progress": 1.0, "message": "half"}
    assert done["result"]["content"] == [{"type": "text", "text": "done"}]
    for sent in (silent, plain):
        assert sent.headers["content-type"] == "application/json"
        assert sent.value["result"] == done["result"]


@pytest.mark.anyio
async def test_a_long_run_keeps_its_connection_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modern, "PATIENCE", 0.05)
    sent = Sent()
    await Modern(slow_server(0.2), {}).answer(
        scope(asked("tools/call", mcp_name="slow")), call("slow"), never, sent.send
    )
    assert sent.headers["content-type"] == "text/event-stream"
    assert b"".join(sent.parts).count(b": ping") >= 2
    assert events(sent)[-1]["result"]["content"][0]["text"] == "done"


@pytest.mark.anyio
async def test_nothing_is_sent_by_itself_once_there_is_an_answer() -> None:
    """The moment for a sign of life and the end of a run may come together, as where the machine stood still."""
    sent = Sent()
    exchange = modern._Exchange(  # pyright: ignore[reportPrivateUsage]  # what one request has
        TransportContext(kind="streamable-http", can_send_request=False), 1, ServerMessageMetadata(), None, sent.send
    )
    exchange._ping()  # pyright: ignore[reportPrivateUsage]
    exchange.settle()
    await anyio.wait_all_tasks_blocked()
    assert (sent.status, sent.parts) == (0, [])
