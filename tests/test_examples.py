"""The hand-written examples and the declarations agree: what is accepted, what is sent, what may be answered."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from kallyai_mcp.catalog import DOMAINS, all_commands
from kallyai_mcp.examples import Example, ExpectedRequest, example_value, examples_of, load
from kallyai_mcp.model import Command, Defaults, build_request, parse, tool_definition

COMMANDS = [pytest.param(command, id=command.tool) for command in all_commands()]
EXAMPLES = [
    pytest.param(command, example, id=f"{command.tool}-{number}")
    for command in all_commands()
    for number, example in enumerate(load(command.domain).get(command.name, []))
]


def _credentials(command: Command, request: ExpectedRequest, arguments: dict[str, Any]) -> dict[str, str]:
    # The example says which value each body field has; the declaration says which variable it is read from.
    if command.environment is None:
        return {}
    fields = command.environment.fields[arguments[command.environment.argument]]
    return {variable: (request["body"] or {})[field] for field, variable in fields.items()}


@pytest.mark.parametrize("domain", [domain.name for domain in DOMAINS])
def test_examples_of_a_domain_are_those_of_its_commands(domain: str) -> None:
    declared = {command.name for command in all_commands() if command.domain == domain}
    assert load(domain).keys() == declared


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_occurs_in_an_example(command: Command) -> None:
    examples = examples_of(command)
    used = {name for example in examples for name in example["arguments"]}
    assert examples
    assert used == command.args.model_fields.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_one_example_leaves_out_whatever_may_be_left_out(command: Command) -> None:
    required = {name for name, field in command.args.model_fields.items() if field.is_required()}
    assert any(example["arguments"].keys() == required for example in examples_of(command))


@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_example_leads_to_exactly_its_request(command: Command, example: Example) -> None:
    args = parse(command, example["arguments"])
    request = example["request"]
    if command.method is None:
        assert request is None
        return
    assert request is not None
    built = build_request(command, args, Defaults(credentials=_credentials(command, request, example["arguments"])))
    assert {
        "method": built.method,
        "path": built.path,
        "query": dict(built.query),
        "body": built.body,
    } == request
    assert len(built.query) == len(request["query"])


@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_arguments_of_an_example_satisfy_the_published_schema(command: Command, example: Example) -> None:
    """A host may check arguments against the schema before they reach us."""
    jsonschema.validate(example["arguments"], tool_definition(command)["inputSchema"])


@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_sample_answer_is_what_the_output_schema_describes(command: Command, example: Example) -> None:
    answer = example["answer"]
    if command.calendar:
        assert answer.startswith("BEGIN:VCALENDAR\r\n")
        assert answer.endswith("END:VCALENDAR\r\n")
    elif answer is None or command.redirects:
        assert answer is None, "a redirect has no body"
    else:
        jsonschema.validate(answer, tool_definition(command)["outputSchema"])


@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_documented_answer_has_no_field_that_is_not_described(command: Command, example: Example) -> None:
    answer = example["answer"]
    if command.answer and answer is not None:
        assert answer.keys() <= command.answer.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_value_shown_with_a_refusal_is_right_and_never_a_secret(command: Command) -> None:
    for name in command.args.model_fields:
        shown = example_value(command, name)
        if name in command.sensitive_args:
            assert shown is None
        else:
            assert shown in [e["arguments"][name] for e in examples_of(command) if name in e["arguments"]]


def test_examples_show_the_values_that_are_easily_lost() -> None:
    """Identifiers that need percent-encoding, false, 0, empty text and empty lists reach the request."""
    values = [value for command in all_commands() for e in examples_of(command) for value in e["arguments"].values()]
    paths = [e["request"]["path"] for command in all_commands() for e in examples_of(command) if e["request"]]
    assert any("%2F" in path for path in paths)
    assert any(value is False for value in values)
    assert any(value == 0 and not isinstance(value, bool) for value in values)
    assert "" in values
    assert [] in values
