"""A secret in a file of its own, shared by all processes of a folder; whoever is first makes it."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_POSIX = os.name == "posix"


def shared_secret(path: Path, make: Callable[[], bytes], length: int) -> bytes:
    """Return the secret in a file; one that is missing is made, 0600 and whole from its first moment.

    Args:
        path: Where it is, or is to be.
        make: Gives a new secret.
        length: Bytes of one.

    Raises:
        OSError: It cannot be read or made, or what stands there is not the user's own plain file, closed to others.
    """
    try:
        return _read(path, length)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _put(path, make())
        return _read(path, length)


def _put(path: Path, secret: bytes) -> None:
    """Put a secret at `path`, whole from its first moment, unless there is one by then."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, _flags(os.O_WRONLY | os.O_CREAT | os.O_EXCL), 0o600)
    try:
        try:
            if _POSIX:
                os.fchmod(descriptor, 0o600)  # the umask may have taken bits away
            os.write(descriptor, secret)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):
            os.link(temporary, path)  # unlike a rename, it never takes the place of another's
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path, length: int) -> bytes:
    descriptor = os.open(path, _flags(os.O_RDONLY))
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError("it is not a plain file")
        if _POSIX and facts.st_uid != os.geteuid():
            raise OSError("it belongs to another user")
        if _POSIX and facts.st_mode & 0o177:
            raise OSError(f"it is open to others, mode {facts.st_mode & 0o777:04o}")
        secret = os.read(descriptor, length + 1)
    finally:
        os.close(descriptor)
    if len(secret) != length:
        raise OSError("it holds no key; remove it")
    return secret


def _flags(flags: int) -> int:
    for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    return flags
