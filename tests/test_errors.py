"""The codes of errors are a closed, documented list."""

import ast
from pathlib import Path

import pytest

from kallyai_mcp.errors import OWN_CODES, KallyError
from kallyai_mcp.model.codes import CODES
from kallyai_mcp.server.answer import failure

PACKAGE = Path(__file__).resolve().parent.parent / "kallyai_mcp"
BUILD_TIME = {"not_a_checkout", "missing_marker"}
"""Codes of the exporter, which is no part of what users run."""


def literal_codes() -> set[str]:
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if "sandbox" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found |= {
                    word.value.value
                    for word in node.keywords
                    if word.arg == "code" and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str)
                }
    return found


def kinds(of: type[KallyError]) -> list[type[KallyError]]:
    return [of, *(kind for narrower in of.__subclasses__() for kind in kinds(narrower))]


def test_every_code_that_is_written_down_is_documented() -> None:
    assert literal_codes() - BUILD_TIME <= OWN_CODES.keys() | CODES.keys()


def test_every_kind_of_error_has_a_documented_code() -> None:
    assert {kind.code for kind in kinds(KallyError)} - BUILD_TIME <= OWN_CODES.keys()


def test_own_codes_and_those_of_the_api_are_apart() -> None:
    assert not OWN_CODES.keys() & CODES.keys()


@pytest.mark.parametrize("code", OWN_CODES)
def test_every_documented_code_can_occur(code: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.name != "errors.py")
    classes = {kind.code for kind in kinds(KallyError)}
    assert code in classes or f'"{code}"' in text


@pytest.mark.parametrize(
    ("said", "told"), [("Wait a bit", "Wait a bit. Go"), ("Wait!", "Wait! Go"), ("Wait.", "Wait. Go")]
)
def test_what_was_said_ends_where_the_advice_begins(said: str, told: str) -> None:
    (content,) = failure(KallyError(said, next_step="Go on."))["content"]
    assert content["text"].startswith(told)
