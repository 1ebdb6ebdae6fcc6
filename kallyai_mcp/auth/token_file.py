"""The token file: shared with the KallyAI command line, 0600 from its first byte, replaced as a whole, under a lock.

Fields and mode are those of the API's facts ("token_file"). State of our own never goes in here.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from contextlib import suppress
from dataclasses import replace as with_changes
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from kallyai_mcp.auth.lock import LOCK_WAIT, locked, reason
from kallyai_mcp.auth.pair import TokenPair, is_token
from kallyai_mcp.auth.store import Stamp, UnreadableTokenFile

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from kallyai_mcp.auth.clock import Clock

LARGEST_FILE = 64 * 1024
SIGN_IN_REMEDY = "Sign in again (kallyai-mcp login), which replaces the file, or remove it."
ELSEWHERE = (
    "Put the token file in a folder of a local disk where you may write (--token-file), or set KALLYAI_ACCESS_TOKEN."
)


class TokenFile:
    """One token file and its lock.

    Args:
        path: Where it is.
        clock: For the wait for the lock.
        posix: Whether owner and mode mean something here; Windows has neither, nor `O_NOFOLLOW`.
    """

    kind: ClassVar[str] = "token file"
    erases_unlocked: ClassVar[bool] = True

    def __init__(self, path: Path, clock: Clock, *, posix: bool = os.name == "posix") -> None:
        self._path = path
        self._clock = clock
        self._posix = posix
        self._cached: tuple[Stamp, TokenPair] | None = None

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    @property
    def place(self) -> str:
        """The path."""
        return str(self.path)

    async def prepare(self) -> None:
        """Nothing; a file is read at once."""

    def stamp(self) -> Stamp | None:
        """The file's stamp at this moment; None when there is no file.

        Raises:
            UnreadableTokenFile: The folder cannot be looked into.
        """
        try:
            return Stamp.of(self.path.lstat())
        except (FileNotFoundError, NotADirectoryError):  # the latter where a home folder is /dev/null
            return None
        except OSError as error:
            raise self._refused(f"cannot be looked at ({reason(error)})", ELSEWHERE) from None

    def read(self) -> TokenPair | None:
        """The tokens in the file; None when there is no file. An unchanged file costs one stat.

        Raises:
            UnreadableTokenFile: Not a plain file, not the user's own, open to others, or without tokens in it.
        """
        stamp = self.stamp()
        if stamp is None:
            self._cached = None
            return None
        if self._cached and self._cached[0] == stamp:
            return self._cached[1]
        self._cached = None
        if stat.S_ISLNK(stamp.mode):
            raise self._refused("is a symbolic link", "Put the file itself there, or name its target as token file.")
        content, opened = self._content()
        if content is None:
            return None
        pair = with_changes(self._parse(content), written_at=opened.modified_ns / 1e9)
        self._cached = (opened, pair)
        return pair

    def replace(self, pair: TokenPair) -> None:
        """Put new tokens in place of the old. The caller holds the lock.

        On failure the old file is still there, whole, and no temporary file is left if that can be helped.

        Raises:
            OSError: Disk full, no rights, I/O error.
            UnreadableTokenFile: Something stands there that is not the user's plain file.
        """
        self.require_replaceable()
        fields: dict[str, object] = {"access_token": pair.access_token}
        if pair.refresh_token:
            fields["refresh_token"] = pair.refresh_token
        fields["expires_at"] = int(pair.expires_at)
        self._write(json.dumps(fields).encode("ascii"))
        self._cached = None

    def remove(self) -> bool:
        """Remove the file, and a temporary file that a killed process left. Whether there was one.

        Raises:
            UnreadableTokenFile: It is no plain file, or cannot be removed.
        """
        self._cached = None
        with suppress(OSError):
            self._temporary.unlink()
        stamp = self.stamp()
        if stamp is None:
            return False
        if not stat.S_ISREG(stamp.mode):
            raise self._refused("is not a plain file and was not removed", "Remove it by hand.")
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._refused(f"cannot be removed ({reason(error)})", "Remove it by hand.") from None
        return True

    def locked(self, wait: float = LOCK_WAIT) -> AbstractAsyncContextManager[None]:
        """Hold the lock beside the file.

        Raises:
            TransportError: Somebody else held it all the time ("token_file_busy").
            UnreadableTokenFile: It cannot be made, or this file system has no locks.
        """
        return locked(Path(f"{self.path}.lock"), self._clock, wait, remedy=ELSEWHERE)

    @property
    def _temporary(self) -> Path:
        return self.path.with_name(self.path.name + ".tmp")

    def _content(self) -> tuple[bytes | None, Stamp]:
        flags = os.O_RDONLY
        for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
            flags |= getattr(os, name, 0)
        try:
            descriptor = os.open(self.path, flags)
        except FileNotFoundError:
            return None, Stamp(0, 0, 0, 0, 0, 0)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise self._refused("is a symbolic link", "Put the file itself there.") from None
            raise self._refused(f"cannot be opened ({reason(error)})", f"chmod 600 {self.path}") from None
        try:
            facts = os.fstat(descriptor)
            self._require_private(Stamp.of(facts), links=facts.st_nlink)
            return self._read_all(descriptor), Stamp.of(facts)
        except OSError as error:
            raise self._refused(f"cannot be read ({reason(error)})", SIGN_IN_REMEDY) from None
        finally:
            os.close(descriptor)

    def _read_all(self, descriptor: int) -> bytes:
        content = b""
        while chunk := os.read(descriptor, LARGEST_FILE + 1 - len(content)):
            content += chunk
            if len(content) > LARGEST_FILE:
                raise self._refused("is too large to be a token file", SIGN_IN_REMEDY)
        return content

    def _require_private(self, stamp: Stamp, links: int) -> None:
        if not stat.S_ISREG(stamp.mode):
            raise self._refused("is not a plain file", "Remove it, or name another file with --token-file.")
        if not self._posix:
            return
        if stamp.owner != os.geteuid():
            raise self._refused("belongs to another user", "Take a file of your own with --token-file.")
        if stamp.mode & 0o177:
            raise self._refused(f"is open to others (mode {stamp.mode & 0o777:04o})", f"Run: chmod 600 {self.path}")
        if links > 1:
            raise self._refused("has a second name (hard link)", "Copy it to a new file in its place, mode 0600.")

    async def write(self, pair: TokenPair) -> None:
        """Put new tokens in place of the old; see `replace`."""
        self.replace(pair)

    async def erase(self) -> bool:
        """Remove the tokens; see `remove`."""
        return self.remove()

    def require_replaceable(self) -> None:
        """Check that what stands there, if anything, is the user's own plain file.

        Raises:
            UnreadableTokenFile: It is something else.
        """
        stamp = self.stamp()
        if stamp is None:
            return
        if not stat.S_ISREG(stamp.mode):
            raise self._refused("is not a plain file", "Remove it, or name another file with --token-file.")
        if self._posix and stamp.owner != os.geteuid():
            raise self._refused("belongs to another user", "Take a file of your own with --token-file.")

    def _parse(self, content: bytes) -> TokenPair:
        try:
            loaded: Any = json.loads(content)
        except (ValueError, RecursionError):
            raise self._refused("is not JSON", SIGN_IN_REMEDY) from None
        if not isinstance(loaded, dict):
            raise self._refused("is not a JSON object", SIGN_IN_REMEDY)
        fields = cast("dict[str, Any]", loaded)
        if not is_token(fields.get("access_token")):
            raise self._refused("has no usable access_token", SIGN_IN_REMEDY)
        refresh_token = fields.get("refresh_token") or None
        if refresh_token is not None and not is_token(refresh_token):
            raise self._refused("has an unusable refresh_token", SIGN_IN_REMEDY)
        expires_at = fields.get("expires_at")
        if isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
            raise self._refused("has no numeric expires_at", SIGN_IN_REMEDY)
        return TokenPair(fields["access_token"], refresh_token, _moment(expires_at))

    def _write(self, content: bytes) -> None:
        temporary = self._temporary
        with suppress(FileNotFoundError):
            temporary.unlink()  # left by a process that was killed; nobody else writes here while we hold the lock
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_BINARY"):
            flags |= getattr(os, name, 0)
        descriptor = os.open(temporary, flags, 0o600)
        try:
            try:
                if self._posix:
                    os.fchmod(descriptor, 0o600)  # the umask may have taken bits away; others insist on exactly 0600
                written = 0
                while written < len(content):
                    written += os.write(descriptor, content[written:])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._move(temporary)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        if self._posix:
            with suppress(OSError):  # the new file is in place; only its surviving a power cut is less certain
                _sync_folder(self.path.parent)

    def _move(self, temporary: Path) -> None:
        attempts = 1 if self._posix else 5
        for attempt in range(1, attempts + 1):
            try:
                temporary.replace(self.path)
            except PermissionError:  # on Windows a reader blocks the replacement for a moment
                if attempt == attempts:
                    raise
                time.sleep(0.02)
            else:
                return

    def _refused(self, fact: str, remedy: str) -> UnreadableTokenFile:
        return UnreadableTokenFile(f"The token file {self.path} {fact}.", next_step=remedy)


def _moment(value: float) -> float:
    """Unix seconds; a value beyond all numbers counts as long past, which costs one refresh."""
    try:
        moment = float(value)
    except OverflowError:
        return 0.0
    return moment if abs(moment) < 1e15 else 0.0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
