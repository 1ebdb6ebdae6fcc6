"""The documented shape of an answer: nested dicts of descriptions.

    GOAL = {"id": "Identifier of the goal.", "steps": each("What is to be done.", STEP)}

A text describes a field; `each` a list of objects, `group` an object. Only descriptions become schema: the API promises
no field and no type, so the generated output schema demands none, and a surprising answer still reaches the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, "str | Each | Group"]


@dataclass(frozen=True, slots=True)
class Each:
    """A list; `fields` describes one entry."""

    description: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Group:
    """An object within the answer."""

    description: str
    fields: Fields


def each(description: str, fields: Fields) -> Each:
    """Describe a list and the fields of its entries."""
    return Each(description, fields)


def group(description: str, fields: Fields) -> Group:
    """Describe an object and its fields."""
    return Group(description, fields)


def output_schema(fields: Fields) -> dict[str, Any]:
    """Return the output schema: an object, its documented fields described, nothing required."""
    schema: dict[str, Any] = {"type": "object"}
    if fields:
        schema["properties"] = _properties(fields)
    return schema | {"additionalProperties": True}


def _properties(fields: Fields) -> dict[str, Any]:
    return {name: _field(field) for name, field in fields.items()}


def _field(field: str | Each | Group) -> dict[str, Any]:
    match field:
        case str():
            return {"description": field}
        case Each(description, fields):
            return {"description": description, "items": {"properties": _properties(fields)}}
        case Group(description, fields):
            return {"description": description, "properties": _properties(fields)}
