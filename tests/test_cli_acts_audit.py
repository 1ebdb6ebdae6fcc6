"""The log at a terminal: listed, checked and exported, without a word to the service."""

from __future__ import annotations

import csv
import io
import sqlite3
from typing import TYPE_CHECKING

import pytest
from cli_acts_world import CALL, OTHER, Desk, sitting, worked
from recorder import answer

from kallyai_mcp.model.records import Act, Draft, Note
from kallyai_mcp.safety import Safety

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from kallyai_mcp.journal import Journal


DONE = {"call_id": "c_1", "status": "success", "credits_used": 1.3}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Generator[Desk]:
    with sitting(tmp_path, monkeypatch, capsys) as desk:
        desk.recorder.answers(answer(DONE))
        yield desk


def test_audit_lists_this_account_the_newest_last(desk: Desk) -> None:
    worked(desk)
    for argv in (["audit"], ["audit", "list"]):
        assert desk.types(*argv, "--json") == 0
        told = [(line["tool"], line["outcome"]) for line in desk.json()["receipts"]]
        assert (told[0], told[-1]) == (("kallyai_calls_make", "done"), ("stop", "stopped"))
        assert ("kallyai_ask", "refused") not in told
    assert desk.types("audit") == 0
    assert "+1•••0117" in desk.out
    assert "nobody (approval: off)" in " ".join(desk.out.split())
    assert "kitchen" not in desk.out


def test_audit_of_all_accounts_and_with_a_limit(desk: Desk) -> None:
    worked(desk)
    for argv in (["audit", "--all", "list"], ["audit", "list", "--all"]):
        assert desk.types(*argv, "--json") == 0
        assert [line["tool"] for line in desk.json()["receipts"]][1] == "kallyai_ask"
    assert desk.types("audit", "--limit", "1", "--json") == 0
    assert [line["tool"] for line in desk.json()["receipts"]] == ["stop"]


def test_audit_with_nothing_of_this_account_tells_of_the_others(desk: Desk, tmp_path: Path) -> None:
    """Who looks after many people's servers is none of them, and must not take their log for an empty one."""
    note = Note(tool="kallyai_ask", digest="d" * 64, outcome="refused", destination="", error="x")
    desk.journal(lambda journal: journal.note(OTHER, note))
    assert desk.types("audit") == 0
    assert "Nothing was done yet for this account; 1 line is of others" in " ".join(desk.out.split())
    assert "kallyai-mcp audit --all" in " ".join(desk.out.split())
    target = tmp_path / "log.jsonl"
    for argv in (["audit", "export"], ["audit", "export", "--output", str(target)]):
        assert desk.types(*argv) == 0
        assert desk.out == ""
        assert "1 line is of others: kallyai-mcp audit --all" in " ".join(desk.err.split())
    assert desk.types("stop") == 0
    assert desk.types("audit") == 0
    assert "1 line is of others" in " ".join(desk.out.split()), "a stop of all is nothing of this account's own"
    assert desk.types("audit", "export", "--all") == 0
    assert "of others" not in desk.err


def test_audit_of_an_empty_log_says_so(desk: Desk) -> None:
    for argv in (["audit"], ["audit", "--all"]):
        assert desk.types(*argv) == 0
        assert desk.out == "Nothing was done yet.\n"
    assert desk.types("audit", "export") == 0
    assert desk.err == ""


@pytest.mark.parametrize("limit", ["0", "-1", "many", "9" * 30, "٣"])
def test_limit_that_is_none_is_refused(desk: Desk, limit: str) -> None:
    assert desk.types("audit", f"--limit={limit}") == 2
    assert "--limit must be a whole number" in desk.err


def test_audit_asks_the_service_nothing(desk: Desk) -> None:
    for argv in (["audit"], ["audit", "verify"], ["audit", "export"]):
        assert desk.types(*argv) == 0
    assert desk.recorder.requests == []


def test_intact_log_is_verified_with_its_head(desk: Desk) -> None:
    worked(desk)
    lines = desk.journal(lambda journal: journal.receipts(None))
    assert desk.types("audit", "verify") == 0
    assert desk.out == f"{len(lines)} lines, each as it was written.\nHead: {lines[-1].hash}\n"
    assert desk.types("audit", "verify", "--json") == 0
    assert desk.json() == {"intact": True, "lines": len(lines), "head": lines[-1].hash}


def test_altered_line_is_named_and_is_status_1(desk: Desk) -> None:
    worked(desk)
    connection = sqlite3.connect(desk.folder / "state" / "acts.db")
    connection.executescript(
        "DROP TRIGGER receipt_unchanged; UPDATE receipt SET line = replace(line, '0117', '0118') WHERE number = 1;"
    )
    connection.close()
    assert desk.types("audit", "verify") == 1
    assert "line 1 is the first" in " ".join(desk.out.split())
    assert desk.types("audit", "verify", "--json") == 1
    told = desk.json()
    assert (told["intact"], told["first_altered"]) == (False, 1)
    assert desk.types("audit") == 0, "what is left of it can still be read"


def test_export_in_lines_is_what_the_hashes_were_made_of(desk: Desk) -> None:
    worked(desk)
    assert desk.types("audit", "export", "--all") == 0
    assert desk.out.splitlines() == [receipt.line for receipt in desk.journal(lambda journal: journal.receipts(None))]


def test_export_for_spreadsheets_calculates_nothing(desk: Desk, tmp_path: Path) -> None:
    worked(desk)
    target = tmp_path / "log.csv"
    assert desk.types("audit", "export", "--all", "--format", "csv", "--output", str(target)) == 0
    assert desk.out == ""
    assert target.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8"))))
    receipts = desk.journal(lambda journal: journal.receipts(None))
    assert [row["hash"] for row in rows] == [receipt.hash for receipt in receipts]
    assert rows[0]["destination"] == "'+1•••0117"
    assert rows[0]["charged"] == "1.3"
    assert rows[1]["destination"] == "'=cmd|' /C calc'!A0"
    assert rows[-1]["details"] == '{"by": "a terminal"}'
    assert not [cell for row in rows for cell in row.values() if cell.startswith(tuple("=+-@\t\r"))]


def test_export_that_cannot_be_written_and_an_unknown_format_are_told(desk: Desk, tmp_path: Path) -> None:
    assert desk.types("audit", "export", "--output", str(tmp_path / "no" / "log")) == 1
    assert "No such file" in desk.err
    assert desk.types("audit", "export", "--format", "xls") == 2
    assert "jsonl or csv" in desk.err


def test_act_of_a_process_that_died_is_in_the_log(desk: Desk) -> None:
    assert desk.types(*CALL, "--dry-run") == 0
    account = desk.account()

    async def die(journal: Journal) -> None:
        act = await journal.begin(account, Draft(tool="kallyai_ask", digest="e" * 64, arguments={}), Safety())
        assert isinstance(act, Act)
        await journal.sending(account, act.id)

    desk.journal(die)
    assert desk.types("audit", "--json") == 0
    assert [line["outcome"] for line in desk.json()["receipts"]] == ["dry_run", "unknown"]
