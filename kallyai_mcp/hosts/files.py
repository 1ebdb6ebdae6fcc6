"""Reads and replaces a host's configuration file, and loses nothing of it whatever happens in between.

The new content is written beside the file, made durable, and put in its place in one step (rename(2)); mode and owner
stay. A file that is not a plain one of the user's own, or that has changed meanwhile, is left alone.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from kallyai_mcp.errors import InvalidSettings

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 32 * 1024 * 1024
BACKUP = ".kallyai-backup"
"""What the name of the copy ends with that is kept of a file before its first change."""

POSIX = os.name == "posix"
_BY_HAND = "Nothing was changed. Change it by hand; install with --print shows the entry."


def refused(path: Path, fact: str, next_step: str = _BY_HAND) -> InvalidSettings:
    """Make the error of a file that is left alone."""
    return InvalidSettings(f"{path} {fact}.", next_step=next_step)


def load(path: Path) -> bytes | None:
    """Return what the file holds; None where there is none.

    Raises:
        InvalidSettings: It is no plain file of the user's own, or cannot be read.
    """
    try:
        facts = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refused(path, f"cannot be looked at ({error.strerror})") from None
    if stat.S_ISLNK(facts.st_mode):
        raise refused(
            path,
            f"is a symbolic link to {path.resolve()}",
            "Nothing was changed. Change the file that it leads to by hand; install with --print shows the entry.",
        )
    if not stat.S_ISREG(facts.st_mode):
        raise refused(path, "is not a plain file")
    if POSIX and facts.st_uid != os.geteuid():
        raise refused(path, "belongs to another user")
    if facts.st_nlink > 1:
        raise refused(path, "has a second name (hard link), which a change would part from it")
    if facts.st_size > LARGEST:
        raise refused(path, "is larger than any configuration")
    try:
        return path.read_bytes()
    except OSError as error:
        raise refused(path, f"cannot be read ({error.strerror})") from None


def text_of(path: Path, content: bytes) -> str:
    """Return the content as text, each character of it as it is.

    Raises:
        InvalidSettings: It is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise refused(path, "is not written in UTF-8", "Nothing was changed. Save it as UTF-8 and try again.") from None


def backup_of(path: Path) -> Path:
    """Return where the copy of a file is kept."""
    return path.with_name(path.name + BACKUP)


def replace(path: Path, before: bytes | None, after: bytes) -> None:
    """Put new content in place of the old.

    Args:
        path: The file.
        before: What it held when the change was worked out; None where there was none.
        after: What it is to hold.

    Raises:
        InvalidSettings: It has changed since, or the system refuses. The old content is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            _write(temporary, path, after)
            _require_same(path, before)
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink()
        _sync_folder(path)
    except OSError as error:
        raise refused(path, f"cannot be written ({error.strerror or type(error).__name__})") from None


def remove(path: Path, before: bytes) -> None:
    """Remove a file that still holds what it did.

    Raises:
        InvalidSettings: It has changed since, or the system refuses.
    """
    _require_same(path, before)
    try:
        path.unlink()
    except OSError as error:
        raise refused(path, f"cannot be removed ({error.strerror})") from None


def _require_same(path: Path, before: bytes | None) -> None:
    if load(path) != before:
        raise refused(
            path, "was changed by another program meanwhile", "Nothing was changed. Close the host, and try again."
        )


def _write(temporary: Path, path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_BINARY"):
        flags |= getattr(os, name, 0)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        if sys.platform != "win32":
            with suppress(FileNotFoundError):  # a new file keeps 0600: hosts write secrets into theirs
                facts = path.stat()
                if (facts.st_uid, facts.st_gid) != (os.geteuid(), os.fstat(descriptor).st_gid):
                    os.fchown(descriptor, facts.st_uid, facts.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(facts.st_mode))
        written = 0
        while written < len(content):
            written += os.write(descriptor, content[written:])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    if not POSIX:
        return
    with suppress(OSError):  # the new file is in place; only its surviving a power cut is less certain
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
