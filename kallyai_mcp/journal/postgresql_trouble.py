"""Why PostgreSQL cannot be used, for people: without its password, and never with what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.journal.storage import CommitUnknown, StorageAway
from kallyai_mcp.journal.trouble import CODE
from kallyai_mcp.privacy import hide

if TYPE_CHECKING:
    from collections.abc import Mapping

A = TypeVar("A", bound=StorageAway)
VARIABLE = "KALLYAI_DATABASE_URL"
GRANT = "Let the owner of the tables run: kallyai-mcp migrate --grant ROLE"
MIGRATE = "Run: kallyai-mcp migrate"
_AGAIN = "Try again in a moment; what has begun is not lost."
_KEPT_ALIVE = {
    "connect_timeout": 3,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 6000,
    "application_name": "kallyai-mcp",
}


def facts_of(url: str) -> dict[str, Any]:
    """Read an address of a database, as libpq has it, and keep it out of every text from now on.

    Raises:
        InvalidSettings: It is none; the text does not hold it.
    """
    hide(url, lasting=True)
    try:
        facts = dict(conninfo_to_dict(url))
    except psycopg.Error:
        raise InvalidSettings(
            f"{VARIABLE} is no address of a PostgreSQL database.",
            next_step=f"Write {VARIABLE} as postgresql://user:password@host:5432/name.",
        ) from None
    if isinstance(password := facts.get("password"), str):
        hide(password, lasting=True)
    return _KEPT_ALIVE | {name: value for name, value in facts.items() if value is not None}


def name_of(facts: Mapping[str, Any]) -> str:
    """Return what a database is called: its name and where it is."""
    host = str(facts.get("host") or facts.get("hostaddr") or "this machine")
    port = facts.get("port")
    name = facts.get("dbname") or facts.get("user") or "default"
    return f"the PostgreSQL database {name} at {host}" + (f":{port}" if port else "")


def away(name: str, fact: str, remedy: str = _AGAIN) -> StorageAway:
    """Make the error of a database that cannot be used for the moment."""
    return StorageAway(f"{_capital(name)} {fact}.", next_step=remedy, retryable=True)


def busy(name: str, waited: float, kind: type[A]) -> A:
    """Make the error of a lock that was not free in time."""
    return kind(
        f"{_capital(name)} was held by another process for {waited:g} seconds.", next_step=_AGAIN, retryable=True
    )


def commit_unknown(name: str) -> CommitUnknown:
    """Make the error of a transaction that may be in force."""
    return CommitUnknown(
        f"The connection to {name} broke at the end of a transaction, and whether that is in force is not known.",
        next_step=_AGAIN,
        retryable=True,
    )


def unreachable(name: str, facts: Mapping[str, Any], error: psycopg.Error) -> StorageAway:
    """Make the error of a connection that was not had. A wrong password or name is told as what it is."""
    text = str(error)
    fact = "cannot be reached"
    remedy = f"{_AGAIN} The operator looks whether it runs, and at {VARIABLE}."
    if "authentication failed" in text or "no password supplied" in text or "pg_hba" in text:
        fact = f"does not let the user {facts.get('user', '')} in"
        remedy = f"Correct the user or the password in {VARIABLE}."
    elif "does not exist" in text:
        fact = "does not exist, or its user does not"
        remedy = f"Make it, or correct {VARIABLE}."
    return away(name, fact, remedy)


def unusable(name: str, fact: str, remedy: str) -> InvalidSettings:
    """Make the error of a database that stays unusable until somebody does something."""
    return InvalidSettings(f"{_capital(name)} {fact}.", code=CODE, next_step=remedy)


def explained(name: str, error: psycopg.Error) -> InvalidSettings:
    """Make the error of a statement that was refused."""
    match error:
        case psycopg.errors.ReadOnlySqlTransaction():
            return away(name, "takes no writes at this moment", "Try again; it may be about to change places.")
        case psycopg.errors.InsufficientPrivilege():
            return unusable(
                name,
                "does not allow its user what is needed",
                "Let the owner of the tables run: kallyai-mcp migrate --grant ROLE",
            )
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn() | psycopg.errors.InvalidSchemaName():
            return unusable(name, "has no tables of this program", MIGRATE)
        case psycopg.errors.DiskFull():
            return away(name, "cannot grow, for its disk is full", "Free some space.")
        case psycopg.OperationalError() | psycopg.InterfaceError() | psycopg.errors.IdleInTransactionSessionTimeout():
            return away(name, "was lost in the middle of a transaction, which it has undone")
        case _:
            return unusable(
                name, f"refused a statement ({error.sqlstate or type(error).__name__})", "Look into its own log."
            )


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
