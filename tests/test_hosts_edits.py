"""Edits of configuration files hold for any file: the rest stays, and what was put in can be taken out again."""

from __future__ import annotations

import json
import string
from typing import Any, cast

import pytest
from full import share
from hypothesis import given, settings
from hypothesis import strategies as st

from kallyai_mcp.hosts import Format, documents, jsonc

ENTRY: dict[str, Any] = {"command": "/opt/kallyai-mcp", "args": [], "env": {"A": "ä\n\"'", "B": "1"}, "timeout": 60}
NAMES = st.text(string.ascii_lowercase + "_", min_size=1, max_size=6).filter(
    lambda name: name not in {"kallyai", "true", "false", "null", "no", "yes", "on", "off", "y", "n"}
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.text("ab \"\\/é{}[],:#'", max_size=8))
BLANKS = st.sampled_from(["", " ", "\n", "\n  ", "\t", " // note, {\n", " /* a\n b */ ", "\r\n"])


@st.composite
def commented(draw: st.DrawFn, depth: int = 3) -> str:
    """A JSON object with blanks, comments and trailing commas anywhere."""
    members: list[str] = []
    for name in draw(st.lists(NAMES, max_size=4, unique=True)):
        inner = (
            st.one_of(SCALARS.map(json.dumps), commented(depth - 1), lists()) if depth > 1 else SCALARS.map(json.dumps)
        )
        members.append(f"{draw(BLANKS)}{json.dumps(name)}{draw(BLANKS)}:{draw(BLANKS)}{draw(inner)}{draw(BLANKS)}")
    comma = "," if members and draw(st.booleans()) else ""
    return "{" + ",".join(members) + comma + draw(BLANKS) + "}"


def lists() -> st.SearchStrategy[str]:
    return st.lists(SCALARS.map(json.dumps), max_size=3).map(
        lambda items: f"[{', '.join(items)}{',' if items else ''} ]"
    )


@st.composite
def with_servers(draw: st.DrawFn) -> str:
    """A file with a place for servers, which is not empty."""
    others = draw(commented(2))
    rest = draw(commented())
    servers = f'"mcpServers"{draw(BLANKS)}:{draw(BLANKS)}{others}{draw(BLANKS)}'
    body = rest[1:-1]
    return draw(BLANKS) + "{" + servers + ("," + body if jsonc.read(rest) else body) + "}" + draw(BLANKS)


@given(with_servers())
@settings(max_examples=share(150, 3000), deadline=None)
def test_json_with_comments_keeps_all_else_and_is_restored(text: str) -> None:
    path = ["mcpServers", "kallyai"]

    put = documents.put(Format.JSONC, text, path, ENTRY)

    assert documents.found(jsonc.read(put), path) == ENTRY
    assert documents.put(Format.JSONC, put, path, ENTRY) == put
    dropped = documents.drop(Format.JSONC, put, path)
    assert jsonc.read(dropped) == jsonc.read(text)
    if jsonc.read(text)["mcpServers"]:
        assert dropped == text


@given(commented())
@settings(max_examples=share(100, 2000), deadline=None)
def test_any_object_gets_a_place_for_servers(text: str) -> None:
    put = documents.put(Format.JSONC, text, ["mcp", "servers", "kallyai"], ENTRY)

    data = jsonc.read(put)
    assert data.pop("mcp") == {"servers": {"kallyai": ENTRY}}
    assert data == jsonc.read(text)


@given(
    st.dictionaries(
        NAMES, st.one_of(st.integers(), st.booleans(), st.dictionaries(NAMES, st.integers(), max_size=3)), max_size=4
    )
)
@settings(max_examples=share(60, 1200), deadline=None)
def test_toml_and_yaml_keep_all_else_and_are_restored(data: dict[str, Any]) -> None:
    import tomlkit
    from ruamel.yaml import YAML

    tables = {**data, "servers": {"other": {"command": "x"}}}
    toml = "# first\n" + tomlkit.dumps(tables) + "\n# last\n"
    yaml = "# first\n" + json_as_yaml(tables) + "# last\n"
    for form, text in ((Format.TOML, toml), (Format.YAML, yaml)):
        put = documents.put(form, text, ["servers", "kallyai"], ENTRY)
        assert [line for line in put.splitlines() if line in text.splitlines()] >= text.splitlines()[:1]
        assert documents.drop(form, put, ["servers", "kallyai"]) == text
    reader: Any = YAML(typ="safe")
    assert reader.load(yaml) == tables


def json_as_yaml(data: dict[str, Any], indent: str = "") -> str:
    lines = ""
    for key, value in data.items():
        if isinstance(value, dict) and value:
            lines += f"{indent}{key}:   # note\n{json_as_yaml(cast('dict[str, Any]', value), indent + '   ')}"
        else:
            lines += f"{indent}{key}: {json.dumps(value)}\n"
    return lines


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Format.JSONC, ""),
        (Format.JSONC, "\ufeff{}\r\n"),
        (Format.JSONC, "// nothing but a note"),
        (Format.JSONC, '{"a": 1 // note\n}'),
        (Format.JSONC, '{\r\n\t"a": 1\r\n}\r\n'),
        (Format.TOML, ""),
        (Format.TOML, "a = 1"),
        (Format.TOML, 'servers = {other = {command = "x"}}\n'),
        (Format.TOML, "[servers]\r\nother = {a = 1}\r\n"),
        (Format.TOML, 'text = """\n[servers.kallyai]\n"""\n'),
        (Format.YAML, ""),
        (Format.YAML, "# nothing but a note\n"),
        (Format.YAML, "servers:\n"),
        (Format.YAML, "servers: {}\nb: 1\n"),
        (Format.YAML, "servers: {other: {a: 1}}\n"),
        (Format.YAML, "servers:\r\n    other:\r\n        a: |\r\n            x\r\n"),
        (Format.YAML, "a: 1"),
    ],
)
def test_unusual_files_take_an_entry_and_keep_what_they_say(form: Format, text: str) -> None:
    read = documents.editor(form).read
    put = documents.put(form, text, ["servers", "kallyai"], ENTRY)

    assert read(put)["servers"]["kallyai"] == ENTRY
    told: dict[str, Any] = read(text) or {}
    left: dict[str, Any] = read(documents.drop(form, put, ["servers", "kallyai"])) or {}
    told = {key: value for key, value in told.items() if value is not None}
    assert documents.without_empty(left) == documents.without_empty(told)
    assert ("\r\n" in text) == ("\r\n" in put)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Format.JSONC, '{"servers": {"a": 1}'),
        (Format.JSONC, '{"servers": []}'),
        (Format.JSONC, '{"servers": {"kallyai": 1, "kallyai": 2}}'),
        (Format.JSONC, "{'servers': {}}"),
        (Format.JSONC, "{} {}"),
        (Format.JSONC, '{"a": 01}'),
        (Format.JSONC, "[" * 100_000),
        (Format.TOML, "servers = 1\n"),
        (Format.TOML, "servers = "),
        (Format.YAML, "servers: [a]\n"),
        (Format.YAML, "servers: {a: 1\n"),
        (Format.YAML, "a: 1\n---\nb: 2\n"),
        (Format.YAML, "a: 1\na: 2\n"),
    ],
)
def test_a_malformed_file_is_refused(form: Format, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        documents.put(form, text, ["servers", "kallyai"], ENTRY)


def test_a_malformed_file_says_where() -> None:
    with pytest.raises(ValueError, match="line 2, column 8"):
        jsonc.read('{\n  "a": 1 "b": 2}'.replace('1 "b"', 'x "b"'))
