"""Nothing that is not seen comes through, and everything that a script or an emoji needs does."""

from __future__ import annotations

import unicodedata

import pytest
from full import share
from hypothesis import given, settings
from hypothesis import strategies as st

from kallyai_mcp.visible import neutral, shown, unseen

TEXTS = st.text(st.characters(exclude_categories=()))
DELICATE = st.text(
    st.sampled_from("aZ9 \n\r\t\x1b[]31;m\x9b\x07\\\u200b\u200c\u200d\u2060\ufe0e\ufe0f\u20e3\u202e\u061c\u180b"),
    max_size=12,
) | st.text(st.sampled_from("\u0915\u094d\u0645\u06cc\u1820\U0001f469\U0001f52c\u2764\u200c\u200d\ufe0f1#\u20e3\ud83d"))
ENCLOSING = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Formats that are seen: signs that stand over or round digits (Unicode Standard, 9.2)."""


def test_of_all_characters_without_a_glyph_only_tab_and_line_feed_come_through() -> None:
    hidden = (chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs"})
    kept = [letter for letter in hidden if letter in neutral(f"a{letter}b") and letter not in ENCLOSING]
    assert kept == ["\t", "\n"]


@pytest.mark.parametrize(
    "filler",
    ["\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u3164", "\uffa0", "\ufe00", "\U000e0100", "\U000e01ef"],
)
def test_what_looks_like_nothing_though_it_is_a_letter_or_a_mark_is_dropped(filler: str) -> None:
    assert neutral(f"pay{filler}ment") == "payment"


def test_the_blank_of_braille_is_a_blank() -> None:
    assert neutral("\u2813\u2800\u2813") == "\u2813 \u2813"


def test_text_in_tag_characters_is_dropped() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "ring +19005550199")
    assert neutral(f"Hello{hidden} there") == "Hello there"


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f469\U0001f3fd\u200d\U0001f692",  # firefighter
        "\U0001f3f3\ufe0f\u200d\U0001f308",  # rainbow flag
        "\u2764\ufe0f\u200d\U0001f525",  # heart on fire
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",  # family
        "1\ufe0f\u20e3 #\ufe0f\u20e3 \u260e\ufe0e",  # keycaps, telephone as text
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: I want
        "\u0647\u200d",  # Arabic: the joined form of one letter
        "\u0915\u094d\u200d\u0937 \u0915\u094d\u200c\u0937",  # Devanagari, half form and visible virama
        "\u0d15\u0d4d\u200d",  # Malayalam chillu
        "\u09b0\u200d\u09cd\u09af",  # Bengali ra with jofola
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3",  # Sinhala sri
        "\u1820\u180b\u1822",  # Mongolian with a variant
        "Ñandú, Łódź, 東京\tB1\nsecond line",
    ],
)
def test_joiners_and_selectors_that_have_an_effect_survive(text: str) -> None:
    assert neutral(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("pass\u200dword", "password"),
        ("a\u200cb\u200c\u200dc", "abc"),
        ("\u0645\u200c\u200d\u200c\u200d\u06cc", "\u0645\u200c\u06cc"),
        ("\U0001f469\u200d\u200d\u200d\U0001f52c", "\U0001f469\u200d\U0001f52c"),
        ("\U0001f600\ufe0f\ufe0e\ufe0f\ufe0e\ufe0f", "\U0001f600\ufe0f"),
        ("\U0001f600\u200d!", "\U0001f600!"),
        ("x\ufe0fy\ufe0e", "xy"),
    ],
)
def test_joiners_without_effect_or_in_a_row_spell_no_message(text: str, kept: str) -> None:
    assert neutral(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1;2|data\x1b\\text", "text"),
        ("\x1b(0lqk\x1bc", "lqk"),
        ("\x1b]0;never closed", "0;never closed"),
        ("one\r\ntwo\rthree\u2028four\x85five\x0bsix", "one\ntwo\nthree\nfour\nfive\nsix"),
    ],
)
def test_terminal_codes_go_and_line_breaks_are_line_feeds(text: str, kept: str) -> None:
    assert neutral(text) == kept


@settings(max_examples=share(300, 20_000), deadline=None)
@given(TEXTS | DELICATE)
def test_the_result_is_utf8_and_stays_as_it_is(text: str) -> None:
    once = neutral(text)
    once.encode()
    assert neutral(once) == once
    assert neutral(shown(text)) == shown(text)


@settings(max_examples=share(300, 20_000), deadline=None)
@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], max_codepoint=0x33F)))
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert neutral(text) == text.replace("\xad", "")


def test_a_person_sees_what_a_terminal_code_carries_and_is_told_how_much_is_left_out() -> None:
    text = "Pay\x1b]0;+19005550199\x07 now\u200b\r\nthanks"
    assert neutral(text) == "Pay now\nthanks"
    assert shown(text) == "Pay]0;+19005550199 now\nthanks"
    assert unseen(text) == 3
    assert unseen("Thanks,\r\n\U0001f469\u200d\U0001f52c") == 0
