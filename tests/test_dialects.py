"""Every tool in every dialect: what hosts and models' APIs take, by their own rules, and what comes back from them."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import pytest
from hosts import MODERN
from jsonschema import Draft202012Validator

from kallyai_mcp.catalog import all_commands, by_tool, find
from kallyai_mcp.examples import example_value, examples_of
from kallyai_mcp.exposure import exposed, surface
from kallyai_mcp.exposure.dialects import FORMATS, STRICT, converted
from kallyai_mcp.model import parse
from kallyai_mcp.model.schema import RUN_ARGUMENTS
from kallyai_mcp.model.tidy import tidy
from kallyai_mcp.server import load_tools
from kallyai_mcp.tool_settings import ToolSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

assert MODERN == "2026-07-28"  # the version whose rules for names are used below

SURFACE = [load_tools(exposed(ToolSettings(surface="search"))), load_tools(exposed(ToolSettings(toolsets=("core",))))]
TOOLS = [*load_tools(), *surface.TOOLS.values(), *(tool for tools in SURFACE for tool in tools)]
"""Every tool as listed on either surface, those of `core` with texts of their own among them."""

TYPES = {"string", "integer", "number", "boolean", "array", "object"}


def values_in(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a schema and all within it."""
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from values_in(inner)
    if "items" in schema:
        yield from values_in(schema["items"])


