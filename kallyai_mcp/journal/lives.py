"""Which processes are alive: each holds the kernel's lock on a file of its own, and loses it whatever ends it.

No process number is asked: those are given out again. The file's name is new each time the journal is opened. Others
may be looked at only inside a write transaction, so that two who look at a dead one do not take each other for it.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from kallyai_mcp.journal import private
from kallyai_mcp.journal.trouble import unusable

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_NAME = re.compile("[0-9a-f]{32}")
_ATTEMPTS = 200
_PAUSE = 0.005
"""Somebody who looks for dead files may hold a new one for a moment, or remove it."""


class Lives:
    """The files in one folder.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self.instance = ""
        """This process's own name; empty while it is not alive."""

    def begin(self) -> None:
        """Be alive, under a new name, or again under the old one if its file was removed.

        Raises:
            InvalidSettings: The folder is not safe, or its file system has no locks ("journal_unusable").
            OSError: The file cannot be made.
        """
        if self._descriptor is not None and self._path(self.instance).exists():
            return
        private.require_folder(self._folder)
        name = self.instance or uuid.uuid4().hex
        for _ in range(_ATTEMPTS):
            descriptor = os.open(self._path(name), _FLAGS | os.O_CREAT, 0o600)
            if _is_locked(descriptor) and os.fstat(descriptor).st_nlink:
                if private.POSIX:
                    os.fchmod(descriptor, 0o600)  # whatever the umask says: others must be able to look
                if self._descriptor is not None:
                    os.close(self._descriptor)
                self._descriptor, self.instance = descriptor, name
                return
            os.close(descriptor)
            time.sleep(_PAUSE)
        raise unusable(self._folder, "cannot be locked")

    def end(self) -> None:
        """Be dead to all others, and leave no file."""
        if self._descriptor is None:
            return
        path = self._path(self.instance)
        _remove(path, self._descriptor)
        self._descriptor, self.instance = None, ""

    def is_alive(self, instance: str) -> bool:
        """Whether an instance still runs. A dead one's file is removed; of one that cannot be looked at, yes."""
        if instance == self.instance:
            return True
        if not _NAME.fullmatch(instance):
            return False
        path = self._path(instance)
        try:
            descriptor = os.open(path, _FLAGS)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            is_dead = _is_locked(descriptor)
        except OSError:
            is_dead = False
        if is_dead:
            _remove(path, descriptor)
        else:
            os.close(descriptor)
        return not is_dead

    def sweep(self) -> None:
        """Remove the files of all that are dead."""
        with suppress(OSError):
            for path in list(self._folder.iterdir()):
                self.is_alive(path.name)

    def _path(self, instance: str) -> Path:
        return self._folder / instance


def _is_locked(descriptor: int) -> bool:
    from filelock import lock_descriptor  # here, for a journal that is not used needs no lock

    return lock_descriptor(descriptor, blocking=False)


def _remove(path: Path, descriptor: int) -> None:
    """Remove a file while its lock is held, and then close it; where nobody can remove an open file, the other way."""
    if private.POSIX:
        with suppress(OSError):
            path.unlink()
    os.close(descriptor)
    if not private.POSIX:
        with suppress(OSError):
            path.unlink()
