"""Answers stay within what hosts take, and say what was left out."""

import json
from typing import Any

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
@given(st.dictionaries(st.text(min_size=1, max_size=8), JSON, min_size=1, max_size=6))
def test_whatever_the_answer_the_fitted_one_is_smaller_or_the_same(data: dict[str, Any]) -> None:
    fitted, notes = fit(data, limit=2_000)
    assert (fitted == data) == (not notes)
    if not notes:
        assert size(fitted) <= 2_000
