"""Which tools there are under one set of settings, decided from names alone: no command is imported for it.

What the operator sets is an upper bound. Toolsets add up, exclusion beats inclusion, read-only beats both. Where
anything is exposed that acts or spends, `kallyai_acts` and `kallyai_stop` are exposed with it unless they are excluded
by name: whoever can begin something can see what became of it and end it. So are, with whatever is exposed,
`kallyai_more` and `kallyai_wait`, which go on with an answer or a run.

`index.json` is generated from the declarations: for each tool its domain, whether it only reads, whether its runs are
recorded, and its tokens.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kallyai_mcp.errors import InvalidSettings, UnknownCommand
from kallyai_mcp.exposure import surface, wording
from kallyai_mcp.tool_settings import ToolSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kallyai_mcp.errors import KallyError

__all__ = [
    "ALL",
    "BRAKES",
    "BUDGETS",
    "CORE",
    "CORE_NAME",
    "FIRST",
    "FOLLOWERS",
    "Entry",
    "Exposure",
    "accompanied",
    "dump",
    "exposed",
    "index",
    "toolsets",
    "toolsets_of",
]

FILE = Path(__file__).with_name("index.json")
ALL, CORE_NAME = "all", "core"

CORE = (
    *("ask", "coord_goal", "coord_goals", "coord_message", "coord_approve_step", "coord_cancel_goal"),
    *("calls_make", "calls_info", "calls_transcript", "calls_history"),
    *("inbound_calls", "inbound_voicemails", "messages_inbox"),
    *("actions_booking_create", "actions_calendar_slots", "actions_email_send", "actions_email_approve"),
    *("email_list", "email_read", "email_respond", "search_quick"),
    *("budget_estimate", "credits_balance", "notifications_pending", "acts", "stop", "login"),
)
"""The toolset `core`, without the common beginning of the names: what people want on an ordinary day."""

BRAKES = ("kallyai_acts", "kallyai_stop")
"""Exposed with whatever acts or spends."""

FOLLOWERS = ("kallyai_more", "kallyai_wait")
"""Exposed with everything: the rest of a long answer, and the end of a long run."""

FIRST = "kallyai_ask"
"""Listed before all others: the way in for most requests."""

BUDGETS = {ALL: 14_000, CORE_NAME: 3_500, "search": 1_500}
"""Most tokens (o200k) of the list of tools: of everything, of `core`, and of the surface `search`."""


class Entry(NamedTuple):
    """What the index knows of a tool.

    Attributes:
        domain: Its domain, empty for a tool of the search surface.
        reads: Whether it changes and spends nothing.
        recorded: Whether a run is written down: it acts, or it spends.
        tokens: Tokens of name, description and input schema.
    """

    domain: str
    reads: bool
    recorded: bool
    tokens: int


@cache
def index() -> Mapping[str, Entry]:
    """Return the tools in the order of the list: the way in for most requests first, the others by name."""
    rows: dict[str, list[Any]] = json.loads(FILE.read_bytes())
    return {name: Entry(*row) for name, row in rows.items()}


@cache
def toolsets() -> Mapping[str, tuple[str, ...]]:
    """Return the toolsets and their tools: everything, the small choice, and one for each domain."""
    return toolsets_of(index())


def toolsets_of(entries: Mapping[str, Entry]) -> Mapping[str, tuple[str, ...]]:
    """Return the toolsets that an index makes."""
    sets: dict[str, list[str]] = {ALL: [], CORE_NAME: []}
    for name, entry in entries.items():
        if entry.domain:
            sets.setdefault(entry.domain, []).append(name)
            sets[ALL].append(name)
    sets[CORE_NAME] = [name for name in sets[ALL] if name.removeprefix("kallyai_") in CORE]
    return {name: tuple(tools) for name, tools in sets.items()}


def accompanied(entries: Mapping[str, Entry], names: Iterable[str]) -> set[str]:
    """Return tools together with those that come with them, whatever was chosen."""
    chosen = set(names)
    brakes = BRAKES if any(entries[name].recorded for name in chosen) else ()
    return {*chosen, *brakes, *FOLLOWERS}


@dataclass(frozen=True)
class Exposure:
    """Which tools there are.

    Attributes:
        settings: What decided it.
        runnable: Commands that can be run, in the order of the list.
        listed: What hosts are shown; under the search surface it is less than can be run, and has tools of its own.
    """

    settings: ToolSettings
    runnable: tuple[str, ...]
    listed: tuple[str, ...]

    def allows(self, tool: str) -> bool:
        """Whether a command can be run, by whatever door."""
        return tool in self._runnable

    def require(self, tool: str) -> None:
        """Refuse a command that is not exposed, in the words for one that does not exist.

        Raises:
            UnknownCommand: It is hidden, or there is none of this name.
        """
        if not self.allows(tool):
            raise UnknownCommand(tool)

    def is_hidden(self, tool: str) -> bool:
        """Whether a tool exists and is neither listed nor can be run."""
        return tool in index() and tool not in self._runnable and tool not in self.listed

    @property
    def is_whole(self) -> bool:
        """Whether every command can be run."""
        return len(self.runnable) == len(toolsets()[ALL])

    @property
    def searches(self) -> bool:
        """Whether tools are found rather than listed."""
        return self.settings.surface == "search"

    def advice(self, text: str) -> str:
        """Return what to do next without hidden tools."""
        return text if self.is_whole else wording.advice(text, self.is_hidden)

    def told(self, error: KallyError) -> KallyError:
        """Return an error that names no hidden tool.

        One that was asked for is named all the same, as one that does not exist is: nobody can tell the two apart.
        """
        if not self.is_whole:
            error.next_step = self.advice(error.next_step)
            if not isinstance(error, UnknownCommand):
                error.message = wording.description(error.message, self.is_hidden)
                error.details = wording.facts(error.details, self.is_hidden)
        return error

    def fitted(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return a definition whose texts name no hidden tool."""
        return dict(definition) if self.is_whole else wording.definition(definition, self.is_hidden)

    def named(self, name: str) -> str:
        """Return the tool that somebody means: its name, or the command's words.

        Raises:
            UnknownCommand: It is hidden, or there is none; the nearest that can be run are named.
        """
        tool = tool_name(name)
        if not self.allows(tool):
            raise UnknownCommand(_shown(name), near=nearest(tool, self.runnable), found_by=self._finder())
        return tool

    @property
    def tokens(self) -> dict[str, int]:
        """The tokens of each listed tool. Where texts leave hidden tools out, a tool has fewer."""
        return {name: index()[name].tokens for name in self.listed}

    def _finder(self) -> str | None:
        return surface.FIND if surface.FIND in self.listed else None

    @property
    def _runnable(self) -> frozenset[str]:
        return _as_set(self.runnable)


