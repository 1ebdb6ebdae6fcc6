"""Agreeing from a terminal to what was asked elsewhere: what is shown, who decides, and what is left open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cli_acts_world import OTHER, QUESTION, Desk, sitting
from recorder import answer

from kallyai_mcp.journal import Journal
from kallyai_mcp.model import Consent

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from kallyai_mcp.model.records import Approval

DONE = {"call_id": "c_1", "status": "success", "credits_used": 1.3}
NOBODY = "needs a person at a terminal"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Generator[Desk]:
    with sitting(tmp_path, monkeypatch, capsys) as desk:
        desk.recorder.answers(answer(DONE))
        yield desk


def test_one_open_question_is_shown_in_full_and_decided(desk: Desk) -> None:
    approval = desk.asked()
    desk.person.answers = [True]
    assert desk.types("approve") == 0
    assert desk.decision(approval) == (True, Consent.TERMINAL)
    question = desk.person.shown[0]
    assert "Phone a number  (calls make)" in question
    assert "! It is [31murgent." in question
    assert question.index("urgent") < question.index("Reaches"), "warnings come first"
    assert "\x1b[2J" not in question


def test_a_line_of_a_value_does_not_begin_like_one_of_ours(desk: Desk) -> None:
    desk.asked()
    for width in (40, 100):
        desk.person.answers, desk.person.width = [None], width
        assert desk.types("approve") == 5
        shown = desk.person.shown[-2].splitlines()
        (told,) = (line for line in shown if "Can be undone: yes" in line)
        (label,) = (line for line in shown if "Task" in line)
        assert len(told) - len(told.lstrip()) > len(label) - len(label.lstrip())


def test_declining_and_silence_are_status_5(desk: Desk) -> None:
    approval = desk.asked()
    desk.person.answers = [None, False]
    assert desk.types("approve", approval.id) == 5
    assert desk.decision(approval) == (None, Consent.NONE)
    assert desk.types("approve", approval.id[:8].upper()) == 5
    assert desk.decision(approval) == (False, Consent.TERMINAL)


def test_several_are_listed_and_none_is_decided(desk: Desk) -> None:
    one, two = desk.asked(digest="1" * 64), desk.asked(digest="2" * 64)
    desk.person.answers = []
    assert desk.types("approve") == 0
    assert [line.split()[0] for line in desk.out.splitlines() if "open until" in line] == [one.id[:8], two.id[:8]]
    assert "Reaches: +1 415-555-0100" in desk.out


def test_beginning_that_two_share_names_neither(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    approval = desk.asked()
    twins = [replace(approval, id=f"{'a' * 9}{last}{'0' * 22}") for last in "12"]

    async def pending(_: Journal) -> list[tuple[str, Approval]]:
        return [(OTHER, twin) for twin in twins]

    monkeypatch.setattr("kallyai_mcp.journal.journal.Journal.pending", pending)
    desk.person.answers = []
    assert desk.types("approve", "aaa") == 2
    assert "Several open questions begin with 'aaa'" in desk.err
    assert desk.types("approve") == 0
    shown = [line.split()[0] for line in desk.out.splitlines() if "open until" in line]
    assert shown == [f"{'a' * 9}1", f"{'a' * 9}2"]


@pytest.mark.parametrize("wanted", ["zz", "", "\x1b[2J"])
def test_identifier_of_none_is_refused(desk: Desk, wanted: str) -> None:
    desk.asked()
    desk.person.answers = []
    assert desk.types("approve", wanted) == 2
    assert "No open question begins with" in desk.err
    assert "\x1b" not in desk.err


def test_with_nothing_open_it_says_so(desk: Desk) -> None:
    desk.person.answers = []
    assert desk.types("approve") == 0
    assert desk.out == "Nothing waits for an answer.\n"


def test_a_question_that_changed_meanwhile_is_not_decided(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    approval = desk.asked()

    async def changed(prompt: str) -> bool:
        async with Journal(desk.folder / "state") as journal:
            await journal.ask(OTHER, approval.tool, approval.digest, replace(QUESTION, warnings=("Another.",)))
        return True

    desk.person.answers = []
    monkeypatch.setattr(desk.person, "agrees", changed)
    assert desk.types("approve") == 5
    assert "has changed" in desk.err
    assert desk.decision(approval) == (None, Consent.NONE)


def test_what_was_decided_elsewhere_meanwhile_holds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    approval = desk.asked()

    async def declined_elsewhere(prompt: str) -> bool:
        async with Journal(desk.folder / "state") as journal:
            await journal.decide(OTHER, approval.id, agreed=False, how=Consent.PAGE, shown=QUESTION.text())
        return True

    desk.person.answers = []
    monkeypatch.setattr(desk.person, "agrees", declined_elsewhere)
    assert desk.types("approve") == 5
    assert "declined before" in desk.err
    assert desk.decision(approval) == (False, Consent.PAGE)


def test_a_warning_is_not_pushed_off_the_screen(desk: Desk) -> None:
    desk.asked()
    desk.person.answers, desk.person.height = [None], 8
    assert desk.types("approve") == 5
    assert "! It is [31murgent." in desk.person.shown[-2]
    assert "Reaches: +1 415-555-0100" in desk.person.shown[-2]


@pytest.mark.parametrize("argv", [["approve"], ["approve", "0"], ["mandates", "add", "--purpose", "x"]])
def test_without_a_person_nothing_is_agreed_to(desk: Desk, argv: list[str]) -> None:
    approval = desk.asked()
    assert desk.types(*argv) == 2
    assert NOBODY in " ".join(desk.err.split())
    assert desk.decision(approval) == (None, Consent.NONE)
    assert desk.recorder.requests == []


def test_json_lists_and_decides_nothing(desk: Desk) -> None:
    approval = desk.asked()
    for somebody in (False, True):
        desk.person.answers = [] if somebody else None
        assert desk.types("approve", approval.id[:8], "--json") == 0
        (told,) = desk.json()["open"]
        assert told["open_until"].startswith("20")
        assert {name: told[name] for name in ("id", "account", "tool", "title", "warnings", "facts")} == {
            "id": approval.id,
            "account": OTHER,
            "tool": QUESTION.tool,
            "title": QUESTION.title,
            "warnings": list(QUESTION.warnings),
            "facts": [{"label": label, "value": value} for label, value in QUESTION.facts],
        }
    assert desk.decision(approval) == (None, Consent.NONE)
