"""Putting an entry for this program into a host's configuration, and taking it out again."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from kallyai_mcp.cli.event_loop import run_async
from kallyai_mcp.cli.output import AGREE, DONE, UsageError, emit, print_json, print_laid_out, say
from kallyai_mcp.cli.person import nobody, terminal
from kallyai_mcp.cli.text import PROGRAM, visible
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.exposure import exposed
from kallyai_mcp.hosts import (
    HOSTS,
    Change,
    System,
    entry_of,
    find_command,
    find_host,
    place_of,
    plan_install,
    plan_uninstall,
    variables_for,
)
from kallyai_mcp.hosts.change import entry_in
from kallyai_mcp.hosts.documents import put
from kallyai_mcp.hosts.entry import DEFAULT_NAME, checked_name
from kallyai_mcp.hosts.files import backup_of
from kallyai_mcp.serving import STDIO
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from kallyai_mcp.hosts import Command, Host

SCOPES = ("user", "project")
_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_SECRET = re.compile(
    r"""((?:key|token|secret|passw|auth|cred|cookie|session)[\w.-]*["']?\s*[:=,]\s*)("(?:\\.|[^"\\])*"|'[^']*'|[^\s,}"'#]+)""",
    re.IGNORECASE,
)
"""The value of a field whose name speaks of a secret, in any of the forms."""


def install(
    parsed: Namespace,
    flags: Mapping[str, str | bool | None],
    *,
    as_json: bool,
    system: System | None = None,
    command: Command | None = None,
) -> int:
    """Put an entry into a host's configuration, or list the hosts.

    Args:
        parsed: What was typed.
        flags: The settings' flags that were given; their values were checked.
        as_json: Whether to print one JSON document.
        system: Where the host is looked for; this machine if None.
        command: What the host is to run; this installation's if None.
    """
    system = system or System.here()
    name = checked_name(parsed.name or DEFAULT_NAME)
    if parsed.host is None:
        return _list(system, name, as_json=as_json)
    host, scope = find_host(parsed.host), _scope(parsed.scope)
    command = command or find_command(system.environment, home=system.home)
    variables = variables_for(host, flags)
    _require_startable(host, Settings.read(variables))
    entry = entry_of(host, command, variables, name)
    if parsed.only_print:
        return _print(host, system, scope, entry, name, as_json=as_json)
    path = place_of(host, system, scope)
    change = plan_install(host, path, entry, name)
    facts: dict[str, Any] = {"host": host.name, "path": str(path), "name": name, "entry": entry}
    if not change.is_needed:
        return _told(facts | {"changed": False}, f"{host.title} has this entry already, in {path}.", as_json=as_json)
    if not _agreed(change, host, "Add --yes to change it, or --print to see the entry.", parsed.yes, as_json=as_json):
        return _nothing(facts, as_json=as_json)
    change.make()
    kept = backup_of(path)
    told = f"{host.title} has the entry {name} now, in {path}."
    if kept.exists():
        facts["backup"] = str(kept)
        told += f" The file as it was: {kept.name}, beside it."
    if scope == "project" or (scope is None and "user" not in host.scopes):
        told += " It names a path of this machine: think of that before you share the file."
    told += f" {host.restart} Whether all is well tells: {PROGRAM} doctor --host {host.name}"
    return _told(facts | {"changed": True, "next": host.restart}, told, as_json=as_json)


def uninstall(parsed: Namespace, *, as_json: bool, system: System | None = None) -> int:
    """Take the entry out of a host's configuration. The arguments are those of `install`."""
    system = system or System.here()
    name = checked_name(parsed.name or DEFAULT_NAME)
    if parsed.host is None:
        raise UsageError("Name the host.", next_step=f"'{PROGRAM} install' lists them, and which have an entry.")
    host = find_host(parsed.host)
    path = place_of(host, system, _scope(parsed.scope))
    change = plan_uninstall(host, path, name)
    facts: dict[str, Any] = {"host": host.name, "path": str(path), "name": name}
    if not change.is_needed:
        return _told(facts | {"changed": False}, f"{host.title} has no entry {name} in {path}.", as_json=as_json)
    if not _agreed(change, host, "Add --yes to change it.", parsed.yes, as_json=as_json):
        return _nothing(facts, as_json=as_json)
    change.make()
    return _told(
        facts | {"changed": True, "next": host.restart},
        f"The entry {name} is gone from {path}. {host.restart}",
        as_json=as_json,
    )


def _require_startable(host: Host, settings: Settings) -> None:
    """Refuse settings with which the host could not use the program, before they are in a file where nobody sees why.

    Raises:
        InvalidSettings: They name what does not exist, leave no tool, or do not suit the host.
    """
    exposed(settings.tools)
    if settings.serving.transport != (STDIO,) or settings.organisation.many_people:
        raise InvalidSettings(
            f"{host.title} starts the program and speaks with it over stdin and stdout, not over HTTP.",
            next_step=f"Leave out --transport and --organisation; '{PROGRAM} serve --transport http' prints an entry "
            "for hosts that connect by URL.",
        )
    if host.answer_limit is not None and settings.answer_within >= host.answer_limit:
        raise InvalidSettings(
            f"Answers could take {settings.answer_within:g} s, and {host.title} waits {host.answer_limit} s.",
            next_step="Leave out --answer-within, or make it some seconds less than that.",
        )


def _scope(text: str | None) -> str | None:
    if text is not None and text not in SCOPES:
        raise UsageError(f"--scope must be {' or '.join(SCOPES)}.", next_step="Correct or leave out --scope.")
    return text


def _print(host: Host, system: System, scope: str | None, entry: dict[str, Any], name: str, *, as_json: bool) -> int:
    try:
        place: Path | None = place_of(host, system, scope)
    except InvalidSettings:
        place = None
    if as_json:
        print_json({"host": host.name, "path": None if place is None else str(place), "name": name, "entry": entry})
        return DONE
    say(f"For {host.title}{'' if place is None else f', in {place}'}:\n")
    sys.stdout.write(visible(put(host.format, "", [*host.key, name], entry)))
    return DONE


def _list(system: System, name: str, *, as_json: bool) -> int:
    rows: list[dict[str, Any]] = [
        {"name": host.name, "host": host.title, "scope": scope, "path": str(path), "entry": has}
        for host in HOSTS
        for scope in host.scopes
        for path, has in _looked_at(host, system, scope, name)
    ]
    if as_json:
        print_json({"hosts": rows})
        return DONE
    shown = {True: "yes", False: "-", None: "?"}
    told = [
        {"name": row["name"], "scope": row["scope"], "entry": shown[row["entry"]], "path": _short(row, system)}
        for row in rows
    ]
    print_laid_out({"hosts": told})
    say(f"\nConnect one: {PROGRAM} install claude-desktop")
    return DONE


def _short(row: Mapping[str, Any], system: System) -> str:
    """Return a place as people write it: from the folder of the project, or from the user's home."""
    path, is_ones_own = Path(row["path"]), row["scope"] == "user"
    folder = system.home if is_ones_own else system.folder
    return str(Path("~" if is_ones_own else "", path.relative_to(folder)) if path.is_relative_to(folder) else path)


def _looked_at(host: Host, system: System, scope: str, name: str) -> list[tuple[Path, bool | None]]:
    try:
        path = place_of(host, system, scope)
    except InvalidSettings:
        return []  # it does not exist here
    try:
        return [(path, entry_in(host, path, name) is not None)]
    except InvalidSettings:
        return [(path, None)]


def _agreed(change: Change, host: Host, otherwise: str, yes: bool, *, as_json: bool) -> bool:
    """Show the change and have a person agree, unless that was done by `--yes`."""
    if not as_json:
        emit(shown_diff(change), sys.stdout)
    if yes:
        return True
    with terminal() as person:
        if person is None:
            raise nobody("The question whether to change this", otherwise)
        if as_json:
            person.show(shown_diff(change))
        return bool(run_async(person.agrees, f"Change the configuration of {host.title}?"))


def shown_diff(change: Change) -> Text:
    """Return the change for people, without what others keep secret in the file."""
    text = Text()
    for line in without_secrets(change.diff()).splitlines():
        text.append(
            f"{visible(line)}\n", style="bold" if line.startswith(("+++", "---")) else _STYLES.get(line[:1], "")
        )
    return text


def without_secrets(diff: str) -> str:
    """Return a diff with the values masked that belong to names which speak of secrets."""
    return _SECRET.sub(lambda found: f'{found[1]}"…"', diff)


def _nothing(facts: Mapping[str, Any], *, as_json: bool) -> int:
    _told({**facts, "changed": False}, "Nothing was changed.", as_json=as_json)
    return AGREE


def _told(facts: Mapping[str, Any], sentence: str, *, as_json: bool) -> int:
    if as_json:
        print_json(json.loads(json.dumps(facts)))
    else:
        say(sentence, sys.stdout)
    return DONE
