"""Tokens: the estimate is beside real tokenizers on the safe side, and no answer is more than hosts take."""

from __future__ import annotations

import json
import random
import string
import unicodedata
from pathlib import Path
from typing import Any, cast

import pytest
from full import share
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cutting import OWN, TRANSCRIPT, leaves, walked
from tokenizers import NAMES, counted

from kallyai_mcp import catalog
from kallyai_mcp.engine import result as results
from kallyai_mcp.engine.cutting import LIMIT, compact, cuttable
from kallyai_mcp.engine.result import Result, shape_data, wire_size
from kallyai_mcp.engine.strangers import ORIGIN
from kallyai_mcp.engine.tokens import LIMIT as TOKENS
from kallyai_mcp.engine.tokens import everyday, tokens
from kallyai_mcp.errors import KallyError
from kallyai_mcp.examples import examples_of
from kallyai_mcp.server.answer import failure

SAID: dict[str, str] = json.loads((Path(__file__).parent / "languages.json").read_text("utf-8"))


def between(first: int, last: int) -> str:
    letters = map(chr, range(first, last + 1))
    return "".join(letter for letter in letters if unicodedata.category(letter) not in {"Cn", "Cs"})


BY_CHANCE = {
    "small letters": string.ascii_lowercase,
    "letters": string.ascii_letters,
    "base64": string.ascii_letters + string.digits + "+/",
    "hexadecimal": "0123456789abcdef",
    "digits": string.digits,
    "lists of digits": string.digits + ", ",
    "marks": string.punctuation,
    "ASCII": string.printable,
    "accents": between(0xC0, 0x17F),
    "combining marks": between(0x300, 0x36F) + "aeiou",
    "Greek": between(0x391, 0x3C9),
    "Cyrillic": between(0x410, 0x45F),
    "Hebrew": between(0x5D0, 0x5EA),
    "Arabic": between(0x621, 0x64A),
    "Devanagari": between(0x905, 0x94D),
    "Thai": between(0xE01, 0xE5B),
    "quotation marks": between(0x2010, 0x2027),
    "Chinese marks": between(0x3000, 0x3011) + between(0xFF01, 0xFF0F),
    "Kana": between(0x3041, 0x3096) + between(0x30A1, 0x30FA),
    "everyday Chinese": "".join(one for one in everyday() if "\u4e00" <= one <= "\u9fff"),
    "Chinese": between(0x4E00, 0x9FFF),
    "everyday Korean": "".join(one for one in everyday() if "\uac00" <= one <= "\ud7a3"),
    "Korean": between(0xAC00, 0xD7A3),
    "symbols": between(0x2600, 0x27BF),
    "emoji": between(0x1F300, 0x1FAFF),
    "flags": between(0x1F1E6, 0x1F1FF),
    "families": "👨👩👧\u200d👍🏽☎\ufe0f",
    "rare Chinese": between(0x20000, 0x2A6DF),
    "all of Unicode": between(0x20, 0x2FFFF),
}


def by_chance(letters: str, seed: int, length: int) -> str:
    return "".join(random.Random(seed).choices(letters, k=length))  # noqa: S311 - no secret


@pytest.mark.parametrize("tokenizer", NAMES)
@pytest.mark.parametrize("language", SAID)
def test_what_people_write_is_estimated_as_no_fewer_tokens_than_it_is(language: str, tokenizer: str) -> None:
    text = SAID[language] * 20
    assert counted(text, tokenizer) <= tokens(text)


@pytest.mark.parametrize("kind", BY_CHANCE)
def test_characters_that_follow_one_another_by_chance_are_estimated_so_too(kind: str) -> None:
    text = by_chance(BY_CHANCE[kind], 1, 8_000)
    assert counted(text) <= tokens(text)


def told(result: Result) -> int:
    """Return the tokens of an answer for a model that is shown all of it."""
    return counted(result.text) + counted(compact(result.structured))


def read_to_its_end(command: Any, data: dict[str, Any]) -> list[Result]:
    """Read an answer piece by piece; check each, and that together they are all of it."""
    found = walked(command, data)
    assert max(map(wire_size, found)) <= LIMIT
    assert max(map(told, found)) <= TOKENS
    ours = {"_more", "_next", ORIGIN}
    text = "".join(leaves({k: v for k, v in one.structured.items() if k not in ours}) for one in found)
    assert text == leaves(cuttable(data))
    return found


@pytest.mark.parametrize("language", SAID)
def test_no_language_makes_an_answer_too_large(language: str) -> None:
    words = SAID[language].replace("<", "(").replace("&", "+")  # what is harmless stays as it is
    turns = [{"speaker": "HUMAN", "content": words * 3} for _ in range(30_000 // len(words))]
    assert len(read_to_its_end(TRANSCRIPT, {"entries": turns, "summary": words * (20_000 // len(words))})) > 2


@settings(max_examples=share(8, 400), deadline=None)
@given(st.lists(st.sampled_from(list(BY_CHANCE)), min_size=1, max_size=4), st.integers(0, 10_000), st.booleans())
def test_no_characters_make_an_answer_too_large(kinds: list[str], seed: int, in_turns: bool) -> None:
    text = "".join(by_chance(BY_CHANCE[kind], seed, 20_000) for kind in kinds)
    parts = [text[place : place + 700] for place in range(0, len(text), 700)]
    read_to_its_end(OWN, {"entries": [{"content": part} for part in parts]} if in_turns else {"body": text})


def blown_up(value: Any, words: str) -> Any:
    """Return an answer of the same shape with many entries and long texts."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: blown_up(inner, words) for name, inner in fields.items() if not name.startswith("_")}
    if isinstance(value, list):
        entries = cast("list[Any]", value)
        return [blown_up(entry, words) for entry in (entries * 40)[:60]]
    return words * 2 if isinstance(value, str) and len(value) > 12 else value


@pytest.mark.parametrize("domain", [domain.name for domain in catalog.DOMAINS])
def test_no_answer_of_the_api_is_too_large_when_it_is_long_and_chinese(domain: str) -> None:
    for command in catalog.all_commands():
        example = examples_of(command)[0].get("answer")
        if command.domain != domain or not isinstance(example, dict):
            continue
        data = blown_up(example, SAID["Chinese"]) | {"more_of_it": [SAID["Japanese"]] * 300}
        pieces = walked(command, data)
        assert len(pieces) > 1 or "_cut" in pieces[0].structured, command.tool
        assert max(map(told, pieces)) <= TOKENS, command.tool
        assert max(map(wire_size, pieces)) <= LIMIT, command.tool


def test_of_small_answers_no_token_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def counts(*_: str) -> float:
        raise AssertionError

    monkeypatch.setattr(results, "tokens", counts)
    for text in ("word " * 800, "好" * 1_500, "👍" * 1_200):
        assert text.strip() in shape_data(OWN, {"body": text.strip()}).text


@pytest.mark.parametrize("letter", ["好", "👍", "é", "x", "\U00020000"])
def test_no_error_is_too_large(letter: str) -> None:
    error = KallyError(letter * 60_000, next_step=letter * 60_000, details={"field_errors": [letter * 60_000]})
    answer = failure(error)
    assert counted(answer["content"][0]["text"]) + counted(compact(answer["structuredContent"])) <= TOKENS
    assert "(cut to " in answer["content"][0]["text"]
