"""The checks of hosts: is the entry there, does its command work, and what would the host cut or refuse."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.cli.doctor.finding import Check, Finding, Status
from kallyai_mcp.cli.doctor.starting import Started, start
from kallyai_mcp.cli.text import PROGRAM
from kallyai_mcp.errors import KallyError
from kallyai_mcp.hosts import HOSTS, place_of
from kallyai_mcp.hosts.change import entry_in
from kallyai_mcp.hosts.entry import ANSWER_WITHIN, parts_of
from kallyai_mcp.hosts.host import GUI_PATH
from kallyai_mcp.settings import Settings, unknown_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.cli.program import Program
    from kallyai_mcp.hosts import Host, System

LONGEST_NAME = 64
"""Characters of a tool's name that Anthropic's and OpenAI's interfaces take, the host's prefix included."""

LONGEST_START = 20.0
"""Seconds that a start is waited for where the host's limit is not known."""

_OPEN = "mcp__{name}__"
"""The prefix of the longest kind, that of Claude Code."""


def checks_of_hosts(system: System, program: Program, host: Host | None, name: str) -> list[Check]:
    """Return the checks of one host, or of all that have an entry."""
    checks: list[Check] = []
    for one in HOSTS if host is None else (host,):
        places = _places(one, system, name, wanted=host is not None)
        checks += [
            Check(
                "entry",
                one.name,
                one.title,
                partial(_look, one, system, path, name, is_own=is_own),
                within=_patience(one) + 15,
            )
            for path, is_own in places
        ]
    return checks


def _places(host: Host, system: System, name: str, *, wanted: bool) -> list[tuple[Path, bool]]:
    """Return the files that have the entry, and those that cannot be read; for a host that is wanted its first one.

    With each goes whether it is the user's own; one of a project may have come with somebody else's files.
    """
    places: list[tuple[Path, bool]] = []
    first: tuple[Path, bool] | None = None
    for scope in host.scopes:
        try:
            path = place_of(host, system, scope)
        except KallyError:
            continue
        if any(path == other for other, _ in [*places, *([first] if first else [])]):
            continue  # the current folder is the home folder: it is the user's own
        place = (path, scope == "user")
        first = first or place
        try:
            has = entry_in(host, path, name) is not None
        except KallyError:
            has = True
        places += [place] * has
    if not places and wanted:
        return [first] if first is not None else [(place_of(host, system, host.scopes[0]), False)]
    return places


async def _look(host: Host, system: System, path: Path, name: str, *, is_own: bool = True) -> list[Finding]:
    def finding(check: str, status: Status, message: str, remedy: str = "", **facts: Any) -> Finding:
        return Finding(check, host.name, status, message, remedy, {"path": str(path), **facts})

    again = f"Run: {PROGRAM} install {host.name}"
    try:
        entry = entry_in(host, path, name)
    except KallyError as error:
        return [finding("entry", Status.FAILED, error.message, error.next_step)]
    if entry is None:
        return [finding("entry", Status.FAILED, f"{path} has no entry {name}.", again)]
    fields: Mapping[str, Any] = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    parts = parts_of(host, fields)
    if parts is None:
        return [finding("entry", Status.FAILED, f"The entry {name} in {path} names no command.", again)]
    words, variables = parts
    found = [finding("entry", Status.OK, f"{path} has the entry {name}.")]
    if fields.get("disabled") is True or fields.get("enabled") is False:
        found.append(finding("enabled", Status.NOTE, f"It is switched off there or in {host.title}.", "Switch it on."))
    seen = environment_of(host, system) | variables
    program = _resolved(words[0], seen)
    if program is None:
        said = f"{host.title} finds no program {words[0]}"
        said += f" on its PATH ({seen.get('PATH', '')})." if os.sep not in words[0] else ", or it is not executable."
        return [*found, finding("command", Status.FAILED, said, f"{again}, which writes the whole path.")]
    found.append(finding("command", Status.OK, f"{program} is there and can be run.", command=program))
    try:
        settings = Settings.read(seen)
    except KallyError as error:
        return [*found, finding("variables", Status.FAILED, error.message, f"{error.next_step} It stands in {path}.")]
    found.append(_of_variables(host, fields, variables, path, finding))
    if not is_own:
        # Hosts ask whether a folder is trusted before they start what stands in its files.
        said = f"Not started: {path} stands in this folder, and may have come with it."
        return [*found, finding("start", Status.NOTE, said, f"Look into it; then {host.title} may start it.")]
    limit = float(host.start_limit or LONGEST_START)
    started = await start([program, *words[1:]], seen, within=_patience(host))
    found += _of_start(host, started, limit, finding, again)
    if started.tools is not None:
        found += _of_limits(host, name, started.tools, variables, settings, finding)
    return found


