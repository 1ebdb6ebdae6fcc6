"""Folders and files that nobody else can read or put something in the place of."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from kallyai_mcp.journal.trouble import ELSEWHERE, unusable

if TYPE_CHECKING:
    from pathlib import Path

POSIX = os.name == "posix"
"""Whether owner and mode mean something here."""

_ELSE = "Move it away, or name another folder with --state-dir."


def require_folder(folder: Path) -> None:
    """Make a folder with those above it, 0700 whatever the umask says, or check the one that is there.

    Raises:
        InvalidSettings: It is no folder, belongs to somebody else, or others may write to it ("journal_unusable").
        OSError: It cannot be made.
    """
    if not folder.exists():
        _make(folder)
    facts = folder.stat()
    if not stat.S_ISDIR(facts.st_mode):
        raise unusable(folder, "cannot be made, for its folder is a file", ELSEWHERE)
    if not POSIX:
        return
    if facts.st_uid != os.geteuid():
        raise unusable(folder, "cannot be kept there, for the folder belongs to another user", ELSEWHERE)
    if facts.st_mode & 0o022:
        remedy = f"Run: chmod go-w {folder}. Or name a folder of your own with --state-dir."
        raise unusable(folder, "cannot be kept there, for others may write to the folder", remedy)


def require_file(path: Path) -> None:
    """Make an empty file, 0600 whatever the umask says, or check the one that is there. It is not opened.

    Closing a file drops the locks that this process holds on it (POSIX.1-2017, fcntl), those of SQLite included. So
    one that is there already is only looked at. The folder is the user's own: nobody can put another in its place.

    Raises:
        InvalidSettings: It is no plain file, belongs to somebody else, or is open to others ("journal_unusable").
        OSError: It cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)
    except FileExistsError:
        pass
    else:
        try:
            if POSIX:
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode):
        raise unusable(path, "is a symbolic link", _ELSE)
    if not stat.S_ISREG(facts.st_mode):
        raise unusable(path, "is not a plain file", _ELSE)
    if not POSIX:
        return
    if facts.st_uid != os.geteuid():
        raise unusable(path, "belongs to another user", ELSEWHERE)
    if facts.st_mode & 0o077:
        raise unusable(path, f"is open to others (mode {facts.st_mode & 0o777:04o})", f"Run: chmod 600 {path}")
    if facts.st_nlink > 1:
        raise unusable(path, "has a second name (hard link)", "Remove the other name.")


def _make(folder: Path) -> None:
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        try:
            each.mkdir(mode=0o700)
        except FileExistsError:
            continue  # another process was faster
        if POSIX:
            each.chmod(0o700)
