"""Which numbers are never contacted, in whatever way they are spelled."""

from __future__ import annotations

import re
import unicodedata

import phonenumbers
import pytest
from full import share
from hypothesis import given, settings
from hypothesis import strategies as st

from kallyai_mcp.policy import normalise, numbers
from kallyai_mcp.policy.mentions import mentioned
from kallyai_mcp.policy.tolls import begins_toll
from kallyai_mcp.sandbox.numbers import NUMBERS, Outcome, TestNumber

ZEROS = "0\uff10\u0660\u06f0\u0966\u0e50\U0001d7ce\U0001fbf0"
"""Digit zero: ASCII, full width, Arabic, Persian, Devanagari, Thai, mathematical, seven-segment."""
BREAKS = ["", "", "", " ", "-", ".", "/", "\u00a0", "\u2011", "\u2013", "_", "\u00b7"]
UNSEEN = [
    "",
    "",
    "",
    "\u200b",
    "\u202a",
    "\u202e",
    "\u2066",
    "\u00ad",
    "\ufeff",
    "\ufe0f\u20e3",
    "\u3164",
    "\U000e0041",
]
TAILS = ["", "", ",,5", ";ext=12", " ext. 12", " x12", "p9", "w12w3", "#", ",1,900"]
ABROAD = ["+", "\uff0b", "\u2795", "00", "011", "tel:+", "TEL: 00", "tel:%2B", "(+", "sip:+", "wa.me/", "+00", "[+"]

EMERGENCY = ["911", "112", "999", "1911", "19115550100", "44999", "49110", "33112", "61000"]
TOLL = [
    "19005550199",
    "449098790000",
    "448712345678",
    "33899123456",
    "4990012345",
    "34803123456",
    "97912345678",
    "12129761234",
]
ELSEWHERE = [
    "881612345678",
    "870773111632",
    "8821234567890",
    "8835100012345",
    "87812345678",
    "80012345678",
    "88810123456789",
]
FICTION = [
    "12025550100",
    "447700900123",
    "442079460123",
    "61255501234",
    "61491570006",
    "33199001234",
    "33639981234",
    "493023125123",
    "34555010050",
    "353209100123",
    "46317401234",
]


@st.composite
def spelled(draw: st.DrawFn, digits: str, *, tails: bool = True) -> str:
    zero = draw(st.sampled_from(ZEROS))
    before = draw(st.sampled_from(ABROAD))
    written = "".join(chr(ord(zero) + int(digit)) for digit in digits)
    parts = [draw(st.sampled_from(UNSEEN)) + draw(st.sampled_from(BREAKS)) + digit for digit in written]
    closing = draw(st.sampled_from([")", "] ", ""])) if before[0] in "([" else ""
    at = draw(st.integers(1, len(parts)))
    tail = draw(st.sampled_from(TAILS)) if tails else ""
    return before + "".join(parts[:at]) + closing + "".join(parts[at:]) + tail


@settings(max_examples=share(60, 5_000), deadline=None)
@given(st.sampled_from(TOLL).flatmap(spelled))
def test_any_spelling_of_a_number_charged_at_a_higher_rate_is_refused_as_such(text: str) -> None:
    assert numbers.fault(normalise(text)) is numbers.TOLL


@settings(max_examples=share(60, 5_000), deadline=None)
@given(st.sampled_from(EMERGENCY).flatmap(lambda number: spelled(number, tails=False)))
def test_any_spelling_of_an_emergency_number_is_refused_as_such(text: str) -> None:
    assert numbers.fault(normalise(text)) is numbers.EMERGENCY


@settings(max_examples=share(60, 5_000), deadline=None)
@given(st.sampled_from(ELSEWHERE).flatmap(spelled))
def test_any_spelling_of_a_number_of_no_country_is_refused(text: str) -> None:
    assert numbers.fault(normalise(text)) is numbers.NETWORK


@settings(max_examples=share(60, 5_000), deadline=None)
@given(st.sampled_from(FICTION).flatmap(lambda number: st.tuples(st.just(f"+{number}"), spelled(number))))
def test_any_spelling_of_a_number_kept_for_fiction_is_that_number_and_passes(case: tuple[str, str]) -> None:
    number, text = case
    assert (normalise(text), numbers.fault(normalise(text))) == (number, None)


@settings(max_examples=share(60, 5_000), deadline=None)
@given(
    st.sampled_from(TOLL).flatmap(lambda number: spelled(number, tails=False)),
    st.sampled_from(["", ".", " for 2 people", " please"]),
)
def test_a_text_that_names_such_a_number_in_international_form_is_found_out(text: str, after: str) -> None:
    written = re.sub(r"^(?:sip:|wa\.me/)", "+", text)
    faults = [numbers.fault(number) for number in mentioned(f"Find the best price: {written}{after}")]
    assert numbers.TOLL in faults


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1-202-555-0143", "+12025550143"),
        ("+44 (0)7700 900123", "+447700900123"),
        ("+39 06 1234 5678", "+390612345678"),
        ("1-800-FLOWERS", "+18003569377"),
        ("+1 (800) FLOWERS", "+18003569377"),
        ("tel:555-0143;phone-context=+1-202", "+12025550143"),
        ("sms:+12025550143?body=hello", "+12025550143"),
        ("+1 202 555 0143;isub=12", "+12025550143"),
        ("\u4e5d\u4e00\u4e00", "911"),
        ("9,1,1", "911"),
        ("*67 1 900 555 0199", "*6719005550199"),
        ("202 555 0143", "2025550143"),
        ("0044", "0044"),
        ("no number", ""),
        ("", ""),
    ],
)
def test_a_number_is_read_as_a_dialler_would(text: str, number: str) -> None:
    assert normalise(text) == number


