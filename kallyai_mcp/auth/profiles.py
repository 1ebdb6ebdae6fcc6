"""Which profiles have tokens on this machine, found by the names of their files; none of them is opened."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from kallyai_mcp import readers
from kallyai_mcp.auth.boundary import token_path
from kallyai_mcp.auth.keyring_store import FOLDER, origin_of
from kallyai_mcp.settings import DEFAULT_PROFILE

if TYPE_CHECKING:
    from pathlib import Path

    from kallyai_mcp.settings import Settings


def profiles(settings: Settings) -> list[str]:
    """Return the names of the profiles with tokens for the settings' API, and that of the settings' own, sorted."""
    found = _in_keyring(settings) if settings.store == "keyring" else _in_files(settings)
    return sorted({settings.profile, *found}, key=lambda name: (name != DEFAULT_PROFILE, name))


def _in_files(settings: Settings) -> list[str]:
    path = token_path(replace(settings, profile=DEFAULT_PROFILE))
    suffix = path.suffix or ".json"
    pattern = re.compile(rf"{re.escape(path.stem)}\.([a-z0-9_-]{{1,32}}){re.escape(suffix)}", re.ASCII)
    found = [match[1] for name in _names(path.parent) if (match := pattern.fullmatch(name))]
    # A file of this name would be none of ours: the default profile has the file without a name.
    return [name for name in found if name != DEFAULT_PROFILE] + [DEFAULT_PROFILE] * _exists(path)


def _in_keyring(settings: Settings) -> list[str]:
    found: list[str] = []
    for name in _names(settings.state_folder / FOLDER):
        profile, _, origin = unquote(name).partition("@")
        if origin != origin_of(settings):
            continue
        try:
            found.append(readers.profile(profile))
        except ValueError:
            continue
    return found


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:
        return False
    return True
