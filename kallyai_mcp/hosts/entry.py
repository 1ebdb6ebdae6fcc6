"""The entry that a host is given: the command, and the settings that suit the host as variables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp import readers
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.hosts.command import Command
    from kallyai_mcp.hosts.host import Host

SURFACE = "KALLYAI_SURFACE"
APPROVAL = "KALLYAI_APPROVAL"
ANSWER_WITHIN = "KALLYAI_ANSWER_WITHIN"

DEFAULT_NAME = "kallyai"
ANSWER_SHARE = 0.75
"""Part of a host's patience after which an answer is given; the rest is for the way there and back."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)


def checked_name(name: str) -> str:
    """Return the name of an entry.

    Raises:
        InvalidSettings: Not all hosts take it.
    """
    if not _NAME.fullmatch(name):
        raise InvalidSettings(
            "--name must be 1 to 32 letters, digits, _ and -, and begin with a letter.",
            next_step=f"Correct or leave out --name; without it the entry is called {DEFAULT_NAME}.",
        )
    return name


def variables_for(host: Host, flags: Mapping[str, str | bool | None]) -> dict[str, str]:
    """Return the variables of an entry: what suits the host, and over it what was given.

    Only variables that this version reads are written. No secret is among them, since what is secret has no flag.

    Args:
        host: For which host.
        flags: Flags that were given, by the names of the settings; their values were checked before.
    """
    suited = {APPROVAL: "ask"}
    if host.surface is not None:
        suited[SURFACE] = host.surface
    if host.answer_limit is not None:
        suited[ANSWER_WITHIN] = str(int(host.answer_limit * ANSWER_SHARE))
    known = {setting.variable for setting in SETTINGS}
    given: dict[str, str] = {}
    for setting in SETTINGS:
        value = flags.get(setting.name)
        if setting.flag is not None and value not in (None, False):
            given[setting.variable] = "1" if value is True else _absolute(setting.read, str(value).strip())
    return {name: value for name, value in suited.items() if name in known} | given


def _absolute(read: Any, text: str) -> str:
    # The host starts the program in a folder of its own choice.
    return str(Path(readers.path(text)).absolute()) if read is readers.path else text


def entry_of(host: Host, command: Command, variables: Mapping[str, str], name: str = DEFAULT_NAME) -> dict[str, Any]:
    """Return the entry as the host writes it."""
    first, *rest = command.words
    its_command, its_arguments, its_variables = host.names
    entry: dict[str, Any] = {}
    more = {key: name if value == "{name}" else value for key, value in host.more.items()}
    for key in ("type", "name"):
        if key in more:
            entry[key] = more.pop(key)
    if host.command_list:
        entry[its_command] = [first, *rest]
    else:
        entry[its_command] = first
        entry[its_arguments] = rest
    if variables:
        entry[its_variables] = dict(variables)
    return entry | more


def parts_of(host: Host, entry: Mapping[str, Any]) -> tuple[list[str], dict[str, str]] | None:
    """Return command with arguments, and variables, of an entry; None where it has none that make sense."""
    its_command, its_arguments, its_variables = host.names
    command: Any = entry.get(its_command)
    arguments: Any = entry.get(its_arguments) or []
    if not host.command_list and not isinstance(arguments, list):
        return None
    words: Any = command if host.command_list else [command, *arguments]
    variables: Any = entry.get(its_variables) or {}
    if not isinstance(words, list) or not words or not words[0] or not isinstance(variables, dict):
        return None
    listed, named = cast("list[Any]", words), cast("dict[Any, Any]", variables)
    if not all(isinstance(word, str) for word in listed):
        return None
    return listed, {str(key): str(value) for key, value in named.items()}