def parameters(tool: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a converted tool."""
    held = tool.get("function") or tool
    return held.get("parameters") or held.get("input_schema") or held.get("inputSchema") or {}


def _name_of(tool: dict[str, Any]) -> str:
    return (tool.get("function") or tool)["name"]


def in_form(form: str, *, strict: bool = False) -> list[dict[str, Any]]:
    told = converted(TOOLS, form, strict=strict)
    return told[0]["functionDeclarations"] if form == "gemini" else told


# MCP and the hosts that pass its schemas on


def test_definitions_are_schemas_of_2020_12_without_what_hosts_refuse() -> None:
    """The specification's default dialect; what is left out some host drops or refuses (see `model.schema`)."""
    for tool in TOOLS:
        Draft202012Validator.check_schema(tool["inputSchema"])
        assert tool["inputSchema"]["additionalProperties"] is False
        for value in values_in(tool["inputSchema"]):
            assert value["type"] in TYPES
            assert not value.keys() & {"$ref", "anyOf", "oneOf", "allOf", "not", "const", "title", "exclusiveMinimum"}


def test_names_fit_every_host() -> None:
    """MCP allows 128 of these characters, OpenAI and Anthropic 64 without dots, Cursor 60 with the server's name."""
    for tool in TOOLS:
        assert re.fullmatch(r"[a-z][a-z_]*", tool["name"])
        assert len("kallyai:" + tool["name"]) <= 60


def test_descriptions_fit_openai() -> None:
    """A function's description has at most 1,024 characters there."""
    assert max(len(tool["description"]) for tool in TOOLS) <= 1024


# OpenAI and Anthropic, strict


@pytest.mark.parametrize("form", ["openai", "openai-responses"])
def test_openai_strict_requires_all_and_closes_all(form: str) -> None:
    """Structured outputs, "Supported schemas": all properties required, null for optional ones, closed objects."""
    taken = {"type", "description", "enum", "format", "pattern", "minimum", "maximum", "minItems", "maxItems"}
    formats = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
    for tool in in_form(form, strict=True):
        schema = parameters(tool)
        assert schema["required"] == list(schema["properties"])
        assert schema["additionalProperties"] is False
        for value in values_in(schema):
            kind: Any = value["type"]
            kinds: list[str] = [kind] if isinstance(kind, str) else kind
            assert value is schema or "object" not in kinds
            assert value is schema or value.keys() <= taken | {"items"}
            assert value.get("format", "date") in formats
            assert "(?" not in value.get("pattern", "")
            assert ("null" in kinds) is (None in value.get("enum", [None] if "null" in kinds else []))


def test_anthropic_strict_has_no_limits_on_values() -> None:
    """Structured outputs, "JSON Schema limitations": no limits of numbers, lengths or lists, closed objects."""
    for tool in in_form("anthropic", strict=True):
        schema = parameters(tool)
        assert tool["strict"] is True
        assert schema["additionalProperties"] is False
        for value in values_in(schema):
            assert value is schema or value["type"] != "object"
            assert not value.keys() & {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"}
            assert "(?" not in value.get("pattern", "")


def test_without_strict_the_schema_is_the_servers_own() -> None:
    for form in ("openai", "openai-responses", "anthropic", "mcp"):
        assert [parameters(tool) for tool in in_form(form)] == [tool["inputSchema"] for tool in TOOLS]
    assert all(tool["strict"] is False for tool in in_form("openai-responses"))


# Gemini


def test_gemini_gets_its_part_of_openapi() -> None:
    """The API's `Schema`: these fields only, types in capitals, enumerations of text, objects with properties."""
    taken = {"type", "description", "enum", "pattern", "default", "items", "properties", "required"}
    taken |= {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"}
    for tool in in_form("gemini"):
        assert tool.keys() <= {"name", "description", "parameters"}
        for value in values_in(tool.get("parameters", {"type": "STRING"})):
            assert value.keys() <= taken
            assert value["type"] in {kind.upper() for kind in TYPES}
            assert value["type"] != "OBJECT" or value["properties"]
            assert value["type"] != "ARRAY" or value["items"]
            if "enum" in value:
                assert value["type"] == "STRING"
                assert all(isinstance(one, str) and one for one in value["enum"])


# What is not said by a keyword is said in words, and nothing else changes


@pytest.mark.parametrize(("form", "strict"), [*((one, True) for one in STRICT), ("gemini", False)])
def test_no_limit_is_lost(form: str, strict: bool) -> None:
    make = next(tool for tool in in_form(form, strict=strict) if _name_of(tool) == "kallyai_calls_make")
    task = parameters(make)["properties"]["task"]
    assert "1000" in json.dumps(task)
    date = parameters(make)["properties"]["date"]
    assert "date" in json.dumps(date).lower()
    rule = next(tool for tool in in_form(form, strict=strict) if _name_of(tool) == "kallyai_inbound_add_rule")
    assert "JSON object" in parameters(rule)["properties"]["conditions"]["description"]


def test_converting_leaves_the_definitions_alone() -> None:
    before = json.dumps(TOOLS)
    for form, strict in product(FORMATS, (False, True)):
        if not strict or form in STRICT:
            converted(TOOLS, form, strict=strict)
    assert json.dumps(TOOLS) == before


# What comes back


def strictly(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments as a model gives them under OpenAI's strict schema: null where absent, objects as text."""
    schema = next(one for one in load_tools() if one["name"] == tool)["inputSchema"]
    given: dict[str, Any] = dict.fromkeys(schema["properties"])
    for name, value in arguments.items():
        given[name] = json.dumps(value) if schema["properties"][name]["type"] == "object" else value
    return given


@pytest.mark.parametrize("tool", sorted(by_tool()))
def test_arguments_of_a_strict_schema_are_those_of_the_command(tool: str) -> None:
    command = find(tool)
    schema = converted([one for one in TOOLS if one["name"] == tool][:1], "openai", strict=True)[0]
    for example in examples_of(command):
        given = strictly(tool, example["arguments"])
        cast("Any", Draft202012Validator(parameters(schema))).validate(given)
        tidied = tidy(command, given)
        assert dict(tidied) == example["arguments"]
        assert not RUN_ARGUMENTS.keys() & tidied.keys()
        assert parse(command, tidied, example_value) == parse(command, example["arguments"], example_value)


def test_null_for_what_is_required_or_unknown_is_left_to_the_declaration() -> None:
    command = find("kallyai_inbound_add_rule")
    given = {"name": None, "nonsense": None, "conditions": "not JSON", "action_config": "[1]", "priority": None}
    assert tidy(command, given) == {name: value for name, value in given.items() if name != "priority"}
    nested = {"conditions": "[" * 100_000}
    assert tidy(command, nested) == nested


def test_arguments_without_any_such_thing_are_the_same_object() -> None:
    given = {"call_id": "c-1"}
    assert tidy(find("kallyai_calls_info"), given) is given


def test_no_argument_takes_null_by_itself() -> None:
    for command in all_commands():
        assert '"null"' not in json.dumps(command.args.model_json_schema())