@pytest.mark.parametrize(
    "text", ["2025550143", "07700 900123", "12345", "*67 12025550143", "", "+", "#31#+12025550143"]
)
def test_a_number_that_names_no_country_is_refused(text: str) -> None:
    assert numbers.fault(normalise(text)) is not None


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=40) | st.text("+0123456789 -()pwx,;*#", max_size=30))
def test_any_text_at_all_is_judged_without_a_failure(text: str) -> None:
    number = normalise(text)
    numbers.fault(number)
    numbers.shown(number)
    list(mentioned(text))


LOCAL = {Outcome.EMERGENCY, Outcome.TOLL, Outcome.IMPOSSIBLE}


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.number)
def test_what_the_sandbox_refuses_by_the_numbering_plan_is_refused_here_with_the_same_code(row: TestNumber) -> None:
    fault = numbers.fault(normalise(row.number))
    is_refused = row.outcome in LOCAL or row.number.startswith("+999")
    assert (fault.code if fault else None) == (row.outcome.refusal if is_refused else None)


def _examples(kind: int) -> list[str]:
    found = ((region, phonenumbers.example_number_for_type(region, kind)) for region in phonenumbers.SUPPORTED_REGIONS)
    return [
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        for _, number in sorted(found)
        if number is not None
    ]


KINDS = phonenumbers.PhoneNumberType


@pytest.mark.parametrize("kind", [KINDS.PREMIUM_RATE, KINDS.SHARED_COST])
def test_every_country_s_numbers_charged_at_a_higher_rate_are_refused(kind: int) -> None:
    examples = _examples(kind)
    assert len(examples) > 100 - 60 * (kind == KINDS.SHARED_COST)
    assert [number for number in examples if numbers.fault(number) is not numbers.TOLL] == []


@pytest.mark.parametrize("kind", [KINDS.FIXED_LINE, KINDS.MOBILE, KINDS.TOLL_FREE, KINDS.VOIP])
def test_no_country_s_ordinary_numbers_are_refused_nor_begin_like_dear_ones(kind: int) -> None:
    for number in _examples(kind):
        parsed = phonenumbers.parse(number)
        assert numbers.fault(number) is None, number
        assert not begins_toll(parsed.country_code or 0, phonenumbers.national_significant_number(parsed)), number


def test_every_country_s_emergency_numbers_are_refused_bare_and_behind_its_code() -> None:
    for region in phonenumbers.SUPPORTED_SHORT_REGIONS:
        for number in ("112", "911", "999", "110", "119", "000", "190", "061"):
            if phonenumbers.is_emergency_number(number, region):
                code = phonenumbers.country_code_for_region(region)
                for spelling in (number, f"+{code}{number}", f"00{code}{number}", f"+{code}0{number}"):
                    assert numbers.is_emergency(normalise(spelling)), (region, spelling)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Call 911 now", ["911"]),
        ("please dial nine-one-one", ["112"]),
        ("Llama al 112 y di que hay fuego", ["112"]),
        ("rufe die 112 an", ["112"]),
        ("\uff23all \uff19\uff11\uff11", ["911"]),
        ("ca\u200bll 9\u2060-1-1", ["911"]),
        ("contact the police on 999!", ["999"]),
        ("dial 113.", ["113"]),
        ("call 001 911", ["911"]),
        ("the number +44999", ["+44999"]),
        ("ring +1 202 555 0143 2 times", ["+12025550143"]),
        ("ring 0044 20 7946 0958, 4 people", ["+442079460958"]),
        ("tel:%2B19005550199", ["+19005550199"]),
        ("a number such as +999 555 01 00 77", ["+999555010077"]),
        ("Do not call 911", []),
        ("nunca llame 112", []),
        ("call 100 people", []),
        ("a table for 112, call 911-555-0143", []),
        ("order 00123456789 of 2026-03-02T09:15:00+0000", []),
        ("it is +20 degrees, +15 people, +0.123456789", []),
    ],
)
def test_texts_are_searched_for_numbers_and_for_orders_to_phone_an_emergency_service(
    text: str, named: list[str]
) -> None:
    assert list(mentioned(text)) == named


@pytest.mark.parametrize("piece", ["+1 ", "call the ", "0 0 ", "+++++++++", "00 1-", "call 9 1 ", "tel: tel: "])
def test_a_long_text_is_searched_without_going_back_over_it_again_and_again(piece: str) -> None:
    assert list(mentioned(piece * 5_000)) == []


def test_the_alphabet_of_digits_is_the_one_of_unicode() -> None:
    assert {unicodedata.digit(zero) for zero in ZEROS} == {0}
