"""The command that a host is to run: an absolute path that stays where it is.

Hosts that are started by a click do not have the PATH of a shell. How the program was installed decides what stays:

    uvx             the environment is thrown away some time: the path of uvx itself, and the name of the package
    uv tool, pipx   the link in the folder of commands, which is set anew by each upgrade
    anything else   the script beside this interpreter, or the interpreter with `-m kallyai_mcp`
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kallyai_mcp.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = "kallyai-mcp"


@dataclass(frozen=True, slots=True)
class Command:
    """What a host runs.

    Attributes:
        words: The program's absolute path and its arguments.
        how: How the program was installed, in words.
    """

    words: tuple[str, ...]
    how: str


def find_command(
    environment: Mapping[str, str],
    *,
    home: Path,
    prefix: Path | None = None,
    executable: Path | None = None,
    windows: bool = sys.platform == "win32",
) -> Command:
    """Return the command of this installation.

    Args:
        environment: Variables, of which PATH, UV, UV_CACHE_DIR and LOCALAPPDATA are looked at.
        home: The user's folder.
        prefix: Root of the Python environment; this process's if None.
        executable: The interpreter; this process's if None.
        windows: Whether scripts are named as on Windows.

    Raises:
        InvalidSettings: It was started by uvx, and uvx is nowhere to be found.
    """
    prefix = Path(sys.prefix) if prefix is None else prefix
    executable = Path(sys.executable) if executable is None else executable
    path = environment.get("PATH", "")
    if _is_passing(prefix, environment, home):
        return _by_uvx(environment, path)
    script = prefix / ("Scripts" if windows else "bin") / (f"{PACKAGE}.exe" if windows else PACKAGE)
    found = shutil.which(PACKAGE, path=path)
    if found is not None and script.exists():
        link = Path(found).absolute()
        if link != script and _same(link, script):
            return Command((str(link),), _installer(prefix))
    if os.access(script, os.X_OK):
        return Command((str(script.absolute()),), _installer(prefix))
    return Command((str(executable.absolute()), "-m", "kallyai_mcp"), "a Python environment without its script")


def _is_passing(prefix: Path, environment: Mapping[str, str], home: Path) -> bool:
    """Whether the environment lies in uv's cache, from which it may vanish at any time."""
    caches = [home / ".cache" / "uv"]
    if "UV_CACHE_DIR" in environment:
        caches.append(Path(environment["UV_CACHE_DIR"]))
    if "XDG_CACHE_HOME" in environment:
        caches.append(Path(environment["XDG_CACHE_HOME"]) / "uv")
    if "LOCALAPPDATA" in environment:
        caches.append(Path(environment["LOCALAPPDATA"]) / "uv" / "cache")
    place = prefix.resolve()
    return any(place.is_relative_to(cache.resolve()) for cache in caches) or "archive-v0" in place.parts


def _by_uvx(environment: Mapping[str, str], path: str) -> Command:
    uvx = shutil.which("uvx", path=path)
    if uvx is not None:
        return Command((str(Path(uvx).absolute()), PACKAGE), "uvx")
    uv = environment.get("UV") or shutil.which("uv", path=path)  # uv tells its children where it is
    if uv is not None and Path(uv).is_absolute():
        return Command((uv, "tool", "run", PACKAGE), "uvx")
    raise InvalidSettings(
        "The program runs out of uv's cache, which may be emptied, and neither uvx nor uv is on the PATH.",
        next_step="Install it to stay: uv tool install kallyai-mcp. Then run that one's 'kallyai-mcp install' again.",
    )


def _same(link: Path, script: Path) -> bool:
    try:
        # On Windows the folder of commands holds a copy in place of a link.
        return link.samefile(script) or (link.suffix == ".exe" and link.read_bytes() == script.read_bytes())
    except OSError:
        return False


def _installer(prefix: Path) -> str:
    parts = [part.lower() for part in prefix.parts]
    if "pipx" in parts:
        return "pipx"
    return "uv tool" if "uv" in parts and "tools" in parts else "a Python environment"