def _of_variables(
    host: Host, entry: Mapping[str, Any], variables: Mapping[str, str], path: Path, finding: Any
) -> Finding:
    written: Mapping[Any, Any] = entry.get(host.names[2]) or {}
    if no_text := sorted(str(name) for name, value in written.items() if not isinstance(value, str)):
        message = f"{', '.join(no_text)}: hosts take text only, and some leave out the whole entry."
        return finding("variables", Status.FAILED, message, f"Put the value in quotes, in {path}.", variables=no_text)
    if unknown := sorted(unknown_variables(variables)):
        message = f"{', '.join(unknown)}: there is no such setting, so that it does nothing."
        remedy = f"Correct or remove it in {path}; {PROGRAM} --help lists the settings."
        return finding("variables", Status.NOTE, message, remedy, variables=unknown)
    count = "1 variable" if len(variables) == 1 else f"{len(variables)} variables"
    return finding("variables", Status.OK, f"{count}, all right.", variables=sorted(variables))


def _patience(host: Host) -> float:
    """Seconds for which a start is waited for: as long as the host does, and long enough to tell what is wrong."""
    return max(float(host.start_limit or 0), LONGEST_START)


def environment_of(host: Host, system: System) -> dict[str, str]:
    """Return the variables that a host hands on: those of the session, with the PATH that the host has.

    Hosts hand on few variables or all; what is set here for this program alone is not among them.
    """
    kept = {key: value for key, value in system.environment.items() if not key.startswith("KALLYAI_")}
    if host.windowed and system.platform == "macos":
        kept["PATH"] = GUI_PATH
    return kept


def _resolved(word: str, environment: Mapping[str, str]) -> str | None:
    if Path(word).is_absolute():
        return word if Path(word).is_file() and os.access(word, os.X_OK) else None
    return shutil.which(word, path=environment.get("PATH", ""))


def _of_start(host: Host, started: Started, limit: float, finding: Any, again: str) -> list[Finding]:
    if started.tools is None:
        remedy = f"Start it by hand to see more, or write it anew. {again}"
        return [finding("start", Status.FAILED, f"The command does not serve: {started.problem}", remedy)]
    message = f"Ready after {started.seconds:.1f} s, with {len(started.tools)} tools."
    facts = {"seconds": round(started.seconds, 2), "limit": host.start_limit, "tools": len(started.tools)}
    if started.seconds > limit:
        remedy = f"{host.title} gives up after {limit:g} s. Start it again; a second start is faster."
        return [finding("start", Status.FAILED, message, remedy, **facts)]
    return [finding("start", Status.OK, message, **facts)]


def _of_limits(
    host: Host, name: str, tools: list[str], variables: Mapping[str, str], settings: Settings, finding: Any
) -> list[Finding]:
    found: list[Finding] = []
    if host.tool_limit is not None and len(tools) > host.tool_limit:
        message = f"{len(tools)} tools; {host.title} takes {host.tool_limit}, those of other servers included."
        remedy = f"Switch some off in {host.title}, or run: {PROGRAM} install {host.name}"
        found.append(finding("tools", Status.NOTE, message, remedy, tools=len(tools), limit=host.tool_limit))
    prefix = _OPEN.format(name=name)
    if long := [tool for tool in tools if len(prefix + tool) > LONGEST_NAME]:
        message = (
            f"With the host's prefix {prefix} {len(long)} names of tools are longer than {LONGEST_NAME} characters."
        )
        found.append(finding("names", Status.NOTE, message, "Choose a shorter --name.", names=long))
    if (within := _answer_within(variables)) is not None and host.answer_limit and within >= host.answer_limit:
        message = f"Answers may take {within:g} s, and {host.title} waits {host.answer_limit} s."
        remedy = f"Set {ANSWER_WITHIN} lower, or run: {PROGRAM} install {host.name}"
        found.append(finding("answers", Status.FAILED, message, remedy, within=within, limit=host.answer_limit))
    if settings.safety.approval == "ask" and not host.elicitation:
        sure = "does not show" if host.elicitation is False else "may not show"
        message = f"{host.title} {sure} this server's questions: acts are then agreed to on a page or in a terminal."
        found.append(finding("approvals", Status.NOTE, message, f"{PROGRAM} approve lists what waits."))
    return found


def _answer_within(variables: Mapping[str, str]) -> float | None:
    try:
        return float(variables[ANSWER_WITHIN])
    except (KeyError, ValueError):
        return None
