"""Lists say how their next page is had, and what is too large is read to its end by cursors, over the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from fences import between_marks
from full import share
from hosts import LEGACY, MODERN, Host, hosting
from recorder import Recorder, Reply, answer, recording

from kallyai_mcp import catalog
from kallyai_mcp.catalog import find
from kallyai_mcp.engine.cutting import LIMIT
from kallyai_mcp.engine.more import Continued, Source, next_page
from kallyai_mcp.engine.strangers import ORIGIN
from kallyai_mcp.errors import CursorRefused
from kallyai_mcp.examples import examples_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from kallyai_mcp.model import Command

TURNS = [{"speaker": "HUMAN" if n % 2 else "AI", "content": f"{n}. " + "Vale, gracias. 👍🏽 " * 12} for n in range(900)]
REMOTE = [pytest.param(c, id=c.tool) for c in catalog.all_commands() if c.method is not None and not c.redirects]
TRANSCRIPT = "kallyai_calls_transcript"


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


@pytest.fixture(scope="module", params=[MODERN, LEGACY[-1]])
def host(
    tmp_path_factory: pytest.TempPathFactory, recorder: Recorder, request: pytest.FixtureRequest
) -> Generator[Host]:
    folder = tmp_path_factory.mktemp("host")
    with hosting(folder, recorder.origin, request.param, agrees=False) as made:
        yield made


def counted(result: dict[str, Any]) -> int:
    return len(json.dumps(result, ensure_ascii=False, separators=(",", ":")))


def read_on(host: Host, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pieces of an answer, by the cursor that each text names."""
    found = [result]
    while (cursor := found[-1]["structuredContent"]["_more"]["cursor"]) is not None:
        assert cursor in found[-1]["content"][0]["text"]
        found.append(host.run("kallyai_more", {"cursor": cursor}))
        assert found[-1]["isError"] is False, found[-1]
    return found


def test_a_long_transcript_is_read_turn_by_turn_to_its_end(host: Host, recorder: Recorder) -> None:
    recorder.answers(answer({"entries": TURNS}), about=find(TRANSCRIPT))
    found = read_on(host, host.run(TRANSCRIPT, {"call_id": "c-1"}))
    assert len(found) > 5
    assert [turn for piece in found for turn in piece["structuredContent"]["entries"]] == TURNS
    for number, piece in enumerate(found, 1):
        assert counted(piece) <= LIMIT
        assert piece["structuredContent"]["_more"]["piece"] == number
        assert piece["structuredContent"][ORIGIN]["kind"] == "third_party"
        notes, words = between_marks(piece["content"][0]["text"])
        assert "Piece" in notes
        assert words.startswith("entries (")
    assert found[-1]["content"][0]["text"].endswith(f"Piece {len(found)}, the last one.")


def test_a_long_text_is_read_to_its_last_character(host: Host, recorder: Recorder) -> None:
    body = "\n\n".join(f"{n}. Die Wohnung ist schön. 很好。" * 9 for n in range(900))
    recorder.answers(answer({"id": "m", "subject": "Lang", "body": body}), about=find("kallyai_email_read"))
    found = read_on(host, host.run("kallyai_email_read", {"message_id": "m"}))
    assert "".join(piece["structuredContent"].get("body", "") for piece in found) == body
    assert found[0]["structuredContent"]["subject"] == "Lang"
    assert all(counted(piece) <= LIMIT for piece in found)


