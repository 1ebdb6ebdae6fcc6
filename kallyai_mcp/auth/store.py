"""What a place for tokens must be able to do, whichever it is: the token file, the system's keyring, or a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from kallyai_mcp.errors import InvalidSettings

if TYPE_CHECKING:
    import os
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from kallyai_mcp.auth.pair import TokenPair


class Stamp(NamedTuple):
    """What changes when a file is replaced, written to, or given away."""

    modified_ns: int
    changed_ns: int
    inode: int
    size: int
    mode: int
    owner: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Stamp:
        """The stamp in the answer of stat."""
        return cls(facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_size, facts.st_mode, facts.st_uid)


class UnreadableTokenFile(InvalidSettings):
    """The place of the tokens is refused. It is left as it is."""

    code = "token_file_unusable"


class PlaceUnusable(UnreadableTokenFile):
    """The place is one that no other program is about to finish writing to: there is nothing to wait for."""


class KeyringUnusable(PlaceUnusable):
    """The keyring is missing, locked, or does not keep what it is given."""

    code = "keyring_unusable"


class TokenStore(Protocol):
    """Keeps one account's tokens. Whoever changes them holds the lock.

    Attributes:
        kind: What it is, for the status: "token file", "keyring" or "vault".
        erases_unlocked: Whether tokens may be removed without the lock: whoever refreshes looks, before saving, whether
            they are still there.
    """

    kind: ClassVar[str]
    erases_unlocked: ClassVar[bool]

    @property
    def place(self) -> str:
        """Where that is, in a sentence."""
        ...

    @property
    def path(self) -> Path | None:
        """The file, where it is one."""
        ...

    def stamp(self) -> Stamp | None:
        """Something that changes when the tokens do; None when nothing was ever kept.

        Raises:
            UnreadableTokenFile: The place cannot be looked at.
        """
        ...

    async def prepare(self) -> None:
        """Do now, without holding up other runs, what `read` may have to wait for.

        Raises:
            UnreadableTokenFile: As `read`.
        """
        ...

    def read(self) -> TokenPair | None:
        """The tokens; None when there are none. What would have to be waited for is as `prepare` or the lock found it.

        Raises:
            UnreadableTokenFile: The place is refused.
        """
        ...

    async def write(self, pair: TokenPair) -> None:
        """Put new tokens in place of the old. Not to be cut off: the caller shields it.

        Raises:
            OSError: Disk full, no rights, I/O error.
            UnreadableTokenFile: The place is refused.
        """
        ...

    def require_replaceable(self) -> None:
        """Check that tokens could be kept here.

        Raises:
            UnreadableTokenFile: They could not.
        """
        ...

    async def erase(self) -> bool:
        """Remove the tokens. Whether there were any.

        Raises:
            UnreadableTokenFile: They cannot be removed.
        """
        ...

    def locked(self, wait: float = ...) -> AbstractAsyncContextManager[None]:
        """Hold the lock that all our processes take.

        Raises:
            TransportError: Somebody else held it all the time ("token_file_busy").
            UnreadableTokenFile: There are no locks here.
        """
        ...
