"""Edits JSON with comments in place: what is not meant stays byte for byte, comments and trailing commas included.

The grammar is RFC 8259 with what hosts accept beyond it: `//` and `/* */` comments, a comma after the last entry, and a
byte order mark. Strings are read by the standard library.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_SAME_LINE = re.compile(r"(?:[ \t]*/\*.*?\*/)*(?:[ \t]*//[^\r\n]*)?", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
_decoder = json.JSONDecoder()


@dataclass(slots=True)
class Node:
    """A value and where it stands."""

    start: int
    end: int
    value: Any
    members: list[Member] | None = None
    """Of an object; None for any other value."""


@dataclass(slots=True)
class Member:
    """An entry of an object."""

    key: str
    start: int
    node: Node
    comma: int | None = None
    """Where the comma after it stands."""


@dataclass(slots=True)
class _Parser:
    text: str
    at: int = 0
    depth: int = field(default=0)

    def document(self) -> Node | None:
        self._skip()
        if self.at == len(self.text):
            return None
        node = self._value()
        self._skip()
        if self.at != len(self.text):
            raise self._wrong("nothing more")
        return node

    def _skip(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _value(self) -> Node:
        start = self.at
        mark = self.text[start : start + 1]
        if mark == "{":
            return self._object(start)
        if mark == "[":
            return self._array(start)
        if mark == '"':
            text = self._string()
            return Node(start, self.at, text)
        if number := _NUMBER.match(self.text, start):
            self.at = number.end()
            return Node(start, self.at, json.loads(number[0]))
        for word, value in _WORDS.items():
            if self.text.startswith(word, start):
                self.at = start + len(word)
                return Node(start, self.at, value)
        raise self._wrong("a value")

    def _peek_string(self) -> bool:
        return self.text.startswith('"', self.at)

    def _string(self) -> str:
        text, self.at = _decoder.raw_decode(self.text, self.at)
        return text

    def _object(self, start: int) -> Node:
        members: list[Member] = []
        self.at += 1
        while not self._closed("}"):
            if members and members[-1].comma is None:
                raise self._wrong("a comma or }")
            if not self._peek_string():
                raise self._wrong("a name in double quotes or }")
            begin = self.at
            key = self._string()
            self._skip()
            if not self.text.startswith(":", self.at):
                raise self._wrong("a colon")
            self.at += 1
            self._skip()
            members.append(Member(key, begin, self._value()))
            self._skip()
            if self.text.startswith(",", self.at):
                members[-1].comma = self.at
                self.at += 1
        return Node(start, self.at, {member.key: member.node.value for member in members}, members)

    def _array(self, start: int) -> Node:
        values: list[Any] = []
        self.at += 1
        separated = True
        while not self._closed("]"):
            if not separated:
                raise self._wrong("a comma or ]")
            values.append(self._value().value)
            self._skip()
            separated = self.text.startswith(",", self.at)
            self.at += separated
        return Node(start, self.at, values)

    def _closed(self, mark: str) -> bool:
        self._skip()
        if self.text.startswith(mark, self.at):
            self.at += 1
            return True
        return False

    def _wrong(self, expected: str) -> ValueError:
        line = self.text.count("\n", 0, self.at) + 1
        column = self.at - self.text.rfind("\n", 0, self.at)
        return ValueError(f"line {line}, column {column}: expected {expected}")


def parse(text: str) -> Node | None:
    """Return the value with its places; None where there is none.

    Raises:
        ValueError: It is no JSON; says where.
    """
    try:
        return _Parser(text).document()
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read(text: str) -> Any:
    """Return what the text says; None where it is empty.

    Raises:
        ValueError: It is no JSON.
    """
    node = parse(text)
    return None if node is None else node.value


def put(text: str, path: Sequence[str], value: Any) -> str:
    """Return the text with the value at the end of the path, put in or replaced.

    Raises:
        ValueError: It is no JSON, or the path leads through something that is no object or stands there twice.
    """
    node = parse(text)
    line_end = "\r\n" if "\r\n" in text else "\n"
    if node is None:
        gap = "" if not text.strip("\ufeff") or text.endswith("\n") else line_end
        return text + gap + _dumped(_nested(path, value), "", "  ", line_end) + line_end
    unit = _unit(text, node)
    for place, key in enumerate(path):
        member = _member(node, key)
        rest = path[place + 1 :]
        if member is None:
            return _insert(text, node, key, _nested(rest, value), unit, line_end)
        if not rest and member.node.value == value:
            return text
        if not rest:
            shown = (
                _compact(value)
                if "\n" not in text.strip()
                else _dumped(value, _indent(text, member.start), unit, line_end)
            )
            return text[: member.node.start] + shown + text[member.node.end :]
        node = member.node
    raise ValueError("the path is empty")


def drop(text: str, path: Sequence[str]) -> str:
    """Return the text without the entry at the end of the path; the text itself where there is none.

    Raises:
        ValueError: As `put`.
    """
    node = parse(text)
    for key in path[:-1]:
        member = None if node is None else _member(node, key)
        if member is None:
            return text
        node = member.node
    member = None if node is None else _member(node, path[-1])
    if node is None or member is None or node.members is None:
        return text
    at = node.members.index(member)
    end = member.node.end if member.comma is None else member.comma + 1
    start = len(text[: member.start].rstrip(" \t\r\n"))
    if len(node.members) == 1 and not text[node.start + 1 : start] + text[end : node.end - 1].strip():
        return text[: node.start + 1] + text[node.end - 1 :]
    left = text[:start] + text[end:]
    before = node.members[at - 1].comma if at and member.comma is None else None
    return left if before is None else left[:before] + left[before + 1 :]


def _member(node: Node, key: str) -> Member | None:
    if node.members is None:
        raise ValueError("where the entries belong, something else than an object stands")
    found = [member for member in node.members if member.key == key]
    if len(found) > 1:
        raise ValueError(f"{json.dumps(key)} stands there twice")
    return found[0] if found else None


def _insert(text: str, node: Node, key: str, value: Any, unit: str, line_end: str) -> str:
    if node.members is None:
        raise ValueError("where the entries belong, something else than an object stands")
    name = f"{json.dumps(key)}: "
    if not node.members:
        if "\n" not in text.strip():
            return text[: node.start + 1] + name + _compact(value) + text[node.start + 1 :]
        outer = _indent(text, node.start)
        shown = name + _dumped(value, outer + unit, unit, line_end)
        closing = "" if "\n" in text[node.start + 1 : node.end] else line_end + outer
        return f"{text[: node.start + 1]}{line_end}{outer}{unit}{shown}{closing}{text[node.start + 1 :]}"
    last = node.members[-1]
    after = last.node.end if last.comma is None else last.comma + 1
    remark = _SAME_LINE.match(text, after)
    at = remark.end() if remark else after
    has_own_line = "\n" in text[node.start : node.members[-1].start]
    if has_own_line or "//" in text[after:at]:
        inner = _indent(text, last.start)
        shown = line_end + inner + name + _dumped(value, inner, unit, line_end)
    else:
        shown = f" {name}{_compact(value)}"
    if last.comma is not None:
        return f"{text[:at]}{shown},{text[at:]}"
    return f"{text[:after]},{text[after:at]}{shown}{text[at:]}"


def _nested(path: Sequence[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _dumped(value: Any, indent: str, unit: str, line_end: str) -> str:
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return (line_end + indent).join(lines)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indent(text: str, at: int) -> str:
    """Return the blanks at the beginning of the line."""
    line = text[max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1 : at].lstrip("\ufeff")
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str, root: Node) -> str:
    """Return the indentation of one level, as the file has it."""
    first = root.members[0] if root.members else None
    if first is not None and "\n" in text[root.start : first.start]:
        return _indent(text, first.start) or "  "
    return "  "