def test_a_cursor_is_good_in_another_process_and_for_nothing_else(tmp_path: Path, recorder: Recorder) -> None:
    recorder.answers(answer({"entries": TURNS}), about=find(TRANSCRIPT))
    with hosting(tmp_path, recorder.origin, agrees=False) as first:
        cursor = first.run(TRANSCRIPT, {"call_id": "c-1"})["structuredContent"]["_more"]["cursor"]
    with hosting(tmp_path, recorder.origin, agrees=False) as second:
        assert second.run("kallyai_more", {"cursor": cursor})["structuredContent"]["_more"]["piece"] == 2
        for wrong in (cursor[:-2], "v1.nothing", "x" * 20_000, cursor.swapcase()):
            error = second.run("kallyai_more", {"cursor": wrong})["structuredContent"]["error"]
            assert error["code"] == "cursor_invalid"
        recorder.answers(answer({"entries": [*TURNS[:-1], {"speaker": "AI"}]}), about=find(TRANSCRIPT))
        error = second.run("kallyai_more", {"cursor": cursor})["structuredContent"]["error"]
        assert error["code"] == "cursor_changed"
        assert '{"call_id":"c-1"}' in error["next_step"]
    with hosting(tmp_path, recorder.origin, agrees=False, KALLYAI_ACCESS_TOKEN="another-live-token") as other:
        error = other.run("kallyai_more", {"cursor": cursor})["structuredContent"]["error"]
        assert error["code"] == "cursor_invalid"


def test_what_an_act_brought_is_read_on_from_the_journal_and_nothing_is_sent_again(
    host: Host, recorder: Recorder
) -> None:
    results = [{"title": f"Plumber {n}", "description": "Comes today. " * 20} for n in range(400)]
    command = find("kallyai_search_run")
    recorder.answers(answer({"results": results, "credits_used": 0.75}), about=command)
    found = read_on(host, host.run(command.tool, {"query": f"plumber {host.version}"}))
    assert [one for piece in found for one in piece["structuredContent"].get("results", [])] == results
    assert len(recorder.requests) == 1
    assert "_act" in found[0]["structuredContent"]
    assert all("_act" not in piece["structuredContent"] for piece in found[1:])
    assert all(counted(piece) <= LIMIT for piece in found)


TEXTS = [{"text": 'Sagte "ja".\n' * 500, "id": str(number)} for number in range(share(30, 300))]
HUGE = {"id": "x", "items": TEXTS, "body": "é" * share(90_000, 900_000)}


@pytest.mark.parametrize("command", REMOTE)
def test_no_answer_of_any_command_is_more_than_a_host_takes(host: Host, recorder: Recorder, command: Command) -> None:
    calendar = Reply(200, b"BEGIN:VCALENDAR\r\n" + b"X" * 90_000, (("Content-Type", "text/calendar"),))
    recorder.answers(calendar if command.calendar else answer(HUGE), about=command)
    result = host.run(command.tool, examples_of(command)[0]["arguments"])
    assert counted(result) <= LIMIT
    structured = result["structuredContent"]
    assert {"_more", "_cut", "error"} & structured.keys()


def test_the_largest_answer_there_can_be_is_read_on_in_a_moment(host: Host, recorder: Recorder) -> None:
    turns = [{"speaker": "AI", "content": "Palabra por palabra. " * 400} for _ in range(950)]
    recorder.answers(answer({"entries": turns}), about=find(TRANSCRIPT))
    first = host.run(TRANSCRIPT, {"call_id": "c-1"})
    assert counted(first) <= LIMIT
    second = host.run("kallyai_more", {"cursor": first["structuredContent"]["_more"]["cursor"]})
    assert counted(second) <= LIMIT
    assert second["structuredContent"]["_more"]["piece"] == 2


