"""Every version of the protocol, seen from outside: what is listed, who the server is, and how it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from fences import between_marks, with_origin
from hosts import LEGACY, MODERN, SERVE, Host, environment, hosting, serving
from mcp import Client, MCPError, StdioServerParameters
from recorder import Recorder, answer, recording

from kallyai_mcp import __version__
from kallyai_mcp.catalog import by_tool
from kallyai_mcp.engine.wording import worded

if TYPE_CHECKING:
    from collections.abc import Generator

VERSIONS = (*LEGACY, MODERN)
MODES = ("legacy", "auto", MODERN)
FOLDER = Path(__file__).parent.parent / "tool_schemas"
GOALS = {"goals": [{"goal_id": "g-1", "title": "Dinner", "added_later": [1.5, None]}]}
TOLD = with_origin("kallyai_coord_goals", GOALS)


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


@pytest.fixture(scope="module", params=VERSIONS)
def connection(
    request: pytest.FixtureRequest, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[str, Host, dict[str, Any]]]:
    """One connection per version: the version, the host, and what the server said of itself."""
    with hosting(tmp_path_factory.mktemp("host"), recorder.origin, None) as host:
        yield request.param, host, host.connect(request.param)


Connection = tuple[str, Host, dict[str, Any]]


def _shipped() -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in FOLDER.glob("*.json")]


def test_the_list_is_what_is_shipped_in_a_fixed_order(connection: Connection) -> None:
    _, host, _ = connection
    listed = host.request("tools/list")["tools"]
    names = [tool["name"] for tool in listed]
    assert names == ["kallyai_ask", *sorted(by_tool().keys() - {"kallyai_ask"})]
    assert {tool["name"]: tool for tool in listed} == {tool["name"]: tool for tool in _shipped()}
    assert host.request("tools/list")["tools"] == listed


def test_a_list_may_be_kept_where_the_version_knows_of_it(connection: Connection) -> None:
    version, host, _ = connection
    result = host.request("tools/list")
    result.pop("tools")
    result.pop("_meta", None)
    assert result == (
        {"ttlMs": 3_600_000, "cacheScope": "public", "resultType": "complete"} if version == MODERN else {}
    )


def test_a_run_answers_what_the_api_answered(connection: Connection, recorder: Recorder) -> None:
    version, host, _ = connection
    recorder.answers(answer(GOALS))
    result = host.run("kallyai_coord_goals")
    result.pop("_meta", None)
    text = result["content"][0].pop("text")
    assert between_marks(text)[1] == worded(GOALS)
    assert result == {
        "content": [{"type": "text"}],
        "structuredContent": TOLD,
        "isError": False,
    } | ({"resultType": "complete"} if version == MODERN else {})
    assert [request.path for request in recorder.requests] == ["/v1/coordination/goals"]


def test_the_server_says_who_it_is(connection: Connection) -> None:
    version, _, said = connection
    identity = said["_meta"]["io.modelcontextprotocol/serverInfo"] if version == MODERN else said["serverInfo"]
    assert (identity["name"], identity["version"]) == ("kallyai-mcp", __version__)
    assert identity["title"] == "KallyAI"
    assert identity["websiteUrl"] == "https://kallyai.com"
    assert [icon["mimeType"] for icon in identity["icons"]] == ["image/svg+xml"]
    assert identity["icons"][0]["src"].startswith("data:image/svg+xml;base64,")
    assert "kallyai_ask" in said["instructions"]
    assert said["capabilities"]["tools"] is not None
    if version == MODERN:
        assert MODERN in said["supportedVersions"]
    else:
        assert said["protocolVersion"] == version


def test_instructions_name_only_tools_that_there_are(connection: Connection) -> None:
    _, _, said = connection
    words = said["instructions"].replace(",", " ").replace(";", " ").replace(".", " ").replace(":", " ").split()
    assert {word for word in words if word.startswith("kallyai_") and word != "kallyai_"} <= by_tool().keys()


@pytest.mark.parametrize("name", ["kallyai_no_such_tool", "", "KALLYAI_ASK", "kallyai_ask ", "../kallyai_ask"])
def test_an_unknown_tool_is_an_error_of_the_protocol(connection: Connection, recorder: Recorder, name: str) -> None:
    _, host, _ = connection
    recorder.answers()
    error = host.refused("tools/call", {"name": name, "arguments": {}})
    assert (error["code"], error["message"]) == (-32602, f"Unknown tool: {name}")
    assert recorder.requests == []


@pytest.mark.parametrize("cursor", ["1", "", "eyJvZmZzZXQiOjF9"])
def test_an_invalid_cursor_is_an_error_of_the_protocol(connection: Connection, cursor: str) -> None:
    """There is one page, so that every cursor is one that the server never gave."""
    _, host, _ = connection
    assert host.refused("tools/list", {"cursor": cursor})["code"] == -32602


@pytest.mark.parametrize(
    "params", [{}, {"name": 7}, {"name": "kallyai_ask", "arguments": []}, {"name": "kallyai_ask", "arguments": "x"}]
)
def test_a_malformed_request_is_an_error_of_the_protocol(
    connection: Connection, recorder: Recorder, params: dict[str, Any]
) -> None:
    _, host, _ = connection
    recorder.answers()
    assert host.refused("tools/call", params)["code"] == -32602
    assert recorder.requests == []


def test_a_method_that_is_not_served_is_refused(connection: Connection) -> None:
    _, host, _ = connection
    for method in ("logging/setLevel", "tasks/list", "no/such/method"):
        assert host.refused(method, {"level": "debug"})["code"] == -32601
    assert host.is_alive()


def test_an_unknown_version_is_answered_with_one_that_is_spoken(tmp_path: Path, recorder: Recorder) -> None:
    with hosting(tmp_path, recorder.origin, None) as host:
        assert host.connect("1999-01-01")["protocolVersion"] == LEGACY[-1]
        assert host.is_alive()


def test_a_modern_request_of_an_unknown_version_is_told_which_are_spoken(tmp_path: Path, recorder: Recorder) -> None:
    with hosting(tmp_path, recorder.origin, MODERN) as host:
        meta = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2099-01-01"}}
        error = host.refused("tools/list", meta)
        assert (error["code"], error["data"]["supported"]) == (-32022, [MODERN])


@pytest.mark.parametrize("mode", MODES)
def test_the_sdks_own_client_lists_and_runs_over_stdio(tmp_path: Path, recorder: Recorder, mode: str) -> None:
    async def session() -> None:
        command = StdioServerParameters(
            command=sys.executable, args=list(SERVE), env=environment(tmp_path, recorder.origin), cwd=tmp_path
        )
        with anyio.fail_after(90):
            async with Client(command, mode=mode) as client:
                tools = (await client.list_tools()).tools
                assert [tool.name for tool in tools][:2] == ["kallyai_ask", "kallyai_actions_bill_analyze"]
                assert len(tools) == len(by_tool())
                recorder.answers(answer(GOALS))
                # The client checks the structured content against the output schema it was listed with.
                result = await client.call_tool("kallyai_coord_goals")
                assert result.structured_content == TOLD
                assert not result.is_error
                with pytest.raises(MCPError, match="Unknown tool: kallyai_none") as refusal:
                    await client.call_tool("kallyai_none")
                assert refusal.value.error.code == -32602

    anyio.run(session)


@pytest.mark.parametrize("mode", MODES)
def test_the_sdks_own_client_works_within_one_process(recorder: Recorder, mode: str) -> None:
    async def session() -> None:
        with anyio.fail_after(90):
            async with serving(recorder.origin) as server, Client(server, mode=mode) as client:
                assert {tool.name for tool in (await client.list_tools()).tools} == by_tool().keys()
                recorder.answers(answer(GOALS))
                assert (await client.call_tool("kallyai_coord_goals")).structured_content == TOLD

    anyio.run(session)
