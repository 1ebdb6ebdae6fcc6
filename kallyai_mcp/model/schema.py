"""The portable JSON Schema of a command's arguments, and the tool definition made from it.

Hosts differ in what they take: so there is no `$ref`, union, null type, title, `const` or exclusive bound, and optional
means absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.model.answer import output_schema

if TYPE_CHECKING:
    from kallyai_mcp.model.args import Args
    from kallyai_mcp.model.command import Command

_ORDER = ("type", "description", "enum", "format", "pattern", "items")


RUN_ARGUMENTS: dict[str, dict[str, Any]] = {
    "dry_run": {"type": "boolean", "description": "Only check it and show the request."},
    "repeat_of": {"type": "string", "description": "Id of the equal act that the user wants once more."},
}
"""What every recorded command takes besides its own arguments; the engine takes it off."""


LONGEST_RESULT = 80_000
"""What Claude Code is told that an answer of some tools may have in characters (`anthropic/maxResultSizeChars`, at most
500,000). An answer has 40,000 here, and twice that as a host may show it, with its structure laid out. Claude Code puts
an answer of more than 50,000 into a file, and counts tokens, 25,000 at most, where nothing is declared; an answer is
within that, too (`engine.tokens`)."""


def input_schema(args: type[Args]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an argument class, in portable form."""
    generated = args.model_json_schema()
    definitions: dict[str, Any] = generated.get("$defs", {})
    properties = {name: _portable(field, definitions) for name, field in generated.get("properties", {}).items()}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required := generated.get("required"):
        schema["required"] = required
    return schema | {"additionalProperties": False}


def _portable(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if reference := schema.get("$ref"):
        schema = definitions[reference.rpartition("/")[2]] | {k: v for k, v in schema.items() if k != "$ref"}
    plain = {key: value for key, value in schema.items() if key != "title"}
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    if "items" in plain:
        plain["items"] = _portable(plain["items"], definitions)
    if plain.get("additionalProperties") is True:
        del plain["additionalProperties"]
    return {key: plain[key] for key in (*_ORDER, *plain) if key in plain}


def tool_definition(command: Command) -> dict[str, Any]:
    """Return the MCP tool definition (server/tools, `Tool`) of a command, as it goes over the wire."""
    return {
        "name": command.tool,
        "title": command.title,
        "description": command.description,
        "inputSchema": _with_run_arguments(command),
        "outputSchema": output_schema(command.answer),
        "annotations": command.annotations,
    } | ({"_meta": {"anthropic/maxResultSizeChars": LONGEST_RESULT}} if _may_be_long(command) else {})


def _may_be_long(command: Command) -> bool:
    return command.third_party_text or "limit" in command.args.model_fields or command.name in ("more", "wait")


def _with_run_arguments(command: Command) -> dict[str, Any]:
    schema = input_schema(command.args)
    if command.is_recorded:
        schema["properties"] |= RUN_ARGUMENTS
    return schema
