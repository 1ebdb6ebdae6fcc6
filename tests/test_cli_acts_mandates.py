"""Mandates at a terminal, and how it all stands there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from cli_acts_world import CALL, Desk, sitting, worked
from recorder import answer

from kallyai_mcp.cli.mandates import until_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


DONE = {"call_id": "c_1", "status": "success", "credits_used": 1.3}
ADD = ["mandates", "add", "--purpose", "Find a plumber", "--tool", "calls make", "--to", "+1415*"]
LATER = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="minutes")
BOUNDS = ["--acts", "3", "--credits", "10", "--until", LATER]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Generator[Desk]:
    with sitting(tmp_path, monkeypatch, capsys) as desk:
        desk.recorder.answers(answer(DONE))
        yield desk


def test_mandate_is_shown_agreed_to_listed_and_taken_back(desk: Desk) -> None:
    desk.person.answers = [True]
    assert desk.types(*ADD, *BOUNDS) == 0
    asked = desk.person.shown[0]
    for part in ("Find a plumber", "calls make", "+1415", "Most acts"):
        assert part in asked
    desk.person.answers = None
    assert desk.types("mandates", "--json") == 0
    (mandate,) = desk.json()["mandates"]
    assert {name: mandate[name] for name in ("purpose", "tools", "recipients", "acts_left", "credits_left")} == {
        "purpose": "Find a plumber",
        "tools": ["kallyai_calls_make"],
        "recipients": ["+1415*"],
        "acts_left": 3,
        "credits_left": 10,
    }
    assert desk.types(*CALL, "--json") == 0
    assert desk.json()["_act"]["mandate"] == mandate["id"]
    assert desk.types("mandates") == 0
    assert "calls make" in desk.out
    assert desk.types("mandates", "revoke", mandate["id"]) == 0
    assert desk.types("mandates", "list") == 0
    assert "There is no mandate" in desk.out


def test_time_of_today_is_one_of_the_users_zone() -> None:
    today = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    told = until_of("9:05", "Pacific/Kiritimati")
    assert told in {f"{day}T09:05" for day in (today, datetime.now(ZoneInfo("Pacific/Kiritimati")).date())}  # midnight
    assert until_of("2026-04-09T18:00", "Pacific/Kiritimati") == "2026-04-09T18:00"


def test_mandate_that_is_declined_is_none(desk: Desk) -> None:
    desk.person.answers = [False]
    assert desk.types(*ADD, *BOUNDS) == 5
    assert desk.types("mandates", "--json") == 0
    assert desk.json() == {"mandates": []}


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["mandates", "add"], "--purpose is required"),
        ([*ADD, "--acts", "many", "--credits", "1", "--until", "tomorrow"], "--acts must be"),
        ([*ADD, "--tool", "calls history", *BOUNDS], "--tool must be names of tools that act"),
        ([*ADD, "--to", "+1900*x", *BOUNDS], "--to must be"),
        (["mandates", "revoke"], "Which mandate?"),
        (["mandates", "revoke", "m-nope"], "no mandate of this identifier"),
    ],
)
def test_wrong_bounds_are_told_by_what_is_typed(desk: Desk, argv: list[str], told: str) -> None:
    desk.person.answers = []
    assert desk.types(*argv) == 2
    assert told in " ".join(desk.err.split())


def test_status_names_who_agrees_what_is_used_and_what_waits(desk: Desk) -> None:
    worked(desk)
    desk.asked()
    assert desk.types("status", "--approval", "host", "--max-credits-per-day", "20", "--json") == 0
    acts = desk.json()["acts"]
    assert (acts["approval"], acts["stopped"]["by"]) == ("host", "a terminal")
    assert (acts["limits"]["used"]["credits_day"], acts["limits"]["allowed"]["max_credits_per_day"]) == (1.3, 20)
    assert (acts["open_questions"], acts["open_questions_of_others"], acts["mandates"]) == (0, 1, [])
    assert desk.types("status", "--approval", "off") == 0
    text = " ".join(desk.out.split())
    assert "nobody (approval: off)" in text
    assert "by a terminal; to go on: kallyai-mcp resume" in text
    assert "Calls in an hour 1 of 30" in text
    assert "Open questions of other accounts 1; see them: kallyai-mcp approve" in text


def test_status_says_when_the_journal_cannot_be_used(desk: Desk) -> None:
    (desk.folder / "state").mkdir(mode=0o700)
    (desk.folder / "state" / "acts.db").write_text("no database" * 100)
    (desk.folder / "state" / "acts.db").chmod(0o600)
    assert desk.types("status", "--json") == 0
    told = desk.json()
    assert told["authenticated"] is True
    assert told["acts"]["problem"]["code"] == "journal_unusable"
    assert desk.types("status") == 0
    assert "none can be run" in " ".join(desk.out.split())
    assert desk.types("stop") == 2
    assert "Nothing is stopped." in desk.err
    assert desk.types("audit", "--json") == 2
    assert desk.error()["code"] == "journal_unusable"
