"""The shape of JSON: which fields there are, and of which types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.model.answer import Each, Group

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kallyai_mcp.model.answer import Fields

Shape = dict[str, set[str]]
"""For each field, such as `steps[].status`, the types it was seen with."""


def shape_of(values: Iterable[Any]) -> Shape:
    """Return the shape that some values have together."""
    found: Shape = {}
    for value in values:
        _add(value, "", found)
    return found


def _add(value: Any, path: str, found: Shape) -> None:
    found.setdefault(path, set()).add(_type(value))
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            _add(inner, f"{path}.{name}" if path else name, found)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            _add(inner, f"{path}[]", found)


def _type(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def documented(fields: Fields, path: str = "") -> set[str]:
    """Return the fields that a declaration describes."""
    found: set[str] = set()
    for name, field in fields.items():
        here = f"{path}.{name}" if path else name
        found.add(here)
        if isinstance(field, Each | Group):
            found |= documented(field.fields, f"{here}[]" if isinstance(field, Each) else here)
    return found


def lacking(wanted: Shape, seen: Shape, fields: set[str]) -> set[str]:
    """Return those of the fields that are wanted and were not seen, or never with the type wanted."""
    return {
        path
        for path, types in wanted.items()
        if path in fields and (path not in seen or not (types & seen[path] or types == {"null"}))
    }
