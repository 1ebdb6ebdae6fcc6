"""Every command of the catalog can be typed: its words, its arguments, its help."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest
from cli_world import FakeProgram

from kallyai_mcp.catalog import all_commands
from kallyai_mcp.cli import run
from kallyai_mcp.cli.arguments import typed_arguments
from kallyai_mcp.cli.running import SIGNING_IN
from kallyai_mcp.cli.words import typed_words
from kallyai_mcp.examples import Example, examples_of

if TYPE_CHECKING:
    from kallyai_mcp.model import Command

COMMANDS = [pytest.param(command, id=command.tool) for command in all_commands()]
EXAMPLES = [
    pytest.param(command, example, id=f"{command.tool}-{number}")
    for command in all_commands()
    for number, example in enumerate(examples_of(command))
    if command.name not in SIGNING_IN
]


@pytest.fixture(autouse=True)
def _logging_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kallyai_mcp.logs.configure", str)


def arguments_of(*words: str) -> dict[str, Any]:
    program = FakeProgram()
    assert run(["run", *words], program) == 0
    ((_, arguments),) = program.runs
    return arguments


@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_typed_example_leads_to_exactly_its_arguments(command: Command, example: Example) -> None:
    program = FakeProgram()
    typed = typed_words(command, example["arguments"])
    assert run(["run", *command.words, *typed], program) == 0
    assert program.runs == [(command.name, example["arguments"])]


@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_words_may_stand_before_the_options(command: Command, example: Example) -> None:
    """The examples above are typed with the options first."""
    with_options = {typed.name for typed in typed_arguments(command) if typed.options}
    arguments = example["arguments"]
    words = typed_words(command, {name: value for name, value in arguments.items() if name not in with_options})
    options = typed_words(command, {name: value for name, value in arguments.items() if name in with_options})
    if "--" in words:
        return
    program = FakeProgram()
    assert run(["run", *command.words, *words, *options], program) == 0
    assert program.runs == [(command.name, arguments)]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_every_argument(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", *command.words, "--help"], FakeProgram()) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: kallyai-mcp run {command.name}")
    assert f"kallyai-mcp run {command.name}" in text.split("examples:")[1]
    for typed in typed_arguments(command):
        assert typed.shown in text
        assert all(choice in text for choice in typed.choices)
    if command.name != "mandate":  # which is given the names of tools
        assert "kallyai_" not in text, "people at a terminal type commands, not tools"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_and_none_with_an_option_that_lacks_its_value(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = {typed.options[-1] for typed in typed_arguments(command) if typed.is_list and typed.options}
    assert run(["run", *command.words, "--help"], FakeProgram()) == 0
    shown = capsys.readouterr().out.partition("examples:\n")[2].partition("\n\n")[0].splitlines()
    assert shown
    for line in shown:
        words = shlex.split(line)
        bare = [word for word, after in zip(words, [*words[1:], "--"], strict=True) if after.startswith("--")]
        assert not lists.intersection(bare), line


@pytest.mark.parametrize("command", COMMANDS)
def test_option_names_are_unique_and_argparse_takes_them(command: Command) -> None:
    options = [option for typed in typed_arguments(command) for option in typed.options]
    assert len(options) == len(set(options))
    assert not {"--json", "--help", "-h"} & set(options)


def test_no_command_is_the_beginning_of_another() -> None:
    words = [command.words for command in all_commands()]
    assert not [(a, b) for a in words for b in words if a != b and b[: len(a)] == a]


def test_words_keep_their_blanks_and_options_may_follow_or_interrupt_them() -> None:
    assert arguments_of("ask", "Book  a table", "for", "two") == {"message": "Book  a table for two"}
    expected = {"message_id": "m_1", "instructions": "say yes"}
    assert arguments_of("email", "respond", "m_1", "--json", "say", "yes") == expected
    assert arguments_of("email", "respond", "m_1", "say", "--json", "yes") == expected


def test_after_two_dashes_everything_is_words() -> None:
    assert arguments_of("ask", "--", "-5", "--json", "degrees") == {"message": "-5 --json degrees"}


def test_empty_text_false_zero_and_the_empty_list_can_be_typed() -> None:
    given = arguments_of("inbound", "update-rule", "r_1", "--priority", "0", "--no-is-active", "--name", "")
    assert given == {"rule_id": "r_1", "priority": 0, "is_active": False, "name": ""}
    assert arguments_of("calls", "make", "--additional-instructions") == {"additional_instructions": []}


def test_what_is_no_number_and_no_json_is_left_to_the_declaration() -> None:
    huge = "9" * 5000
    assert arguments_of("calls", "history", "--limit", "ten", "--offset", huge) == {"limit": "ten", "offset": huge}
    assert arguments_of("actions", "bill", "analyze", "--amount", "nan")["amount"] == "nan"
    given = arguments_of("inbound", "add-rule", "--conditions", "{oops", "--action-config", '{"a": [1, null]}')
    assert given == {"conditions": "{oops", "action_config": {"a": [1, None]}}


def test_value_outside_an_enumeration_is_left_to_the_declaration() -> None:
    assert arguments_of("calls", "make", "--category", "zoo") == {"category": "zoo"}
    assert arguments_of("subscription", "change-plan", "gold") == {"plan": "gold"}


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["nonsense"], "lists the commands"),
        (["calls", "mak"], "Did you mean 'kallyai-mcp run calls make'?"),
        (["make"], "'kallyai-mcp run calls make'"),
        (["calls", "history", "--limt", "3"], "Did you mean --limit?"),
        (["calls", "info", "c_1", "c_2"], "has no argument 'c_2'"),
        (["calls", "history", "--limit"], "--limit"),
    ],
)
def test_wrong_word_is_refused_with_what_was_meant(
    typed: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program = FakeProgram()
    assert run(["run", *typed], program) == 2
    out, err = capsys.readouterr()
    assert (out, program.runs) == ("", [])
    assert hint in " ".join(err.split())


def test_domain_typed_without_run_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calls", "make"], FakeProgram()) == 2
    assert "Did you mean 'kallyai-mcp run calls'?" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("typed", [["run"], ["run", "calls"], ["run", "actions", "calendar"]])
def test_domain_alone_lists_its_commands(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(typed, FakeProgram()) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: kallyai-mcp {' '.join(typed)} COMMAND")
    for command in all_commands():
        if command.words[: len(typed) - 1] == tuple(typed[1:]):
            assert f"\n  {command.words[len(typed) - 1]} " in out
