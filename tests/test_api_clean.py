"""Values from outside become safe to pass on, and personal data stays out of error texts."""

from __future__ import annotations

import json
import math
import sys
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kallyai_mcp.api.clean import clean, clean_text
from kallyai_mcp.api.mask import mask

TEXTS = st.text(st.characters(exclude_categories=()))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=30)


def _walk(value: Any) -> list[Any]:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        return [*items, *(x for item in items.values() for x in _walk(item))]
    if isinstance(value, list):
        return [x for item in cast("list[Any]", value) for x in _walk(item)]
    return [value]


@given(VALUES)
def test_a_cleaned_value_is_utf8_finite_and_exact(value: Any) -> None:
    for leaf in _walk(clean(value)):
        if isinstance(leaf, str):
            leaf.encode()
            assert not any(ord(c) < 32 and c not in "\t\n\r" for c in leaf)
            assert not any(0x7F <= ord(c) <= 0x9F or 0xE0000 <= ord(c) <= 0xE007F for c in leaf)
        elif isinstance(leaf, float):
            assert math.isfinite(leaf)
        elif isinstance(leaf, int):
            assert abs(leaf) < 2**53


@given(VALUES)
def test_cleaning_twice_changes_nothing_more(value: Any) -> None:
    once = clean(value)
    assert json.dumps(clean(once)) == json.dumps(once)


@given(st.recursive(st.integers(-9, 9) | st.text("aä \n🙂"), st.lists, max_leaves=9))
def test_a_clean_value_is_left_as_it_is(value: Any) -> None:
    assert clean(value) == value


def test_half_an_emoji_becomes_the_replacement_character() -> None:
    assert clean({"a\ud83d": ["b\ude00c"]}) == {"a\ufffd": ["b\ufffdc"]}


def test_what_lies_deeper_than_the_limit_becomes_null() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    shown = json.dumps(clean(deep))
    assert shown == "[" * 64 + "null" + "]" * 64


def test_a_whole_number_beyond_pythons_digits_is_still_text() -> None:
    assert str(clean(10 ** (sys.get_int_max_str_digits() + 10))).startswith("0x")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("call +15551234567 now", "call [number] now"),
        ("call (555) 123-4567.", "call [number]."),
        ("+44 20 7946 0958 is blocked", "[number] is blocked"),
        ("mail jo.doe+x@mail.example.com!", "mail [address]"),
        ("jo%40example.com", "[address]"),
        ("token kallyai_sandbox_at_abc refused", "token [secret] refused"),
        ("Bearer " + "a" * 64, "Bearer [secret]"),
        ("call 3d0f6a52-8a51-4f2c-9d7b-0c5b1e6f2a11 of 2026-03-02T09:15:00Z", None),
        ("at most 100000 letters\x1b[31m", "at most 100000 letters[31m"),
    ],
)
def test_error_texts_hold_no_number_address_or_secret(text: str, shown: str | None) -> None:
    assert mask(text) == (shown or text)


@given(st.text(max_size=50), st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_a_phone_number_is_masked_wherever_it_stands(around: str, number: str) -> None:
    assert number not in mask(around + number + around, 10_000)


def test_a_long_text_is_cut() -> None:
    assert len(mask("ab " * 1000)) == 500


def test_text_keeps_tabs_and_line_breaks() -> None:
    assert clean_text("a\tb\r\nc\x00\x85\U000e0041") == "a\tb\r\nc"
