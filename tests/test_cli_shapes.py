"""Answers laid out for people: whole, wrapped, and harmless to a terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kallyai_mcp.catalog import all_commands
from kallyai_mcp.cli.output import console
from kallyai_mcp.cli.shapes import laid_out
from kallyai_mcp.cli.text import visible
from kallyai_mcp.engine.result import as_object
from kallyai_mcp.examples import Example, examples_of

ANSWERS = [
    pytest.param(example, id=f"{command.tool}-{number}")
    for command in all_commands()
    for number, example in enumerate(examples_of(command))
    if isinstance(example["answer"], dict)
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CALL = {"id": "c_1", "status": "busy", "note": "They asked to be called again on Friday morning", "rate": 1.5}


class Terminal(io.StringIO):
    """A terminal that keeps what is printed."""

    def isatty(self) -> bool:
        return True


def printed(data: dict[str, Any], width: int, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    screen = console(stream)
    screen.width = width
    screen.print(laid_out(data, width))
    return stream.getvalue()


def lines(data: dict[str, Any], width: int = 80) -> list[str]:
    return [line.rstrip() for line in printed(data, width).splitlines()]


@pytest.mark.parametrize("example", ANSWERS)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_sample_answer_fits_its_terminal(example: Example, width: int) -> None:
    text = printed(as_object(example["answer"]), width)
    assert text.strip()
    assert max(len(line) for line in text.splitlines()) <= width


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_any_answer_can_be_printed_and_moves_no_cursor(data: dict[str, Any]) -> None:
    text = printed(data, 80)
    assert visible(text) == text


def test_control_characters_never_reach_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    text = printed({"a\x1b[2Jb": "x\x1b]0;title\x07y\x9b1mz\r\u202ew", "items": [{"id": "\x1b[A"}]}, 80, Terminal())
    assert not set(text) & set("\x07\x9b\r\u202e")
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text
    assert "\x1b[A" not in text


def test_markup_in_an_answer_is_text() -> None:
    assert lines({"note": "[bold]no[/bold] :smile:"}) == ["Note  [bold]no[/bold] :smile:"]


def test_no_colour_without_a_terminal_and_none_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in printed(CALL, 80)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[3" not in printed({"items": [CALL], "error": "x"}, 80, Terminal())


def test_object_is_facts_with_units_and_plain_words() -> None:
    data = {"duration_seconds": 96.0, "is_urgent": False, "next_steps": None, "created_at": "2026-04-09T10:31:00Z"}
    assert lines(data | {"tags": ["a", "b"], "parts": []}) == [
        "Duration    96 s",
        "Is urgent   no",
        "Next steps  -",
        "Created at  2026-04-09 10:31 UTC",
        "Tags        a, b",
        "Parts       none",
    ]


def test_list_of_objects_is_a_table() -> None:
    assert lines({"calls": [CALL, CALL | {"id": "c_2", "rate": 10}]}) == [
        "ID   Status  Note                                             Rate",
        "──────────────────────────────────────────────────────────────────",
        "c_1  busy    They asked to be called again on Friday morning   1.5",
        "c_2  busy    They asked to be called again on Friday morning    10",
    ]


def test_rows_of_few_fields_that_are_too_wide_stand_below_one_another() -> None:
    wide = {"id": "c_1", "address": "x" * 50}
    assert lines({"calls": [wide, wide]}, 40)[:3] == ["ID       c_1", f"Address  {'x' * 31}", f"         {'x' * 19}"]


def test_many_rows_keep_their_identifiers_whole_and_say_what_is_left_out() -> None:
    rows = [{"id": f"c_{n:030}", "extra": "y" * 30, "status": "busy", "title": "A call"} for n in range(5)]
    shown = lines({"calls": rows}, 60)
    assert [row["id"] in line for row, line in zip(rows, shown[2:7], strict=True)] == [True] * 5
    assert shown[-1] == "Left out: extra. --json shows everything."


def test_transcript_is_a_dialogue() -> None:
    turns = [
        {"speaker": "AI", "content": "Good evening, until when is your kitchen open?", "timestamp": "00:03"},
        {"speaker": "HUMAN", "content": "Until half past ten.", "timestamp": "00:08"},
    ]
    assert lines({"entries": turns}, 50) == [
        "00:03  Assistant  Good evening, until when is your",
        "                  kitchen open?",
        "00:08  Person     Until half past ten.",
    ]


def test_goals_within_goals_are_a_tree() -> None:
    leaf: dict[str, Any] = {"id": "g_2", "title": "Hotel near the river", "children": []}
    assert lines({"id": "g_1", "title": "Weekend in Porto", "children": [leaf]}) == [
        "Weekend in Porto  id g_1",
        "└── Hotel near the river  id g_2",
    ]


def test_objects_of_one_shape_under_names_are_a_table() -> None:
    plans = {"starter": {"credits": 200, "price": 19}, "pro": {"credits": 600, "price": 49}}
    assert [line.split() for line in lines({"plans": plans}) if "─" not in line] == [
        ["Credits", "Price"],
        ["starter", "200", "19"],
        ["pro", "600", "49"],
    ]
