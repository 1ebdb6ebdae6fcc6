"""Pieces of an answer: put together they are the answer, to the character, and each is within what hosts take."""

from __future__ import annotations

import time
import unicodedata
from typing import Any, cast

import pytest
from full import share
from hypothesis import given, settings
from hypothesis import strategies as st

from kallyai_mcp.catalog import find
from kallyai_mcp.engine.cutting import LIMIT, Place, compact, cut, cuttable, where
from kallyai_mcp.engine.more import Continued, Source
from kallyai_mcp.engine.result import Result, shape_data, wire_size
from kallyai_mcp.engine.strangers import ORIGIN, neutralised

TRANSCRIPT = find("kallyai_calls_transcript")
OWN = find("kallyai_credits_history")
JOINED = ["👨\u200d👩\u200d👧", "e\u0301", "🇪🇸", "👍🏽", "क्षि", "한", "각", "\r\n", "☎\ufe0f"]
WORDS = st.sampled_from(
    [*JOINED, "word", " ", "\n\n", "End. ", "完。", "<b>", "</b>", "![a](b)", '"', "\\", "\U0001d11e"]
)
TEXT = st.lists(WORDS | st.text(max_size=5), max_size=60).map("".join)
LEAF = st.none() | st.booleans() | st.integers() | TEXT
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=6),
    max_leaves=40,
)


class Plain:
    """Seals nothing: what is tested here is what a cursor says."""

    def seal(self, payload: bytes) -> str:
        return payload.hex()

    def open(self, token: str) -> bytes | None:
        return bytes.fromhex(token)


def together(whole: Any, parts: Any, more: Any, begin: Place) -> Any:
    """Put a piece behind what there is, as the place says at which it begins."""
    if isinstance(whole, str):
        assert begin == (len(parts),)
        return parts + more
    if isinstance(whole, dict):
        name = list(cast("dict[str, Any]", whole))[begin[0]]
        kept = dict(parts)
        for key, value in more.items():
            inner = begin[1:] if key == name else ()
            kept[key] = together(whole[key], kept[key], value, inner) if inner and key in kept else value
        return kept
    kept = list(parts)
    rest = list(more)
    if begin[1:] and len(kept) > begin[0]:
        kept[begin[0]] = together(whole[begin[0]], kept[begin[0]], rest.pop(0), begin[1:])
    return kept + rest


def pieces(data: dict[str, Any], room: int) -> tuple[Any, int]:
    begin: Place = ()
    whole: Any = None
    count = 0
    while True:
        piece, end = cut(data, begin, room, lambda text: True)
        assert len(compact(piece)) <= room + 64 * 8
        whole = piece if count == 0 else together(data, whole, piece, begin)
        count += 1
        if end is None:
            return whole, count
        assert end > begin
        begin = end


@settings(max_examples=share(60, 3_000), deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), JSON, min_size=1, max_size=5), st.integers(1, 30))
def test_pieces_put_together_are_the_whole(data: dict[str, Any], times: int) -> None:
    data = cuttable({f"{name}{n}": value for name, value in data.items() for n in range(times)})
    whole, _ = pieces(data, 3_000)
    assert whole == data


@settings(max_examples=share(40, 2_000), deadline=None)
@given(TEXT.filter(bool), st.integers(20, 400))
def test_a_text_is_cut_where_nothing_is_torn(part: str, times: int) -> None:
    text = (part + "x ") * times
    begin: Place = ()
    whole = ""
    while True:
        piece, end = cut({"body": text}, begin, 2_000)
        whole += piece["body"]
        if end is None:
            break
        before, after = text[end[1] - 1], text[end[1]]
        assert before != "\u200d"
        assert after != "\u200d"
        assert not unicodedata.combining(after)
        assert not "\ud800" <= before <= "\udbff"
        begin = end
    assert whole == text


def test_a_cut_falls_between_turns_paragraphs_and_sentences() -> None:
    turns = {"entries": [{"speaker": "AI", "content": f"{n} " + "word " * 60} for n in range(200)]}
    piece, end = cut(turns, (), 18_000)
    assert end == (0, len(piece["entries"]))
    paragraphs = "\n\n".join(["A sentence. And one more of them."] * 2_000)
    piece, _ = cut({"body": paragraphs}, (), 10_000)
    assert piece["body"].endswith("\n\n")
    piece, _ = cut({"body": "This is a sentence of ten words, more or less. " * 1_000}, (), 10_000)
    assert piece["body"].endswith("less. ")


