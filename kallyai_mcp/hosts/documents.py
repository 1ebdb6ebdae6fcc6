"""Configuration files as texts: an entry is put in or taken out, and the result is read again before it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from kallyai_mcp.hosts.host import Format

if TYPE_CHECKING:
    from collections.abc import Sequence


class Editor(Protocol):
    """One way of writing a configuration."""

    def read(self, text: str) -> Any:
        """Return what the text says; a ValueError says what is wrong with it."""
        ...

    def put(self, text: str, path: Sequence[str], value: Any) -> str:
        """Return the text with the value at the end of the path."""
        ...

    def drop(self, text: str, path: Sequence[str]) -> str:
        """Return the text without the entry at the end of the path."""
        ...


def editor(form: Format) -> Editor:
    """Return what edits files of this form; its library is loaded now."""
    from kallyai_mcp.hosts import jsonc, toml, yaml

    return cast("Editor", {Format.JSONC: jsonc, Format.TOML: toml, Format.YAML: yaml}[form])


def found(data: Any, path: Sequence[str]) -> Any:
    """Return what stands at the end of the path; None where nothing does."""
    for key in path:
        if not isinstance(data, dict):
            return None
        data = cast("dict[str, Any]", data).get(key)
    return data


def put(form: Format, text: str, path: Sequence[str], value: Any) -> str:
    """Return the text with the entry.

    Raises:
        ValueError: The text is malformed, or the entry cannot be put in without touching anything else.
    """
    edit = editor(form)
    before = edit.read(text)
    after = edit.put(text, path, value)
    if found(edit.read(after), path) != value or not _differ_only_there(before, edit.read(after), path):
        raise ValueError("the entry cannot be put in without touching something else")
    return after


def drop(form: Format, text: str, path: Sequence[str]) -> str:
    """Return the text without the entry.

    Raises:
        ValueError: The text is malformed, or the entry cannot be taken out without touching anything else.
    """
    edit = editor(form)
    before = edit.read(text)
    after = edit.drop(text, path)
    left = edit.read(after)
    if found(left, path) is not None or not _differ_only_there(before, left, path):
        raise ValueError("the entry cannot be taken out without touching something else")
    return after


def _differ_only_there(before: Any, after: Any, path: Sequence[str]) -> bool:
    return bool(_without(before, path) == _without(after, path))


def _without(data: Any, path: Sequence[str]) -> Any:
    if not isinstance(data, dict):
        return None if data is None else data
    mapping = cast("dict[str, Any]", data)
    if len(path) == 1:
        return {key: value for key, value in mapping.items() if key != path[0]} or None
    rest = {key: _without(value, path[1:]) if key == path[0] else value for key, value in mapping.items()}
    return {key: value for key, value in rest.items() if key != path[0] or value is not None} or None


def without_empty(data: Any) -> Any:
    """Return the data without empty tables, which say nothing about an entry."""
    if not isinstance(data, dict):
        return data
    inner = {key: without_empty(value) for key, value in cast("dict[str, Any]", data).items()}
    return {key: value for key, value in inner.items() if value != {}}
