"""The tools in the forms that models' APIs take.

Each form allows a part of JSON Schema; what it cannot say is put into the description, so that no model misses it.

- `mcp`: the definition as `tools/list` sends it (Model Context Protocol 2026-07-28, server/tools).
- `openai`, `openai-responses`: a function of Chat Completions, and of Responses (platform.openai.com/docs/guides/
  function-calling). Strict, every property is required and nullable where it is optional, objects are closed, and the
  keywords are those of platform.openai.com/docs/guides/structured-outputs, "Supported schemas". Responses takes a
  function as strict unless it says that it is not.
- `anthropic`: a tool of the Messages API (platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools). Strict,
  without limits on numbers, lengths and lists (platform.claude.com/docs/en/build-with-claude/structured-outputs,
  "JSON Schema limitations").
- `gemini`: a function declaration with the API's `Schema`, a part of OpenAPI 3.0 (ai.google.dev/api/caching#Schema):
  types in capitals, enumerations of text only, no `additionalProperties`, no object without properties, and as formats
  of text `date-time` and `enum` only.

An object whose properties are open has no place in the strict forms and in Gemini's: it becomes text that holds JSON,
which the server takes in its stead, as it takes null for what is optional.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Schema = dict[str, Any]

FORMATS = ("openai", "openai-responses", "anthropic", "gemini", "mcp")
STRICT = ("openai", "openai-responses", "anthropic")
"""Formats that have a strict mode."""

MOST_TOOLS = {"openai": 128, "openai-responses": 128}
"""Most tools of a request, where the API has such a limit within reach (OpenAI's OpenAPI description, `tools`)."""

MOST_STRICT_TOOLS = {"anthropic": 20}
"""Most strict tools of a request, likewise (Anthropic, "Schema complexity limits")."""

OPENAI_STRICT = frozenset(
    ("type", "description", "enum", "format", "pattern", "minimum", "maximum", "minItems", "maxItems")
)
ANTHROPIC_STRICT = frozenset(("type", "description", "enum", "format", "pattern", "default"))
GEMINI = frozenset(
    (
        *("type", "description", "enum", "pattern", "default"),
        *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
    )
)
"""Keywords of a value that the form takes; those that hold other schemas are made anew."""

_SAID = {
    "minLength": "At least {} characters.",
    "maxLength": "At most {} characters.",
    "minimum": "At least {}.",
    "maximum": "At most {}.",
    "minItems": "At least {} entries.",
    "maxItems": "At most {} entries.",
    "default": "Default: {}.",
    "format": "Format: {}.",
}
_AS_TEXT = "A JSON object, as text."


def converted(tools: Iterable[Mapping[str, Any]], form: str, *, strict: bool = False) -> list[dict[str, Any]]:
    """Return definitions of tools as the value of `tools` in a request of that API.

    Args:
        tools: As `tools/list` sends them.
        form: One of `FORMATS`.
        strict: For the API's strict mode, where it has one.
    """
    if form == "gemini":
        return [{"functionDeclarations": [_gemini(tool) for tool in tools]}]
    return [_FORMS[form](tool, strict) for tool in tools]


def _openai_function(tool: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    schema: Schema = tool["inputSchema"]
    return {
        "name": tool["name"],
        "description": tool["description"],
        "parameters": _nullable_object(schema) if strict else schema,
        "strict": strict,
    }


def _openai(tool: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    return {"type": "function", "function": _openai_function(tool, strict)}


def _responses(tool: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    return {"type": "function", **_openai_function(tool, strict)}


def _anthropic(tool: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    schema: Schema = tool["inputSchema"]
    facts = {"name": tool["name"], "description": tool["description"]}
    if not strict:
        return {**facts, "input_schema": schema}
    properties = {name: _reduced(value, ANTHROPIC_STRICT) for name, value in schema["properties"].items()}
    return {**facts, "input_schema": {**schema, "properties": properties}, "strict": True}


def _mcp(tool: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    del strict
    return dict(tool)


_FORMS: Mapping[str, Callable[[Mapping[str, Any], bool], dict[str, Any]]] = {
    "openai": _openai,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "mcp": _mcp,
}


def _nullable_object(schema: Schema) -> Schema:
    required: list[str] = schema.get("required", [])
    properties: dict[str, Schema] = {}
    for name, value in schema["properties"].items():
        property_ = _reduced(value, OPENAI_STRICT)
        if name not in required:
            property_["type"] = [property_["type"], "null"]
            if "enum" in property_:
                property_["enum"] = [*property_["enum"], None]
        properties[name] = property_
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _gemini(tool: Mapping[str, Any]) -> dict[str, Any]:
    schema: Schema = tool["inputSchema"]
    facts = {"name": tool["name"], "description": tool["description"]}
    if not schema["properties"]:
        return facts  # an object without properties is refused
    parameters: Schema = {
        "type": "OBJECT",
        "properties": {name: _in_capitals(_reduced(value, GEMINI)) for name, value in schema["properties"].items()},
    }
    if required := schema.get("required"):
        parameters["required"] = required
    return {**facts, "parameters": parameters}


def _in_capitals(schema: Schema) -> Schema:
    schema["type"] = schema["type"].upper()
    if "items" in schema:
        schema["items"] = _in_capitals(schema["items"])
    return schema


def _reduced(schema: Schema, allowed: frozenset[str]) -> Schema:
    """Return the schema of a value with these keywords only, and the others in words."""
    said = [str(schema["description"])] if "description" in schema else []
    if schema["type"] == "object":
        return {"type": "string", "description": " ".join([*said, _AS_TEXT])}
    reduced = {name: value for name, value in schema.items() if name in allowed}
    if "items" in schema:
        reduced["items"] = _reduced(schema["items"], allowed)
    for name, words in _SAID.items():
        # That a text is not empty goes without saying.
        if name in schema and name not in allowed and (name, schema[name]) != ("minLength", 1):
            said.append(words.format(schema[name]))
    if said:
        reduced["description"] = " ".join(said)
    return reduced
