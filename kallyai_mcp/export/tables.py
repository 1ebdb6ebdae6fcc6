"""The tables of the README, made from the declarations, the settings and the error codes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kallyai_mcp import catalog
from kallyai_mcp.errors import OWN_CODES
from kallyai_mcp.export.tokens import index_entries
from kallyai_mcp.exposure import ALL, CORE_NAME, accompanied, surface, toolsets_of
from kallyai_mcp.model import Effect
from kallyai_mcp.model.codes import CODES, STATUS_FALLBACKS
from kallyai_mcp.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kallyai_mcp.model import Command

_EFFECTS = {Effect.READ: "reads", Effect.WRITE: "changes", Effect.DESTROY: "destroys"}


def sections() -> dict[str, str]:
    """Return the generated parts of the README that come from the declarations, by name."""
    return {"toolsets": toolsets(), "tools": tools(), "settings": settings(), "errors": errors()}


def toolsets() -> str:
    """Return the table of toolsets and of the search surface, with tools and tokens of the list that hosts get."""
    entries = index_entries()
    about = {ALL: "Everything; the default.", CORE_NAME: "What people want on an ordinary day."}
    about |= {domain.name: domain.summary for domain in catalog.DOMAINS}
    lists = {
        f"`{name}`": (about[name], tuple(accompanied(entries, names))) for name, names in toolsets_of(entries).items()
    }
    searching = (*surface.TOOLS, *surface.DAILY)
    lists["`--surface search`"] = ("Few tools that find, describe and run all others.", searching)
    rows = [
        (name, what, str(len(names)), f"{sum(entries[one].tokens for one in names):,}")
        for name, (what, names) in lists.items()
    ]
    return table(("Toolset", "What it is for", "Tools", "Tokens"), rows)


def tools() -> str:
    """Return one table of tools for each domain."""
    parts: list[str] = []
    for domain in catalog.DOMAINS:
        rows = [(f"`{c.tool}`", first_sentence(c.description), ", ".join(marks(c))) for c in domain.commands]
        parts.append(f"**{domain.name}**: {domain.summary}\n\n{table(('Tool', 'What it does', 'Effect'), rows)}")
    return "\n\n".join(parts)


def marks(command: Command) -> list[str]:
    """Return in words what a run does to the world."""
    facts = {
        _EFFECTS[command.effect]: True,
        "spends credits": command.costs_credits,
        "costs money": command.costs_money,
        "contacts people": command.contacts_people,
        "diverts": command.diverts,
        "needs no sign-in": command.public,
    }
    return [mark for mark, holds in facts.items() if holds]


def settings() -> str:
    """Return the table of settings, and of the variables that hold credentials."""
    rows = settings_rows([setting.name for setting in SETTINGS])
    used: dict[str, list[str]] = {}
    for command in catalog.all_commands():
        if command.environment is not None:
            for fields in command.environment.fields.values():
                for variable in fields.values():
                    used.setdefault(variable, []).append(f"`{command.tool}`")
    rows += [("", _code(variable), "", f"Credential for {' and '.join(by)}.") for variable, by in used.items()]
    return table(("Flag", "Variable", "Default", "Meaning"), rows)


def settings_rows(names: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Return the rows of these settings: flag, variable, default, meaning."""
    by_name = {setting.name: setting for setting in SETTINGS}
    return [
        (_code(s.flag), _code(s.variable), s.default if " " in s.default else _code(s.default), s.help)
        for s in map(by_name.__getitem__, names)
    ]


def errors() -> str:
    """Return the table of the API's codes and that of our own."""
    api = [
        (f"`{c.code}`", str(c.http_status), "yes" if c.retryable else "no", c.meaning, c.next_step)
        for c in (*CODES.values(), *STATUS_FALLBACKS.values())
    ]
    own = [(f"`{code}`", meaning) for code, meaning in OWN_CODES.items()]
    return "\n\n".join(
        [
            "Refusals of the API:",
            table(("Code", "Status", "Retryable", "Meaning", "What to do"), api),
            "Errors of this program:",
            table(("Code", "Meaning"), own),
        ]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in GitHub Flavored Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    # GitHub Flavored Markdown, 4.10: a pipe within a cell is escaped, and a cell is one line.
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def first_sentence(text: str) -> str:
    """Return the first sentence of a description."""
    text = " ".join(text.split())
    found = re.match(r".+?[.!?](?=\s+(?:[A-Z`]|kallyai_)|$)", text)
    return found[0] if found else text
