"""Rules that hold for every command, checked over the catalog: names, descriptions, schemas, annotations, refusals."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import AfterValidator

from kallyai_mcp.catalog import all_commands, by_tool, by_words, find
from kallyai_mcp.engine.options import Options, take_options
from kallyai_mcp.errors import InvalidArguments
from kallyai_mcp.examples import example_value, examples_of
from kallyai_mcp.model import Command, Effect, input_schema, parse, tool_definition
from kallyai_mcp.model.schema import RUN_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = [pytest.param(command, id=command.tool) for command in all_commands()]
RECORDED = [pytest.param(command, id=command.tool) for command in all_commands() if command.is_recorded]
ARGUMENTS = [
    pytest.param(command, name, id=f"{command.tool}-{name}")
    for command in all_commands()
    for name in command.args.model_fields
]
NOT_PORTABLE = {
    "$ref",
    "$defs",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "title",
    "const",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "nullable",
}
_MINUTES = r"\bminutes?\b"
_CHARGE = r"credit|charg|bill|cost|price|quota|plan|allowance|balance|spen[dt]|\bleft\b|remain"
BILLING = re.compile(f"{_MINUTES}.*({_CHARGE})|({_CHARGE}).*{_MINUTES}")
TYPES = {"string", "integer", "number", "boolean", "array", "object"}
ILL_TYPED: dict[str, list[object]] = {
    "string": [7, True, ["a"], {}, "\ud800"],
    "integer": ["1", 1.5, True, [1], float("inf")],
    "number": ["1", True, [1], float("nan")],
    "boolean": ["true", 1, 0, []],
    "array": ["a", {}, 7],
    "object": ["{}", [], True, {"a": "\ud800"}, {"\ud800": 1}, {"a": [float("nan")]}],
}


def _subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    # The keys of "properties" are names of arguments and fields, not keywords.
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from _subschemas(inner)
    if "items" in schema:
        yield from _subschemas(schema["items"])


def _named(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for inner in _subschemas(schema):
        for name, field in inner.get("properties", {}).items():
            yield name, field.get("description", "")


def _texts(command: Command) -> list[str]:
    definition = tool_definition(command)
    schemas = [*_subschemas(definition["inputSchema"]), *_subschemas(definition["outputSchema"])]
    described = [schema["description"] for schema in schemas if "description" in schema]
    return [command.tool, command.title, command.description, *described]


def test_no_two_tools_share_a_name_or_a_title() -> None:
    commands = all_commands()
    names = Counter(command.tool for command in commands)
    titles = Counter(command.title.lower() for command in commands)
    assert [name for name, count in names.items() if count > 1] == []
    assert [title for title, count in titles.items() if count > 1] == []


def test_no_two_commands_are_typed_alike() -> None:
    assert len(by_words()) == len(by_tool()) == len(all_commands())


@pytest.mark.parametrize("command", COMMANDS)
def test_tool_is_found_by_a_short_plain_name(command: Command) -> None:
    assert re.fullmatch(r"kallyai_[a-z]+(_[a-z]+)*", command.tool)
    assert len(command.tool) <= 64
    assert find(command.tool) is command


@pytest.mark.parametrize("command", COMMANDS)
def test_description_is_sentences_that_begin_with_a_verb(command: Command) -> None:
    first, _, rest = command.description.partition(" ")
    assert re.fullmatch(r"[A-Z][a-z]+,?", first)
    assert not re.fullmatch(r"(The|An?|This|These|It|Your?|For|To|With|\w{3,}ing|\w+[^s]s)", first), (
        "an imperative, first"
    )
    assert rest.endswith(".")
    assert not rest.endswith("..")


@pytest.mark.parametrize("command", COMMANDS)
def test_title_is_a_verb_phrase(command: Command) -> None:
    assert re.fullmatch(r"[A-Z][a-z]+( [a-z0-9]+)+", command.title)


@pytest.mark.parametrize("command", COMMANDS)
def test_credits_are_the_only_unit_of_billing(command: Command) -> None:
    """A run may take minutes, an appointment lasts them; nothing is charged, allowed or left in them.

    Only a field of the API's answer that has the word in its name may be described with it.
    """
    definition = tool_definition(command)
    named = [*_named(definition["inputSchema"]), *_named(definition["outputSchema"])]
    texts = [text for name, text in named if "minute" not in name]
    for text in (command.title, command.description, *texts):
        billed = BILLING.search(text.lower().replace("may take minutes", ""))
        assert billed is None, billed


@pytest.mark.parametrize("command", COMMANDS)
def test_description_says_that_a_run_spends_credits(command: Command) -> None:
    if command.costs_credits:
        assert "credits" in command.description


@pytest.mark.parametrize("command", COMMANDS)
def test_tools_named_in_texts_exist(command: Command) -> None:
    named = {tool for text in _texts(command) for tool in re.findall(r"kallyai_\w+", text)}
    assert named <= by_tool().keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_texts_hold_no_invisible_characters(command: Command) -> None:
    """What a person cannot see could still instruct a model."""
    for text in _texts(command):
        unseen = [c for c in text if c != " " and unicodedata.category(c)[0] in "CZM"]
        assert unseen == []
        assert text == " ".join(text.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_schemas_use_only_what_every_host_understands(command: Command) -> None:
    definition = tool_definition(command)
    for schema in (*_subschemas(definition["inputSchema"]), *_subschemas(definition["outputSchema"])):
        assert not schema.keys() & NOT_PORTABLE
        assert schema.get("type", "object") in TYPES
        assert schema.get("default", 0) is not None
        assert None not in schema.get("enum", [])


@pytest.mark.parametrize("command", COMMANDS)
def test_input_is_a_closed_object_and_output_an_open_one(command: Command) -> None:
    definition = tool_definition(command)
    taken, given = definition["inputSchema"], definition["outputSchema"]
    required = [name for name, field in command.args.model_fields.items() if field.is_required()]
    assert taken["type"] == "object"
    assert taken["additionalProperties"] is False
    about_the_run = RUN_ARGUMENTS.keys() if command.is_recorded else set[str]()
    assert taken["properties"].keys() == command.args.model_fields.keys() | about_the_run
    assert taken.get("required", []) == required
    assert given["type"] == "object"
    assert given["additionalProperties"] is True
    assert not any("required" in schema for schema in _subschemas(given))


@pytest.mark.parametrize(("command", "name"), ARGUMENTS)
def test_argument_is_typed_and_described(command: Command, name: str) -> None:
    schema = input_schema(command.args)["properties"][name]
    assert schema["type"] in TYPES
    assert re.fullmatch(r"\S.*\.", schema["description"])
    if schema["type"] == "array":
        assert schema["items"]["type"] in TYPES


def test_arguments_about_the_run_are_typed_described_and_no_commands_own() -> None:
    assert {name: schema["type"] for name, schema in RUN_ARGUMENTS.items()} == {
        "dry_run": "boolean",
        "repeat_of": "string",
    }
    for schema in RUN_ARGUMENTS.values():
        assert re.fullmatch(r"\S.*\.", schema["description"])
    for command in all_commands():
        assert not RUN_ARGUMENTS.keys() & command.args.model_fields.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_annotations_are_all_stated_and_call_no_act_harmless(command: Command) -> None:
    hints = command.annotations
    assert hints.keys() == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
    assert all(isinstance(hint, bool) for hint in hints.values())
    harms = command.costs_credits or command.costs_money or command.contacts_people or command.diverts
    assert hints["destructiveHint"] is (harms or command.effect is Effect.DESTROY)
    assert not (hints["readOnlyHint"] and hints["destructiveHint"])
    assert not (hints["readOnlyHint"] and command.effect is not Effect.READ)
    assert hints["openWorldHint"] or not (harms and (command.contacts_people or command.costs_credits))


@pytest.mark.parametrize("command", COMMANDS)
def test_route_is_complete(command: Command) -> None:
    if command.method is None:
        assert command.path == ""
        return
    assert command.method in {"GET", "POST", "PUT", "PATCH", "DELETE"}
    assert re.fullmatch(r"/v1(/[a-z0-9-]+|/\{[a-z_]+\})+(\.ics)?", command.path)
    assert command.path_args <= command.args.model_fields.keys()
    for name in command.path_args:
        assert command.args.model_fields[name].is_required()


def _wrong_values(command: Command, name: str) -> Iterator[object]:
    """Yield values that break each rule the declaration states for one argument."""
    schema = input_schema(command.args)["properties"][name]
    yield None
    yield from ILL_TYPED[schema["type"]]
    if "enum" in schema:
        yield from ("", schema["enum"][0].upper(), f"{schema['enum'][0]} ")
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"] + 1
    if schema.get("minLength"):
        yield ""
        yield "x" * (schema["minLength"] - 1)
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1)
    if "pattern" in schema or "format" in schema:
        right = example_value(command, name) or examples_of(command)[0]["arguments"].get(name, "")
        yield from ("", "not this", f" {right}", f"{right}\n")
    if schema.get("minItems"):
        yield []
    if "maxItems" in schema:
        yield ["a"] * (schema["maxItems"] + 1)
    if "items" in schema:
        yield from ([value] for value in ILL_TYPED[schema["items"]["type"]])
        yield [None]
        if schema["items"].get("minLength"):
            yield [""]
        if "enum" in schema["items"]:
            yield [f"{schema['items']['enum'][0]} "]
    if any(isinstance(rule, AfterValidator) for rule in command.args.model_fields[name].metadata):
        yield "not\x00this"
    if name in command.path_args:
        yield from ("", ".", "..", "a\nb")


def _right_arguments(command: Command, name: str) -> dict[str, Any]:
    return dict(next(e["arguments"] for e in examples_of(command) if name in e["arguments"]))


def _refused(command: Command, arguments: dict[str, Any]) -> tuple[list[str], str]:
    with pytest.raises(InvalidArguments) as refusal:
        parse(command, arguments, example_value)
    return [problem.argument for problem in refusal.value.problems], refusal.value.message


@pytest.mark.parametrize(("command", "name"), ARGUMENTS)
def test_wrong_value_is_refused_by_the_name_of_its_argument(command: Command, name: str) -> None:
    right = _right_arguments(command, name)
    for wrong in _wrong_values(command, name):
        named, message = _refused(command, right | {name: wrong})
        assert named == [name], wrong
        assert f"{name}: " in message


@pytest.mark.parametrize(("command", "name"), ARGUMENTS)
def test_whole_number_may_be_written_as_a_float(command: Command, name: str) -> None:
    """JSON Schema 2020-12 (core, 4.2.1) counts 5.0 as an integer."""
    right = _right_arguments(command, name)
    if command.args.model_fields[name].annotation is int:
        taken = getattr(parse(command, right | {name: float(right[name])}), name)
        assert (taken, type(taken)) == (right[name], int)


@pytest.mark.parametrize(("command", "name"), ARGUMENTS)
def test_refusal_does_not_repeat_the_wrong_value(command: Command, name: str) -> None:
    """It may be somebody's number, message or code."""
    for wrong in _wrong_values(command, name):
        _, message = _refused(
            command, _right_arguments(command, name) | {name: [wrong, {"said": "squeamish ossifrage"}]}
        )
        assert "ossifrage" not in message


