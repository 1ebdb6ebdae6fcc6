"""Answers of any shape, laid out for people: facts, tables, dialogues and trees.

object               label  value, one a line
list of objects      a table; below one another where it would be too wide
turns of a call      a dialogue
objects in objects   the same again, indented; a tree where they are called children
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from kallyai_mcp.cli.text import visible

if TYPE_CHECKING:
    from rich.console import RenderableType

_GAP = 2
_NARROWEST_TEXT = 14
_INLINE = 60
_MANY = 2
_FEW_COLUMNS = 3
_KEPT_LONGEST = (
    ("status", "title", "name", "subject", "description"),
    ("from", "to", "business_name", "caller_number", "phone", "phone_number", "email", "url"),
    ("created_at", "received_at", "timestamp", "result_summary", "summary", "price"),
)
"""Fields by which people tell entries apart and act on them, the most telling first."""

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?")
_UNITS = {"_seconds": "s", "_minutes": "min", "_percent": "%"}
_SPEAKERS = {"AI": "Assistant", "HUMAN": "Person"}
_NAMES = ("title", "name", "description", "id")
_ACRONYMS = {"id": "ID", "url": "URL", "uri": "address", "ai": "AI", "vip": "VIP", "sms": "SMS", "iso": "ISO"}

Facts = dict[str, Any]


def laid_out(data: Facts, width: int) -> RenderableType:
    """Return an answer as something rich can print within `width` columns."""
    if not data:
        return Text("Done.")
    if isinstance(data.get("children"), list):
        return _tree(data)
    return Group(*_blocks(data, width))


def label(key: str) -> str:
    """Return the name of a field as people write it: `credits_used` as Credits used."""
    for ending in _UNITS:
        key = key.removesuffix(ending)
    words = [_ACRONYMS.get(word, word) for word in visible(key).replace("_", " ").split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def _blocks(data: Facts, width: int) -> list[RenderableType]:
    blocks: list[RenderableType] = []
    facts: Facts = {}

    def finish_facts() -> None:
        if facts:
            blocks.append(facts_grid(dict(facts)))
            facts.clear()

    for key, value in data.items():
        if _fits_a_line(value):
            facts[key] = value
            continue
        finish_facts()
        if blocks:
            blocks.append(Text())
        alone = len(data) == 1
        inner = _nested(value, width if alone else width - _GAP)
        blocks += [inner] if alone else [Text(label(key), style="bold"), Padding(inner, (0, 0, 0, _GAP))]
    if facts and blocks:
        blocks.append(Text())
    finish_facts()
    return blocks


def _nested(value: Any, width: int) -> RenderableType:
    if isinstance(value, dict):
        inner = cast("Facts", value)
        return _by_name(inner, width) or laid_out(inner, width)
    entries = cast("list[Any]", value)
    if not all(isinstance(entry, dict) for entry in entries):
        return Group(*(_bullet(entry) for entry in entries))
    rows = cast("list[Facts]", entries)
    if all({"speaker", "content"} <= row.keys() for row in rows):
        return _dialogue(rows)
    if any(row.get("children") for row in rows):
        return Group(*(_tree(row) for row in rows))
    return _table(rows, width) or _below_one_another(rows, width)


def _by_name(data: Facts, width: int) -> RenderableType | None:
    """Return objects of one shape that stand under their names as a table."""
    first, *others = data.values()
    if not isinstance(first, dict) or not others:
        return None
    fields = cast("Facts", first).keys()
    if any(not isinstance(other, dict) or cast("Facts", other).keys() != fields for other in others):
        return None
    return _table([{"": name, **fields} for name, fields in data.items()], width)


def _fits_a_line(value: Any) -> bool:
    if isinstance(value, dict):
        inner = cast("Facts", value)
        return not inner or (not any(isinstance(item, dict | list) for item in inner.values()) and _is_short(inner))
    if isinstance(value, list):
        entries = cast("list[Any]", value)
        return not entries or (not any(isinstance(entry, dict | list) for entry in entries) and _is_short(entries))
    return True


def _is_short(value: Any) -> bool:
    return len(in_a_line(value)) <= _INLINE


def in_a_line(value: Any, key: str = "") -> str:
    """Return a value as text without line structure of its own, harmless to a terminal."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        unit = next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), "")
        number = str(int(value)) if float(value).is_integer() else str(value)
        return f"{number} {unit}".strip()
    if isinstance(value, dict):
        inner = cast("Facts", value)
        return ", ".join(f"{label(k).lower()} {in_a_line(v, k)}" for k, v in inner.items()) or "none"
    if isinstance(value, list):
        return ", ".join(in_a_line(entry) for entry in cast("list[Any]", value)) or "none"
    text = visible(str(value))
    if moment := _MOMENT.fullmatch(text):
        day, minute, zone = moment.groups()
        return f"{day} {minute}" + (" UTC" if zone == "Z" else f" {zone}" if zone else "")
    return text


