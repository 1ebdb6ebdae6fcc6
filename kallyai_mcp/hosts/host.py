"""What is known of a host, and the system that it runs on."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from kallyai_mcp.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

PLATFORMS = {"macos": "macOS", "windows": "Windows", "linux": "Linux"}
"""Systems that are told apart, by the names used here."""

GUI_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
"""PATH of a program that macOS starts from the Dock or the Finder: that of launchd, not of the shell (launchctl(1))."""


class Format(Enum):
    """How a host writes its configuration."""

    JSONC = "JSON with comments"
    TOML = "TOML"
    YAML = "YAML"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host. What its documentation does not tell is None.

    Attributes:
        name: As it is typed.
        title: As people call it.
        source: Page of its documentation that tells where and how.
        key: Keys that lead to the entries.
        places: Configuration of a user, by platform; `~`, `%APPDATA%` and variables with `$` are filled in. A variable
            that is not set is replaced by what follows its `:-`.
        alternatives: Other names that the file may have in the same folder; the one that exists is taken.
        project: The same for one project, below its folder; None where there is none.
        format: How the file is written.
        command_list: Whether command and arguments stand in one list.
        names: What the host calls command, arguments and variables.
        more: Further fields of an entry.
        windowed: Whether it is started by a click, with the PATH of that.
        tool_limit: Most tools, of all servers together.
        answer_limit: Seconds that it waits for the answer of a tool, with the entry that is written here.
        start_limit: Seconds within which the server must be ready.
        elicitation: Whether it shows the questions of a server.
        surface: Which surface is written, where not the usual one.
        restart: What makes the host read its configuration again.
    """

    name: str
    title: str
    source: str
    key: tuple[str, ...] = ("mcpServers",)
    places: Mapping[str, str] = field(default_factory=dict[str, str])
    alternatives: tuple[str, ...] = ()
    project: str | None = None
    format: Format = Format.JSONC
    command_list: bool = False
    names: tuple[str, str, str] = ("command", "args", "env")
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    windowed: bool = True
    tool_limit: int | None = None
    answer_limit: int | None = None
    start_limit: int | None = None
    elicitation: bool | None = None
    surface: str | None = None
    restart: str = "Restart it."

    @property
    def scopes(self) -> tuple[str, ...]:
        """For whom it can be configured."""
        return ("user",) * bool(self.places) + ("project",) * (self.project is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Where a host is looked for.

    Attributes:
        platform: One of `PLATFORMS`.
        home: The user's folder.
        environment: Variables.
        folder: The project's folder.
    """

    platform: str
    home: Path
    environment: Mapping[str, str]
    folder: Path

    @classmethod
    def here(cls) -> System:
        """Return this machine, this user, and the current folder.

        Raises:
            InvalidSettings: The user has no home folder.
        """
        try:
            home = Path.home()
        except RuntimeError:
            raise InvalidSettings(
                "This user has no home folder, so that no host's configuration can be found.",
                next_step="Set HOME to the folder in which the host keeps its files.",
            ) from None
        platform = {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")
        return cls(platform=platform, home=home, environment=dict(os.environ), folder=Path.cwd())


def place_of(host: Host, system: System, scope: str | None = None) -> Path:
    """Return the host's configuration file; it need not exist.

    Args:
        host: Whose.
        system: On which machine.
        scope: "user" or "project"; the host's first one if None.

    Raises:
        InvalidSettings: The host has none of this scope, or is not made for this system.
    """
    scope = scope or host.scopes[0]
    if scope not in host.scopes:
        raise InvalidSettings(
            f"{host.title} has no configuration for a {scope}.", next_step=f"Use --scope {host.scopes[0]}."
        )
    if scope == "project":
        assert host.project is not None  # noqa: S101 - it is among the scopes
        return _existing(system.folder.joinpath(*host.project.split("/")), host.alternatives)
    if system.platform not in host.places:
        raise InvalidSettings(
            f"{host.title} does not exist for {PLATFORMS[system.platform]}, or its documentation does not say where it "
            "keeps its configuration there.",
            next_step="To paste it by hand where this host has you put it: install with --print shows the entry.",
        )
    return _existing(_filled(host.places[system.platform], system), host.alternatives)


def _filled(template: str, system: System) -> Path:
    parts: list[str] = []
    base: Path | None = None
    for part in template.split("/"):
        if part == "~":
            base = system.home
        elif part == "%APPDATA%":
            base = _folder(system, "APPDATA", system.home / "AppData" / "Roaming")
        elif part.startswith("$"):
            variable, _, otherwise = part[1:].partition(":-")
            base = _folder(system, variable, system.home.joinpath(*otherwise.split("|")))
        else:
            parts.append(part)
    return (base or system.home).joinpath(*parts)


def _folder(system: System, variable: str, otherwise: Path) -> Path:
    text = system.environment.get(variable, "")
    pure = PureWindowsPath(text) if system.platform == "windows" else PurePosixPath(text)
    # XDG Base Directory Specification: a relative path is to be ignored.
    return Path(text) if text and pure.is_absolute() else otherwise


def _existing(path: Path, alternatives: tuple[str, ...]) -> Path:
    if not path.exists():
        for name in alternatives:
            if path.with_name(name).exists():
                return path.with_name(name)
    return path
