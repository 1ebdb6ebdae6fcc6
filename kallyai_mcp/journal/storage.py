"""What the journal's statements run on, whichever engine it is: a file on this machine, or PostgreSQL for many.

Statements are written once, in what SQLite and PostgreSQL both understand, with values named `:so`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kallyai_mcp.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

T = TypeVar("T")

EVERYBODY = "*"
"""Stands for all accounts: whoever writes in its name has all others wait."""


class StorageAway(InvalidSettings):
    """The database cannot be reached, or was too busy, for the moment. Nothing was written; it may be tried again."""

    code = "storage_away"


class CommitUnknown(StorageAway):
    """The connection broke while a transaction was made final, and whether it is could not be found out in time."""


class Row(Protocol):
    """One row: its values by the names of their columns."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a value."""
        ...


class Lives(Protocol):
    """Which processes are alive; others are to be asked about in a write transaction only."""

    @property
    def instance(self) -> str:
        """This process's own name; never given out again."""
        ...

    def is_alive(self, instance: str) -> bool:
        """Whether an instance still runs; of one of which that is not certain, yes."""
        ...

    def sweep(self) -> None:
        """Remove what the dead have left."""
        ...


class Transaction(Protocol):
    """What statements run in."""

    @property
    def path(self) -> Path | str:
        """The database, for errors: a file, or the words after "The journal"."""
        ...

    @property
    def now(self) -> float:
        """Seconds since the epoch at its begin. In a write transaction nobody else writes for the account then."""
        ...

    @property
    def lives(self) -> Lives:
        """Tells which other processes are alive."""
        ...

    def run(self, statement: str, **values: Any) -> int:
        """Run a statement; return how many rows it changed."""
        ...

    def one(self, statement: str, **values: Any) -> Row | None:
        """Return the first row."""
        ...

    def each(self, statement: str, **values: Any) -> Iterable[Row]:
        """Return the rows."""
        ...

    def stream(self, statement: str, **values: Any) -> Iterable[Row]:
        """Return the rows, however many, without holding all of them at once."""
        ...

    def lock_log(self) -> None:
        """Have every other writer of receipts wait for the end of this transaction. To be taken last."""
        ...


class Storage(Protocol):
    """One database."""

    @property
    def path(self) -> Path | str:
        """As in a transaction."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether processes on other machines use it, too."""
        ...

    async def write(self, work: Callable[[Transaction], T], *, of: str | None = EVERYBODY, durable: bool = True) -> T:
        """Do work in a write transaction; whatever it raises undoes all of it.

        Args:
            work: What to do; it runs in another thread.
            of: Whose account: nobody else writes for it meanwhile. None where single statements are safe by themselves.
            durable: Whether it is on the disk before this returns. Without it a power failure may undo the last
                such transactions, and a crash of the program none.

        Raises:
            StorageAway: It cannot be reached for the moment ("storage_away"); nothing was written.
            CommitUnknown: Whether it was written is not known.
            InvalidSettings: It cannot be used ("journal_unusable").
        """
        ...

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Do work on one state of the database, without changing it.

        Raises:
            StorageAway: As in `write`.
            InvalidSettings: As in `write`.
        """
        ...

    async def aclose(self) -> None:
        """Close it, and count as ended from here on."""
        ...
