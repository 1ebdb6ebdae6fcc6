"""Tokens in the system's keyring, where the user asked for that. Without it there is an error, never another place.

A keyring cannot say whether an entry has changed, and may ask a person before it answers. So a file of ours without
secrets, the mark, is touched with each change: an unchanged mark means that what was read last is still right.
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace as with_changes
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast
from urllib.parse import quote

import anyio
import anyio.to_thread

from kallyai_mcp.auth.lock import LOCK_WAIT, locked, reason
from kallyai_mcp.auth.pair import TokenPair, as_number, is_token
from kallyai_mcp.auth.store import KeyringUnusable, Stamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from kallyai_mcp.auth.clock import Clock
    from kallyai_mcp.settings import Settings

T = TypeVar("T")
SERVICE = "kallyai-mcp"
FOLDER = "keyring"
PATIENCE = 60.0
USE_FILE = "Use --token-store file, which keeps the tokens in a file that only you can read."


class Backend(Protocol):
    """A keyring of the `keyring` library."""

    @property
    def priority(self) -> float:
        """How well it protects; the library recommends those from 1 on."""
        ...

    def get_password(self, service: str, username: str) -> str | None:
        """Return an entry."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Make or change an entry."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Remove an entry."""
        ...


class KeyringStore:
    """One entry of the keyring, its mark and its lock.

    Args:
        user: Name of the entry: the profile, @, and the API's origin.
        folder: Where mark and lock are.
        clock: For the wait for the lock.
        backend: The keyring; the one that the `keyring` library chooses, by default.
    """

    kind: ClassVar[str] = "keyring"
    erases_unlocked: ClassVar[bool] = True

    def __init__(self, user: str, folder: Path, clock: Clock, backend: Backend | None = None) -> None:
        self._user = user
        self._mark = folder / mark_name(user)
        self._clock = clock
        self._backend = backend
        self._reading = threading.Lock()
        self._cached: tuple[Stamp | None, TokenPair | None] | None = None

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> KeyringStore:
        """The entry of the profile and the API; an embedded sandbox has a name, for its port is another each time."""
        return cls(f"{settings.profile}@{origin_of(settings)}", settings.state_folder / FOLDER, clock)

    @property
    def path(self) -> None:
        """There is no file."""

    @property
    def place(self) -> str:
        """The entry's name."""
        return f"the keyring ({SERVICE}, {self._user})"

    def stamp(self) -> Stamp | None:
        """The mark's stamp; None when nothing was ever kept here."""
        try:
            return Stamp.of(self._mark.lstat())
        except OSError:
            return None

    async def prepare(self) -> None:
        """Read in a thread of its own where the mark has changed: a locked keyring asks a person for its password.

        Raises:
            KeyringUnusable: It is missing, or did not answer within a minute.
        """
        if self._is_current():
            return
        try:
            with anyio.fail_after(PATIENCE):
                await anyio.to_thread.run_sync(self.read, abandon_on_cancel=True)
        except TimeoutError:
            raise _unusable("has not answered for a minute", "See whether it asks for its password.") from None

    def read(self) -> TokenPair | None:
        """The tokens in the entry; None when there is none.

        Raises:
            KeyringUnusable: There is no keyring, or no tokens are in the entry.
        """
        with self._reading:
            if not self._is_current():
                stamp = self.stamp()
                text = self._do("read", lambda keyring: keyring.get_password(SERVICE, self._user))
                pair = None if text is None else with_changes(_parse(text), written_at=_moment(stamp))
                self._cached = (stamp, pair)
            assert self._cached is not None  # noqa: S101 - it is current
            return self._cached[1]

    def replace(self, pair: TokenPair) -> None:
        """Put new tokens into the entry, and see that they are there: some keyrings forget everything.

        Raises:
            OSError: The mark cannot be written.
            KeyringUnusable: The entry was not made.
        """
        fields: dict[str, object] = {"access_token": pair.access_token, "expires_at": int(pair.expires_at)}
        if pair.refresh_token:
            fields["refresh_token"] = pair.refresh_token
        text = json.dumps(fields)
        self._cached = None
        self._do("written to", lambda keyring: keyring.set_password(SERVICE, self._user, text))
        if self._do("read", lambda keyring: keyring.get_password(SERVICE, self._user)) != text:
            raise _unusable("does not keep what it is given")
        self._touch()

    async def write(self, pair: TokenPair) -> None:
        """Put new tokens in place of the old; see `replace`."""
        self.replace(pair)

    async def erase(self) -> bool:
        """Remove the tokens; see `remove`."""
        return self.remove()

    def require_replaceable(self) -> None:
        """Check that there is a keyring which protects what it keeps.

        Raises:
            KeyringUnusable: There is none.
        """
        self._do("read", lambda keyring: keyring.get_password(SERVICE, self._user))

    def remove(self) -> bool:
        """Remove the entry. Whether there was one.

        Raises:
            KeyringUnusable: It cannot be removed.
        """
        self._cached = None
        there = self._do("read", lambda keyring: keyring.get_password(SERVICE, self._user)) is not None
        if there:
            self._do("changed", lambda keyring: keyring.delete_password(SERVICE, self._user))
        try:
            self._mark.unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(
                f"has no entry any more, but {self._mark} is left ({reason(error)})", "Remove it by hand."
            ) from None
        return there

    def locked(self, wait: float = LOCK_WAIT) -> AbstractAsyncContextManager[None]:
        """Hold the lock beside the mark.

        Raises:
            TransportError: Somebody else held it all the time ("token_file_busy").
            UnreadableTokenFile: It cannot be made, or this file system has no locks.
        """
        lock = self._mark.with_name(f"{self._mark.name}.lock")
        return locked(lock, self._clock, wait, remedy="Name a folder of a local disk with --state-dir.")

    def _is_current(self) -> bool:
        return self._cached is not None and self._cached[0] == self.stamp()

    def _touch(self) -> None:
        self._mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Another file each time: two changes within one tick of the clock differ by its number, at least.
        fresh = self._mark.with_name(f"{self._mark.name}.new")
        fresh.write_text(f"{self._user}\n", encoding="utf-8")
        fresh.replace(self._mark)

    def _do(self, what: str, work: Callable[[Backend], T]) -> T:
        try:
            from keyring.errors import KeyringError, NoKeyringError
        except ImportError:
            raise _unusable("is not reached", "Install the extra: pip install 'kallyai-mcp[keyring]'.") from None
        try:
            return work(self._chosen())
        except KeyringUnusable:
            raise
        except NoKeyringError:
            raise _unusable("is missing") from None
        except (KeyringError, OSError, RuntimeError, ValueError, TypeError) as error:
            # Each backend brings errors of its own system; their texts may hold what was to be kept.
            raise _unusable(f"cannot be {what} ({type(error).__name__})", "Unlock it and try again.") from None

    def _chosen(self) -> Backend:
        backend = self._backend
        if backend is None:
            import keyring

            backend = cast("Backend", keyring.get_keyring())
        if backend.priority < 1:
            raise _unusable("is missing, or does not protect what it keeps")
        self._backend = backend
        return backend


def origin_of(settings: Settings) -> str:
    """What stands after the @ in the entry's name."""
    return "sandbox" if settings.sandbox else settings.api_url


def mark_name(user: str) -> str:
    """The file name for an entry's name."""
    return quote(user, safe="@")


def _moment(stamp: Stamp | None) -> float:
    return 0.0 if stamp is None else stamp.modified_ns / 1e9


def _parse(text: str) -> TokenPair:
    try:
        loaded: Any = json.loads(text)
    except (ValueError, RecursionError):
        loaded = None
    fields = cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else {}
    access_token, refresh_token = fields.get("access_token"), fields.get("refresh_token") or None
    expires_at = as_number(fields.get("expires_at"))
    if not is_token(access_token) or expires_at is None or not (refresh_token is None or is_token(refresh_token)):
        raise _unusable("holds no tokens in this entry", "Sign in again (kallyai-mcp login), which replaces it.")
    return TokenPair(access_token, refresh_token, expires_at)


def _unusable(fact: str, remedy: str = "") -> KeyringUnusable:
    return KeyringUnusable(f"The system's keyring {fact}.", next_step=f"{remedy} {USE_FILE}".strip())