def facts_grid(data: Facts) -> Table:
    """Return label and value, one a line."""
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for key, value in data.items():
        grid.add_row(Text(label(key)), Text(in_a_line(value, key)))
    return grid


def _table(rows: list[Facts], width: int) -> RenderableType | None:
    """Return the rows as a table, or None where it says more to show them below one another.

    Of many rows what does not fit is left out, which is then said.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row))
    keys = [key for key in keys if _says_something(key, rows)]
    columns = [column for key in keys if (column := _column(key, rows)) is not None]
    left_out = [key for key in keys if key not in {column.key for column in columns}]
    while _needed(columns) > width and columns:
        least = max(columns, key=lambda column: column.rank)
        columns.remove(least)
        left_out.append(least.key)
    if left_out and (len(rows) < _MANY or len(columns) < _FEW_COLUMNS):
        return None
    # The box draws a blank between columns, which is one of the gap.
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold"
    )
    for column in columns:
        table.add_column(
            Text(label(column.key)),
            min_width=column.least,
            no_wrap=column.in_one_piece,
            overflow="fold",
            justify="right" if column.numbers else "left",
        )
    for row in rows:
        table.add_row(*(Text(in_a_line(row[c.key], c.key) if c.key in row else "") for c in columns))
    if not left_out:
        return table
    names = ", ".join(label(key).lower() for key in keys if key in left_out)
    return Group(table, Text(f"Left out: {names}. --json shows everything.", style="dim"))


def _says_something(key: str, rows: list[Facts]) -> bool:
    """Whether a column tells more than that nothing is known, or what one before it tells."""
    values = [row.get(key) for row in rows]
    if all(value is None for value in values):
        return False
    before = list(rows[0])[: list(rows[0]).index(key)] if key in rows[0] else []
    return not any(isinstance(rows[0][other], str) and [row.get(other) for row in rows] == values for other in before)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column, the least width it needs, and how soon it is left out (a high rank first)."""

    key: str
    least: int
    in_one_piece: bool
    numbers: bool
    rank: tuple[int, int]


def _column(key: str, rows: list[Facts]) -> _Column | None:
    values = [row.get(key) for row in rows]
    if not all(_fits_a_line(value) for value in values):
        return None
    texts = [in_a_line(value, key) for value in values]
    whole = max(len(text) for text in texts)
    # What is copied or compared, such as an identifier or a moment, stays in one piece.
    in_one_piece = all(" " not in text or _is_moment(text) for text in texts)
    least = max(len(label(key)), whole if in_one_piece else min(whole, _NARROWEST_TEXT))
    numbers = all(isinstance(value, int | float | None) and not isinstance(value, bool) for value in values)
    known = next((place for place, names in enumerate(_KEPT_LONGEST) if key in names), len(_KEPT_LONGEST))
    first = list(rows[0])
    names_the_row = key == "id" or (key.endswith("_id") and key == first[0])
    rank = (0, 0) if names_the_row else (1 + known, first.index(key) if key in first else len(first))
    return _Column(key, least, in_one_piece, numbers, rank)


def _needed(columns: list[_Column]) -> int:
    return sum(column.least + _GAP for column in columns) - _GAP


def _is_moment(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d(?: \S+)?", text) is not None


def _below_one_another(rows: list[Facts], width: int) -> Group:
    parts: list[RenderableType] = []
    for row in rows:
        if parts:
            parts.append(Text())
        parts.append(laid_out(row, width))
    return Group(*parts)


def _dialogue(turns: list[Facts]) -> Table:
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    timed = any(turn.get("timestamp") for turn in turns)
    if timed:
        grid.add_column(style="dim", no_wrap=True)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for turn in turns:
        speaker = in_a_line(turn["speaker"])
        said = [Text(_SPEAKERS.get(speaker, speaker)), Text(in_a_line(turn["content"]))]
        grid.add_row(*([Text(in_a_line(turn.get("timestamp") or ""))] if timed else []), *said)
    return grid


def _tree(data: Facts) -> Tree:
    tree = Tree(_branch(data))
    _grow(tree, data)
    return tree


def _grow(tree: Tree, data: Facts) -> None:
    for child in cast("list[Any]", data.get("children") or []):
        if isinstance(child, dict):
            _grow(tree.add(_branch(cast("Facts", child))), cast("Facts", child))
        else:
            tree.add(_bullet(child))


def _branch(data: Facts) -> Text:
    name = next((key for key in _NAMES if data.get(key)), None)
    others = {key: value for key, value in data.items() if key not in {name, "children"}}
    text = Text(in_a_line(data[name]) if name else "", style="bold")
    return text.append(f"  {in_a_line(others)}" if others else "", style="not bold")


def _bullet(value: Any) -> Text:
    return Text(f"- {in_a_line(value)}")
