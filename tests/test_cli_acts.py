"""Acts that are run from the terminal: asked about there, sent once, and told with what is to be known of them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest
from cli_acts_world import CALL, CTRL_C, NUMBER, Desk, sitting
from recorder import Reply, answer

from kallyai_mcp.cli.groups import OVERSIGHT
from kallyai_mcp.cli.parser import parse

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ANSWER = {"call_id": "c_1", "status": "success", "credits_used": 1.3}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Generator[Desk]:
    with sitting(tmp_path, monkeypatch, capsys) as desk:
        desk.recorder.answers(answer(ANSWER))
        yield desk


def test_person_who_agrees_has_it_sent_once_and_recorded_as_theirs(desk: Desk) -> None:
    desk.person.answers = [True]
    assert desk.types(*CALL, "--json") == 0
    assert len(desk.calls()) == 1
    told = desk.json()
    assert {name: told[name] for name in ANSWER} == ANSWER
    assert told["_act"]["agreed"] == "a person, in a terminal"
    (key,) = desk.calls()[0].header("Idempotency-Key")
    assert told["_act"]["id"] == key


def test_person_sees_whom_and_what_before_anything_is_sent(desk: Desk) -> None:
    desk.person.answers = [False]
    assert desk.types(*CALL) == 5
    question = desk.person.shown[0]
    for part in ("+1 415-555-0117", "Ask until when the kitchen is open", "May cost", "Can be undone", "calls make"):
        assert part in question
    assert desk.calls() == []
    assert desk.err == "Error: You declined. Nothing was sent.\nThe same is not asked again for some minutes.\n"


def test_declining_holds_for_a_repeat_without_another_question(desk: Desk) -> None:
    desk.person.answers = [False]
    assert desk.types(*CALL) == 5
    assert desk.types(*CALL, "--json") == 5
    assert desk.error()["code"] == "approval_declined"
    assert desk.calls() == []


def test_no_answer_leaves_the_question_open(desk: Desk) -> None:
    desk.person.answers = [None]
    assert desk.types(*CALL, "--json") == 5
    error = desk.error()
    assert error["code"] == "approval_required"
    assert f"kallyai-mcp approve {error['approval'][:8]}" in error["next_step"]
    assert [approval.id for _, approval in desk.journal(lambda journal: journal.pending())] == [error["approval"]]
    assert desk.calls() == []


def test_interrupted_at_the_question_nothing_was_sent(desk: Desk) -> None:
    desk.person.answers = [CTRL_C]
    assert desk.types(*CALL) == 130
    assert desk.err == ("Nothing was sent, and nothing was decided: the question waits for its end.\nInterrupted.\n")
    assert desk.calls() == []


def test_without_a_terminal_it_is_refused_and_can_be_approved_from_one(desk: Desk) -> None:
    assert desk.types(*CALL, "--json") == 5
    error = desk.error()
    assert (error["code"], error["outcome"]) == ("approval_required", "not_sent")
    desk.person.answers = [True]
    assert desk.types("approve", error["approval"][:8]) == 0
    desk.person.answers = None
    assert desk.types(*CALL, "--json") == 0
    assert len(desk.calls()) == 1


def test_an_approval_is_used_up(desk: Desk) -> None:
    desk.person.answers = [True]
    assert desk.types(*CALL) == 0
    desk.person.answers = None
    assert desk.types(*CALL, "--repeat-of", _act_of(desk), "--json") == 5
    assert desk.error()["code"] == "approval_required"
    assert len(desk.calls()) == 1


def test_approval_off_asks_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLYAI_APPROVAL", "off")
    assert desk.types(*CALL, "--json") == 0
    assert desk.json()["_act"]["agreed"] == "nobody (approval: off)"
    assert len(desk.calls()) == 1


def test_the_same_again_is_not_sent_and_says_how_another_is_had(desk: Desk) -> None:
    assert desk.types("--approval", "off", *CALL) == 0
    act = _act_of(desk)
    assert desk.types("--approval", "off", *CALL) == 0
    assert "Not done again. Exactly this was done before" in desk.out
    assert f"--repeat-of {act}" in " ".join(desk.out.split())
    assert len(desk.calls()) == 1


def test_repeat_of_has_it_done_once_more(desk: Desk) -> None:
    assert desk.types("--approval", "off", *CALL) == 0
    desk.person.answers = [True]  # strangers' words were read with the first call's answer
    assert desk.types("--approval", "off", *CALL, "--repeat-of", _act_of(desk)) == 0
    assert len(desk.calls()) == 2
    assert "it would be done once more" in " ".join(desk.person.shown[0].split())


@pytest.mark.parametrize("argv", [["--dry-run", *CALL], [*CALL, "--dry-run"]])
def test_dry_run_shows_the_request_and_the_checks_and_sends_nothing(desk: Desk, argv: list[str]) -> None:
    assert desk.types(*argv, "--json") == 0
    told = desk.json()
    assert told["dry_run"] is True
    assert told["request"]["body"]["submission"]["respondent_phone"] == NUMBER
    assert {check["check"] for check in told["checks"]} == {
        "not stopped", "destination", "not done before", "limits", "consent",
    }  # fmt: skip
    assert desk.recorder.requests == []


def test_refusal_of_a_rule_is_status_1(desk: Desk) -> None:
    assert desk.types(*CALL[:3], "--phone", "+12025550143", *CALL[5:], "--deny-numbers", "+1202*", "--json") == 1
    assert desk.error()["outcome"] == "not_sent"
    assert desk.recorder.requests == []


def test_lost_answer_is_status_4_and_names_the_act(desk: Desk) -> None:
    desk.recorder.answers(Reply(body=b'{"call_id": "c_1"}', cut=5))
    assert desk.types("--approval", "off", *CALL, "--json") == 4
    error = desk.error()
    assert (error["outcome"], error["retry_safe"], error["act"]) == ("unknown", False, _act_of(desk))


def test_laid_out_the_act_stands_after_the_answer(desk: Desk) -> None:
    desk.recorder.answers(answer({"call_id": "c_1", "status": "in_progress"}))
    assert desk.types("--approval", "off", *CALL) == 0
    act = _act_of(desk)
    assert [line.rstrip() for line in desk.out.splitlines()] == [
        "Call ID  c_1",
        "Status   in_progress",
        "",
        "Of others: words spoken in a phone call.",
        "",
        f"Act      {act}",
        "Outcome  done",
        "Agreed   nobody (approval: off)",
        "Undo     kallyai-mcp run calls stop c_1",
        "         possible while it is in progress",
    ]


def test_json_prints_every_field_as_it_is(desk: Desk) -> None:
    assert desk.types("--approval", "off", *CALL, "--json") == 0
    first = desk.json()
    assert desk.types("--approval", "off", *CALL, "--json") == 0
    again = desk.json()
    assert first.keys() == {*ANSWER, "_act", "_origin"}
    assert again.keys() == {*ANSWER, "_act", "_origin", "_earlier"}
    assert again["_earlier"]["repeat_of"] == first["_act"]["id"]


def test_command_of_this_machine_runs_through_the_engine(desk: Desk) -> None:
    assert desk.types("--approval", "off", *CALL) == 0
    assert desk.types("run", "acts", "--json") == 0
    (act,) = desk.json()["acts"]
    assert (act["tool"], act["outcome"], act["to"]) == ("kallyai_calls_make", "done", "+1•••0117")


def test_a_read_knows_neither_option_of_an_act(desk: Desk) -> None:
    assert desk.types("run", "calls", "history", "--repeat-of", "a_1") == 2
    assert "has no option '--repeat-of'" in " ".join(desk.err.split())
    assert desk.types(*CALL[:3], "--help") == 0
    assert "--repeat-of ID" in desk.out
    assert "--dry-run" in desk.out


@pytest.mark.parametrize(
    "words", [[name] for name in OVERSIGHT] + [["audit", "export"], ["mandates", "add"]], ids=" ".join
)
def test_every_example_of_a_help_text_can_be_typed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([*words, "--help"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  kallyai-mcp ")]
    assert lines
    for line in lines:
        typed = parse(shlex.split(line.partition(" > ")[0])[1:])
        assert typed.subcommand == words[0]


def _act_of(desk: Desk) -> str:
    """Return the identifier of the newest act."""
    receipts = desk.journal(lambda journal: journal.receipts(None))
    return next(facts["act"] for receipt in reversed(receipts) if (facts := json.loads(receipt.line))["act"])
