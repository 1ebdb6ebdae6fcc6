"""Edits YAML in place: the places are those of ruamel.yaml's parser, the lines between them stay as they are."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOT_A_MAPPING = "where the entries belong, something else than a mapping stands"


def read(text: str) -> Any:
    """Return what the text says.

    Raises:
        ValueError: It is no YAML of one document; says where.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)  # pyright: ignore[reportUnknownMemberType]
    except MarkedYAMLError as error:
        told = cast("Any", error)  # the library's class has no types
        mark = told.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise ValueError(where + str(told.problem or "it is no YAML").splitlines()[0]) from None
    except (YAMLError, RecursionError, ValueError, TypeError) as error:
        raise ValueError(str(error).splitlines()[0] if str(error) else "it is no YAML") from None


def put(text: str, path: Sequence[str], value: Any) -> str:
    """Return the text with the value at the end of the path, put in or replaced.

    Raises:
        ValueError: It is no YAML, or the path leads through something that is no mapping.
    """
    data = read(text)
    for key in path:
        data = cast("dict[str, Any]", data).get(key) if isinstance(data, dict) else None
    if data == value:
        return text
    text = drop(text, path)
    line_end = "\r\n" if "\r\n" in text else "\n"
    node: Any = _composed(text)
    if node is None:
        return _appended(text, _lines(_nested(path, value), 0, line_end), line_end)
    for place, key in enumerate(path):
        found = _entry(node, key)
        if found is None:
            return _insert(text, node, _nested(path[place:], value), line_end)
        key_node, node = found
        rest = path[place + 1 :]
        if _is_empty(node):
            column = key_node.start_mark.column
            shown = _lines(_nested(rest, value), column + 2, line_end)
            head, tail = text[: key_node.end_mark.index], text[node.end_mark.index :]
            if node.end_mark.index < key_node.end_mark.index or node.start_mark.index == node.end_mark.index:
                tail = text[key_node.end_mark.index :].lstrip(" ").removeprefix(":")
            remark, _, following = tail.partition("\n")
            return f"{head}:{remark.rstrip(chr(13))}{line_end}{shown}{following}"
    raise ValueError("the path is empty")


def drop(text: str, path: Sequence[str]) -> str:
    """Return the text without the entry at the end of the path; the text itself where there is none.

    Raises:
        ValueError: As `put`.
    """
    holder: Any = None
    key_node: Any = None
    node: Any = _composed(text)
    for key in path:
        found = None if node is None or _is_empty(node) else _entry(node, key)
        if found is None:
            return text
        holder, (key_node, node) = node, found
    if holder.flow_style:
        return _drop_from_flow(text, holder, key_node, node)
    start = text.rfind("\n", 0, key_node.start_mark.index) + 1
    end = _line_after(text, _end_of(node))
    if len(holder.value) == 1:
        line_end = "\r\n" if "\r\n" in text else "\n"
        head = text[:start].rstrip()
        return f"{head} {{}}{line_end}{text[end:]}" if head.endswith(":") else text[:start] + text[end:]
    return text[:start] + text[end:]


def _drop_from_flow(text: str, holder: Any, key_node: Any, node: Any) -> str:
    keys = [pair[0] for pair in holder.value]
    at = keys.index(key_node)
    start, end = key_node.start_mark.index, node.end_mark.index
    if at:
        start = holder.value[at - 1][1].end_mark.index
    elif len(keys) > 1:
        end = keys[1].start_mark.index
    return text[:start] + text[end:]


def _composed(text: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).compose(text)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    except (YAMLError, RecursionError) as error:
        raise ValueError(str(error).splitlines()[0]) from None


def _entry(node: Any, key: str) -> tuple[Any, Any] | None:
    if node.id != "mapping":
        raise ValueError(_NOT_A_MAPPING)
    for key_node, value_node in node.value:
        if key_node.id == "scalar" and key_node.value == key:
            return key_node, value_node
    return None


def _is_empty(node: Any) -> bool:
    return (node.id == "mapping" and not node.value) or (node.id == "scalar" and node.value in {"", "null", "~"})


def _insert(text: str, node: Any, entry: Any, line_end: str) -> str:
    if node.id != "mapping":
        raise ValueError(_NOT_A_MAPPING)
    last = node.value[-1][1]
    if node.flow_style:
        at = last.end_mark.index
        return f"{text[:at]}, {json.dumps(entry)[1:-1]}{text[at:]}"
    at = _line_after(text, _end_of(last))
    shown = _lines(entry, node.value[0][0].start_mark.column, line_end)
    return _appended(text[:at], shown, line_end) + text[at:]


def _appended(text: str, shown: str, line_end: str) -> str:
    return text + ("" if not text or text.endswith("\n") else line_end) + shown


def _end_of(node: Any) -> int:
    """Return where the content of a node ends; the parser counts what follows to a block."""
    if node.id == "mapping" and node.value and not node.flow_style:
        key, value = node.value[-1]
        return max(key.end_mark.index + 1, _end_of(value))
    if node.id == "sequence" and node.value and not node.flow_style:
        return _end_of(node.value[-1])
    return int(node.end_mark.index)


def _line_after(text: str, at: int) -> int:
    """Return where the next line begins; a block scalar ends at the beginning of one."""
    if at and text[at - 1 : at] == "\n":
        return at
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _nested(path: Sequence[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _lines(value: Any, column: int, line_end: str) -> str:
    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.width = 100_000  # pyright: ignore[reportAttributeAccessIssue]  # the library's own types are too narrow
    writer.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    stream = io.StringIO()
    writer.dump(value, stream)  # pyright: ignore[reportUnknownMemberType]
    return "".join(f"{' ' * column}{line}{line_end}" for line in stream.getvalue().splitlines())