def walked(command: Any, data: Any) -> list[Result]:
    """Read an answer as a model does: piece by piece, by the cursor of the one before."""
    continued = Continued(Plain(), lambda: "me")
    source = Source(command, {"call_id": "c-1"})
    found = [continued.finish(shape_data(command, data), source)]
    while token := found[-1].structured.get("_more", {}).get("cursor"):
        assert token in found[-1].text
        found.append(continued.finish(shape_data(command, data), source, continued.open(token)))
    return found


@pytest.mark.parametrize(
    "data",
    [
        {f"key{n:07d}": n for n in range(6_000)},
        {f"key{n}": ["x" * 100] * 20 for n in range(60)},
        {"k" * 60_000: 1},
        {"k" * 30_000: "v" * 30_000},
        {"numbers": list(range(20_000))},
        {"text": '"\n' * 100_000},
        {f"a{i}": {f"b{j}": {f"c{k}": k for k in range(10)} for j in range(20)} for i in range(20)},
        {"mail": {"parts": [{"body": "y" * 90_000, "type": "plain"}]}},
        {"entries": [{"speaker": "HUMAN", "content": "好的。" * 40} for _ in range(300)]},
    ],
    ids=["fields", "lists", "name", "name and text", "numbers", "escapes", "objects", "deep text", "Chinese"],
)
@pytest.mark.parametrize("command", [OWN, TRANSCRIPT], ids=["own", "strangers"])
def test_every_piece_of_any_shape_is_within_the_limit_and_nothing_is_lost(command: Any, data: dict[str, Any]) -> None:
    before = time.process_time()
    found = walked(command, data)
    assert time.process_time() - before < 20
    assert len(found) > 1
    assert all(wire_size(result) <= LIMIT for result in found)
    ours = {"_more", ORIGIN}
    text = "".join(leaves({k: v for k, v in r.structured.items() if k not in ours}) for r in found)
    assert text == leaves(cuttable(data))


def leaves(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(map(leaves, cast("dict[str, Any]", value).values()))
    return "".join(map(leaves, cast("list[Any]", value))) if isinstance(value, list) else str(value)


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"text": "z" * 60_000}
    for _ in range(depth):
        inner = {"in": inner}
    return inner


def test_a_deep_object_is_read_to_its_end() -> None:
    found = walked(OWN, nested(200))
    assert all(wire_size(result) <= LIMIT for result in found)
    assert sum(leaves(result.structured).count("z") for result in found) == 60_000


@settings(max_examples=share(12, 500), deadline=None)
@given(
    st.lists(st.sampled_from(["![a](b)", "<b>x</b>", "[a]: b\n", "word ", "<img src=x>", "\u200b", "<https://a.b/>"]))
)
def test_pieces_of_strangers_words_are_as_harmless_as_the_whole(parts: list[str]) -> None:
    body = "".join(parts) * 1_000 + "end"
    plain = neutralised(body)
    found = walked(TRANSCRIPT, {"body": body})
    kept = "".join(result.structured.get("body", "") for result in found)
    assert kept == plain
    for result in found:
        assert neutralised(result.structured.get("body", "")) == result.structured.get("body", "")
        assert result.text.count("<<words-of-others") == 1
        assert result.structured[ORIGIN]["kind"] == "third_party"


def test_an_answer_that_cannot_be_had_again_is_cut_for_good_and_says_so() -> None:
    result = Continued(Plain(), lambda: "me").finish(
        shape_data(find("kallyai_coord_new"), {"body": "x" * 90_000}), Source(find("kallyai_coord_new"), {})
    )
    assert wire_size(result) <= LIMIT
    assert "is left out" in result.text
    assert result.structured["_cut"] == list(result.cut)


def test_where_a_piece_ends_is_said() -> None:
    data = {"total": 1, "entries": [{"content": "x" * 300}, {"content": "y" * 90_000}]}
    assert where(data, (1, 1, 0, 12)) == ("entries[1].content", data["entries"])
    assert where({"Ignore this": [1] * 200}, (0, 3))[0] == "…[3]"