@cache
def _as_set(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)


def exposed(settings: ToolSettings | None = None) -> Exposure:
    """Return which tools there are.

    Raises:
        InvalidSettings: A toolset or a tool is named that does not exist, or nothing is left.
    """
    settings = settings or ToolSettings()
    excluded = {_excluded(name) for name in settings.exclude_tools}
    wanted = {tool for name in settings.toolsets or (ALL,) for tool in _toolset(name)}

    def within(names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in excluded and (index()[name].reads or not settings.read_only)]

    runnable = within(wanted)
    if not runnable:
        raise InvalidSettings(
            "The settings leave no tool.",
            next_step="Loosen --toolsets, --exclude-tools or --read-only (KALLYAI_TOOLSETS, KALLYAI_EXCLUDE_TOOLS, "
            "KALLYAI_READ_ONLY); `kallyai-mcp tools` shows what there is.",
        )
    runnable = within(accompanied(index(), runnable))
    in_order = tuple(name for name in toolsets()[ALL] if name in set(runnable))
    if settings.surface != "search":
        return Exposure(settings, in_order, in_order)
    own = [
        name for name in within(surface.TOOLS) if name != surface.RUN or not all(index()[one].reads for one in in_order)
    ]
    daily = tuple(name for name in surface.DAILY if name in in_order)
    # Where a tool that runs others is left out, so is what only it could have run.
    reachable = tuple(
        name
        for name in in_order
        if surface.RUN in own or name in daily or (surface.READ in own and index()[name].reads)
    )
    return Exposure(settings, reachable, (*own, *daily))


def tool_name(text: str) -> str:
    """Return the name of a tool as it was probably meant: `calls make`, `calls-make` and `calls_make` are one."""
    name = "_".join(text.strip().lower().replace("-", "_").split())
    return name if name.startswith("kallyai_") else f"kallyai_{name}"


def nearest(name: str, among: Iterable[str]) -> list[str]:
    """Return the tools whose names resemble a name, the nearest first."""
    return difflib.get_close_matches(name, list(among), n=3)


def _toolset(name: str) -> tuple[str, ...]:
    found = toolsets().get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name, list(toolsets()), n=1)
    raise InvalidSettings(
        f"--toolsets names '{_shown(name)}', which is no toolset." + (f" Did you mean {near[0]}?" if near else ""),
        next_step=f"Correct --toolsets or KALLYAI_TOOLSETS. There are {', '.join(toolsets())}.",
    )


def _excluded(name: str) -> str:
    tool = tool_name(name)
    if tool in index():
        return tool
    near = [one.removeprefix("kallyai_") for one in nearest(tool, index())]
    raise InvalidSettings(
        f"--exclude-tools names '{_shown(name)}', which is no tool."
        + (f" Did you mean {' or '.join(near)}?" if near else ""),
        next_step="Correct --exclude-tools or KALLYAI_EXCLUDE_TOOLS. `kallyai-mcp tools --names` lists the tools.",
    )


def _shown(name: str) -> str:
    return "".join(letter for letter in name[:64] if letter.isprintable()) or "(unnamed)"


def dump(entries: Mapping[str, Entry]) -> str:
    """Return the index as its file holds it, one tool a line."""
    rows = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
    return "{\n" + ",\n".join(rows) + "\n}\n"