@pytest.mark.parametrize(("command", "name"), ARGUMENTS)
def test_missing_argument_is_named_where_it_is_required(command: Command, name: str) -> None:
    rest = {key: value for key, value in _right_arguments(command, name).items() if key != name}
    if command.args.model_fields[name].is_required():
        assert _refused(command, rest)[0] == [name]
    else:
        assert name not in parse(command, rest).model_fields_set


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_argument_is_refused_by_its_name(command: Command) -> None:
    right = examples_of(command)[0]["arguments"]
    assert _refused(command, right | {"no_such_argument": 1})[0] == ["no_such_argument"]


@pytest.mark.parametrize("command", COMMANDS)
def test_arguments_about_the_run_are_taken_only_where_it_is_recorded(command: Command) -> None:
    own = examples_of(command)[0]["arguments"]
    about_the_run: dict[str, Any] = {"dry_run": True, "repeat_of": "a-1"}
    options, rest = take_options(command, own | about_the_run)
    if command.is_recorded:
        assert (options, rest) == (Options(dry_run=True, repeat_of="a-1"), own)
    else:
        assert options == Options()
        assert sorted(_refused(command, dict(rest))[0]) == ["dry_run", "repeat_of"]


@pytest.mark.parametrize(("name", "type_"), [(name, schema["type"]) for name, schema in RUN_ARGUMENTS.items()])
@pytest.mark.parametrize("command", RECORDED)
def test_wrong_argument_about_the_run_is_refused_by_its_name(command: Command, name: str, type_: str) -> None:
    own = examples_of(command)[0]["arguments"]
    for wrong in (None, *ILL_TYPED[type_], *(["", "\u0430"] if type_ == "string" else [])):
        with pytest.raises(InvalidArguments) as refusal:
            take_options(command, own | {name: wrong})
        assert [problem.argument for problem in refusal.value.problems] == [name]
        assert f"{name}: " in refusal.value.message


@pytest.mark.parametrize("command", COMMANDS)
def test_all_that_is_wrong_is_said_at_once(command: Command) -> None:
    wrong: dict[str, Any] = dict.fromkeys(command.args.model_fields)
    named, _ = _refused(command, wrong | {"no_such_argument": None})
    assert sorted(named) == sorted([*command.args.model_fields, "no_such_argument"])
