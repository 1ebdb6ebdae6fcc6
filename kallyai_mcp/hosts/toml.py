"""Edits TOML in place: an entry is a table of its own lines, put in or cut out; all other lines stay as they are.

Where an entry is written otherwise, such as in an inline table, tomlkit rewrites that table in its style.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEADER = re.compile(r"[ \t]*\[")


def read(text: str) -> Any:
    """Return what the text says.

    Raises:
        ValueError: It is no TOML; says where.
    """
    try:
        return tomllib.loads(_plain(text))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(str(error)[:1].lower() + str(error)[1:]) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def put(text: str, path: Sequence[str], value: Any) -> str:
    """Return the text with the table at the end of the path, put in or replaced.

    Raises:
        ValueError: It is no TOML, or it cannot be put in.
    """
    data = read(text)
    line_end = "\r\n" if "\r\n" in text else "\n"
    if _found(data, path) == value:
        return text
    block = _block(path, value, line_end)
    if _found(data, path) is None:
        gap = "" if not text or text.endswith("\n") else line_end
        candidate = f"{text}{gap}{line_end if text.strip() else ''}{block}"
    else:
        start, end = _lines_of(text, path)
        candidate = text[:start] + block + text[end:] if end > start else text
    if _reads_as(candidate, _with(data, path, value)):
        return candidate
    import tomlkit

    document = cast("Any", tomlkit.parse(text))
    inner = document
    for key in path[:-1]:
        if key not in inner:
            inner[key] = tomlkit.table()
        inner = inner[key]
    inner[path[-1]] = value
    return str(document.as_string())


def drop(text: str, path: Sequence[str]) -> str:
    """Return the text without the table at the end of the path; the text itself where there is none.

    Raises:
        ValueError: It is no TOML.
    """
    data = read(text)
    if _found(data, path) is None:
        return text
    wanted = _without(data, path)
    start, end = _lines_of(text, path)
    before = text[:start]
    for blank in ("\r\n\r\n", "\n\n"):
        if before.endswith(blank):
            before = before[: -len(blank) // 2]
            break
    if end > start and _reads_as(before + text[end:], wanted):
        return before + text[end:]
    import tomlkit

    document = cast("Any", tomlkit.parse(text))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner.remove(path[-1])
    return str(document.as_string())


def _block(path: Sequence[str], value: Mapping[str, Any], line_end: str) -> str:
    import tomlkit

    plain = {key: item for key, item in value.items() if not isinstance(item, dict)}
    lines = [f"[{_dotted(path)}]", *tomlkit.dumps(plain).splitlines()]
    for key, item in value.items():
        if isinstance(item, dict):
            inner = cast("Mapping[str, Any]", item)
            lines += ["", f"[{_dotted([*path, key])}]", *tomlkit.dumps(inner).splitlines()]
    return "".join(line + line_end for line in lines)


def _dotted(path: Sequence[str]) -> str:
    import tomlkit

    return ".".join(cast("Any", tomlkit.key(key)).as_string() for key in path)


def _lines_of(text: str, path: Sequence[str]) -> tuple[int, int]:
    """Return where the lines of a table and of those below it begin and end; twice 0 where it has none of its own."""
    word = r"\s*\.\s*".join(rf"[\"']?{re.escape(key)}[\"']?" for key in path)
    own = re.compile(rf"[ \t]*\[\s*{word}\s*(?:\.[^\]]*)?\][ \t]*(?:#[^\r\n]*)?\r?\n?$")
    at, start, end, inside = 0, 0, 0, False
    for line in text.splitlines(keepends=True):
        if _HEADER.match(line):
            if own.match(line):
                if not inside and end:
                    return 0, 0  # it is scattered
                start = at if not end else start
                inside = True
            elif not inside or not _continues_array(line):
                inside = False
        if inside and line.strip() and not line.lstrip().startswith("#"):
            end = at + len(line)
        at += len(line)
    return start, end


def _continues_array(line: str) -> bool:
    # A value of several lines, such as a list of lists, may have lines that look like a header.
    return not re.match(r"[ \t]*\[\[?[^\[\],]+\]\]?[ \t]*(?:#.*)?\r?\n?$", line)


def _found(data: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(data, dict):
            raise ValueError("where the entries belong, something else than a table stands")  # noqa: TRY004 - the file's fault
        data = cast("dict[str, Any]", data).get(key)
        if data is None:
            return None
    return data


def _with(data: Any, path: Sequence[str], value: Any) -> Any:
    key, *rest = path
    inner = data.get(key, {})
    return {**data, key: _with(inner, rest, value) if rest else value}


def _without(data: Any, path: Sequence[str]) -> Any:
    key, *rest = path
    if rest:
        return {**data, key: _without(data[key], rest)}
    return {name: value for name, value in data.items() if name != key}


def _reads_as(text: str, wanted: Any) -> bool:
    from kallyai_mcp.hosts.documents import without_empty

    try:
        return bool(without_empty(read(text)) == without_empty(wanted))
    except ValueError:
        return False