@pytest.mark.parametrize(
    ("tool", "given", "data", "arguments"),
    [
        ("kallyai_calls_history", {"limit": 2}, {"items": [1, 2], "total": 5}, {"limit": 2, "offset": 2}),
        ("kallyai_calls_history", {"limit": 2, "offset": 4}, {"items": [1], "total": 5}, None),
        ("kallyai_calls_history", {}, {"items": [1] * 10}, {"offset": 10}),
        ("kallyai_calls_history", {}, {"items": [1] * 9}, None),
        (
            "kallyai_outreach_tasks",
            {"status": "failed"},
            {"tasks": [1], "has_more": True},
            {"status": "failed", "offset": 1},
        ),
        ("kallyai_outreach_tasks", {}, {"tasks": [1] * 50, "has_more": False}, None),
        ("kallyai_messages_inbox", {"limit": 3}, {"messages": [1, 2, 3]}, {"limit": 12}),
        ("kallyai_messages_inbox", {"limit": 3}, {"messages": [1, 2]}, None),
        ("kallyai_messages_inbox", {}, {"messages": [1, 2, 3], "total": 90}, {"limit": 12}),
        ("kallyai_messages_inbox", {"limit": 3}, {"messages": [1, 2, 3], "total": 7}, {"limit": 7}),
        ("kallyai_messages_inbox", {"limit": 3}, {"messages": [1, 2, 3], "total": 3}, None),
        ("kallyai_credits_history", {}, {"entries": [1] * 50, "has_more": True}, {"limit": 200}),
        ("kallyai_credits_history", {}, {"entries": [1] * 50}, None),
        ("kallyai_calls_history", {}, {"items": [], "total": 0}, None),
        ("kallyai_calls_info", {"call_id": "c"}, {"items": [1]}, None),
    ],
)
def test_the_next_page_is_asked_for_as_the_api_pages(
    tool: str, given: dict[str, Any], data: dict[str, Any], arguments: dict[str, Any] | None
) -> None:
    found = next_page(Source(find(tool), given), data)
    if arguments is None:
        assert found is None
        return
    assert found is not None
    sentence, facts = found
    assert facts == {"tool": tool, "arguments": arguments}
    assert json.dumps(arguments, separators=(",", ":")) in sentence


@pytest.mark.parametrize(
    ("tool", "given", "data", "told"),
    [
        ("kallyai_inbound_voicemails", {}, {"voicemails": [1, 2], "total": 90}, "2 of 90 shown;"),
        ("kallyai_inbound_voicemails", {}, {"voicemails": [1, 2], "has_more": True}, "2 shown;"),
        ("kallyai_messages_inbox", {"limit": 12}, {"messages": [1, 2, 3], "total": 90}, "3 of 90 shown;"),
    ],
)
def test_where_the_api_has_no_way_to_the_rest_that_is_said(
    tool: str, given: dict[str, Any], data: dict[str, Any], told: str
) -> None:
    assert next_page(Source(find(tool), given), data) == (f"{told} {tool} cannot get more.", None)
    assert next_page(Source(find(tool), given), data | {"total": 3, "has_more": False}) is None


def test_a_page_says_what_comes_next(host: Host, recorder: Recorder) -> None:
    items = [{"call_id": f"c-{n}", "status": "success"} for n in range(10)]
    recorder.answers(answer({"items": items, "total": 57}), about=find("kallyai_calls_history"))
    result = host.run("kallyai_calls_history")
    assert result["structuredContent"]["_next"] == {"tool": "kallyai_calls_history", "arguments": {"offset": 10}}
    assert '10 of 57 shown; the next: kallyai_calls_history {"offset":10}' in result["content"][0]["text"]


class Plain:
    """Seals nothing."""

    def seal(self, payload: bytes) -> str:
        return payload.hex()

    def open(self, token: str) -> bytes | None:
        return bytes.fromhex(token)


def test_a_cursor_ends_after_a_day() -> None:
    from kallyai_mcp.engine.result import shape_data

    now = 1_000.0
    continued = Continued(Plain(), lambda: "me", clock=lambda: now)
    result = continued.finish(shape_data(find(TRANSCRIPT), {"entries": TURNS}), Source(find(TRANSCRIPT), {}))
    token = result.structured["_more"]["cursor"]
    now += 86_399
    assert continued.open(token).piece == 2
    now += 2
    with pytest.raises(CursorRefused) as refused:
        continued.open(token)
    assert refused.value.error_code == "cursor_expired"


def test_an_error_that_repeats_what_was_given_is_short(host: Host) -> None:
    result = host.run("kallyai_credits_balance", {"x" * 200_000: 1})
    assert counted(result) <= LIMIT
    assert result["structuredContent"]["error"]["code"] == "invalid_arguments"


def test_a_rehearsal_of_a_long_mail_fits(host: Host) -> None:
    mail = {"to": "bo@mail.example", "subject": "Tulips", "body": "Sixty beds. " * 9_000, "dry_run": True}
    result = host.run("kallyai_actions_email_send", mail)
    assert counted(result) <= LIMIT
    assert result["structuredContent"]["dry_run"] is True
