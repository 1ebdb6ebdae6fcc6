"""What each host can take, emulated under its name, with the entry that `install` writes for it.

VS Code has room for 128 tools, its own included; Windsurf and Antigravity for 100, Cursor warns at 80; Claude Code cuts
an answer off at 25,000 tokens; Claude Desktop gives a call a minute; Codex drops a server that is not ready in time.
"""

from __future__ import annotations

import sys
from math import inf
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from fences import between_marks
from host_world import COMMAND
from hosts import MODERN, Host, environment, hosting
from mcp import Client
from recorder import answer, recording
from test_start import FLOOR, until_listed
from test_waiting import CALL, FASTER, MAKE, house, to_its_end
from tokenizers import NAMES, counted

from bench.host import Subject
from kallyai_mcp.catalog import find
from kallyai_mcp.engine.cutting import compact
from kallyai_mcp.engine.tokens import LIMIT as TOKENS
from kallyai_mcp.hosts import entry_of, find_host
from kallyai_mcp.hosts.entry import parts_of, variables_for
from kallyai_mcp.sandbox.serve import SandboxOptions, serving

if TYPE_CHECKING:
    from pathlib import Path


OWN_TOOLS = {"vscode": 60, "windsurf": 30, "antigravity": 30, "cursor": 30}
"""Tools that a host has itself, or from other servers: about half of what it has room for."""

TRANSCRIPT = find("kallyai_calls_transcript")


def written_for(name: str) -> dict[str, str]:
    """Return the variables in the entry that `install` writes for a host."""
    host = find_host(name)
    parts = parts_of(host, entry_of(host, COMMAND, variables_for(host, {})))
    assert parts is not None
    return parts[1]


@pytest.mark.parametrize(("name", "room"), [("vscode", 128), ("windsurf", 100), ("antigravity", 100), ("cursor", 80)])
def test_vs_code_windsurf_antigravity_and_cursor_have_room_for_all_tools(tmp_path: Path, name: str, room: int) -> None:
    assert find_host(name).tool_limit == room
    with hosting(tmp_path, "http://127.0.0.1:9", MODERN, agrees=True, **written_for(name)) as host:
        listed = [tool["name"] for tool in host.request("tools/list")["tools"]]
        offered = [f"own_{number}" for number in range(OWN_TOOLS[name])] + listed
        assert offered[:room] == offered  # what is beyond is not offered to the model
        found = host.run("kallyai_find_tools", {"request": "read the mail of my landlord"})
    assert found["structuredContent"]["tools"][0]["run_with"] in listed  # and the others are run by those


def claude_code(result: dict[str, Any]) -> str:
    """Return what Claude Code shows its model: the structured content if there is one, else the texts, cut off."""
    text = "\n".join(content.get("text", "") for content in result["content"])
    for shown in (text, compact(result["structuredContent"])):
        assert max(counted(shown, name) for name in NAMES) <= TOKENS, "Claude Code cuts it off"
    return compact(result["structuredContent"])


def read_by_claude_code(host: Host, result: dict[str, Any]) -> list[dict[str, Any]]:
    found = [result]
    while (cursor := found[-1]["structuredContent"]["_more"]["cursor"]) is not None:
        assert cursor in claude_code(found[-1])
        found.append(host.run("kallyai_more", {"cursor": cursor}))
    assert claude_code(found[-1])
    return found


SCRIPTS = {
    "Chinese": "好的,明天下午三点以后可以送货。",
    "Japanese": "はい、七時なら空いています。",
    "emoji": "👍🏽👨\u200d👩\u200d👧",
    "rare": "뷁𠀀",
}


@pytest.mark.parametrize("words", SCRIPTS.values(), ids=list(SCRIPTS))
def test_claude_code_cuts_nothing_off_in_any_script(tmp_path: Path, words: str) -> None:
    turns = [{"speaker": "HUMAN", "content": f"{number}. {words * (90 // len(words))}"} for number in range(400)]
    variables = written_for("claude-code")
    with recording() as recorder, hosting(tmp_path, recorder.origin, MODERN, agrees=False, **variables) as host:
        recorder.answers(answer({"entries": turns}), about=TRANSCRIPT)
        found = read_by_claude_code(host, host.run(TRANSCRIPT.tool, {"call_id": "c-1"}))
    assert len(found) > 2
    assert [turn for piece in found for turn in piece["structuredContent"]["entries"]] == turns
    assert all(between_marks(piece["content"][0]["text"])[1].startswith("entries (") for piece in found)


@pytest.mark.anyio
async def test_claude_desktop_gets_the_result_of_a_call_a_minute_at_a_time(tmp_path: Path) -> None:
    host = find_host("claude-desktop")
    assert host.answer_limit == 60
    within = float(written_for("claude-desktop")["KALLYAI_ANSWER_WITHIN"])
    async with (
        serving(SandboxOptions(speed=20.0)) as served,
        house(tmp_path, served.origin, within / FASTER) as server,
        Client(server) as client,
    ):
        with anyio.fail_after(120):
            content = await to_its_end(client, MAKE.tool, CALL, 60 / FASTER, None)
    assert content["status"] == "success"


def test_codex_does_not_drop_the_server_for_being_late(tmp_path: Path) -> None:
    """Codex drops a server that is not ready in about a second; today's waits 10 s, or as long as the entry says.

    A second is much on one machine and little on another, so this Codex waits a second or as long as a server of the
    same SDK with one tool takes on this one. They are started in turns, and of several times the best counts: on a
    machine that is busy with other things, of more.
    """
    codex = find_host("codex")
    assert codex.start_limit == codex.more["startup_timeout_sec"] == 20
    own = environment(tmp_path, "http://127.0.0.1:9") | written_for("codex")
    subject = Subject("ours", (sys.executable, "-m", "kallyai_mcp"), own)
    ours: list[tuple[float, float]] = []
    floor: list[tuple[float, float]] = []
    waited, used, longest, most = inf, inf, 0.0, 0.0
    while len(ours) < 4 or (len(ours) < 16 and not (waited <= max(1.0, longest) and used <= most * 0.85)):
        ours.append(until_listed(subject))
        floor.append(until_listed(FLOOR))
        (waited, used), (longest, most) = ([min(times) for times in zip(*of, strict=True)] for of in (ours, floor))
    assert waited <= max(1.0, longest)
    assert used <= most * 0.85
    assert waited < 20
