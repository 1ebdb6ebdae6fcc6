"""Answers stay within what hosts take, and say what was left out."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kallyai_mcp.engine.fit import fit

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=8),
    max_leaves=80,
)


def size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def test_a_small_answer_is_handed_on_as_it_is() -> None:
    data = {"items": [1, 2, 3]}
    assert fit(data) == (data, ())


def test_a_long_list_is_cut_and_the_cut_is_told() -> None:
    data: dict[str, Any] = {"items": [{"id": str(i), "text": "x" * 80} for i in range(2_000)], "total": 2_000}
    fitted, notes = fit(data)
    assert size(fitted) <= 40_000
    assert fitted["total"] == 2_000
    assert fitted["items"] == data["items"][: len(fitted["items"])]
    assert notes[0] == f"items is cut to {len(fitted['items'])} of 2000 entries."
    assert fitted["_cut"] == list(notes)
    assert len(data["items"]) == 2_000


def test_a_long_text_deep_inside_is_cut_where_it_lies() -> None:
    fitted, notes = fit({"mail": {"parts": [{"body": "y" * 90_000, "type": "plain"}]}})
    assert size(fitted) <= 40_000
    assert fitted["mail"]["parts"][0]["type"] == "plain"
    assert notes[0].startswith("mail.parts[0].body is cut to ")


@settings(max_examples=200)
@given(st.dictionaries(st.text(min_size=1, max_size=8), JSON, min_size=1, max_size=6), st.integers(1, 40))
def test_whatever_the_answer_the_fitted_one_is_within_the_limit_or_the_same(data: dict[str, Any], times: int) -> None:
    data = {f"{name}{n}": value for name, value in data.items() for n in range(times)}
    fitted, notes = fit(data, limit=8_000)
    assert (fitted == data) == (not notes)
    assert size(fitted) <= 8_000


@pytest.mark.parametrize(
    "data",
    [
        {f"key{n:07d}": n for n in range(300_000)},
        {f"key{n}": ["x" * 100] * 20 for n in range(200)},
        {"k" * 60_000: 1},
        {"k" * 30_000: "v" * 30_000},
        {"numbers": list(range(1_000_000))},
        {"text": '"\n' * 1_000_000},
        {f"a{i}": {f"b{j}": {f"c{k}": k for k in range(10)} for j in range(20)} for i in range(60)},
    ],
    ids=["fields", "lists", "name", "name and text", "numbers", "escapes", "objects"],
)
def test_an_answer_of_any_shape_is_cut_to_the_limit_in_a_moment(data: dict[str, Any]) -> None:
    before = time.process_time()
    fitted, notes = fit(data)
    assert time.process_time() - before < 5  # it froze the server for a minute, so there is room enough
    assert size(fitted) + len(" ".join(notes)) <= 40_000
    assert len(notes) > 1


def test_a_fact_is_whole_or_left_out_and_never_changed() -> None:
    data = {f"credits{n}": 1_000_000 + n for n in range(5_000)}
    fitted, notes = fit(data)
    kept = {name: value for name, value in fitted.items() if name != "_cut"}
    assert kept.items() <= data.items()
    assert notes[0] == f"The answer is cut to {len(kept)} of 5000 fields."


def test_small_facts_beside_a_large_list_stay_whole() -> None:
    fitted, _ = fit({"calls": [{"id": n, "text": "z" * 500} for n in range(500)], "total": 500, "note": "n" * 3_000})
    assert (fitted["total"], fitted["note"]) == (500, "n" * 3_000)
    assert size(fitted) > 30_000
