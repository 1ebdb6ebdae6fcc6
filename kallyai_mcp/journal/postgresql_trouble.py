"""Why PostgreSQL cannot be used: for its operator without its password, for all others without its name, too.

People of an organisation are told in general words; where the database is concerns its operator, who has it in the log.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.journal.storage import CommitUnknown, StorageAway
from kallyai_mcp.journal.trouble import CODE
from kallyai_mcp.privacy import hide

if TYPE_CHECKING:
    from collections.abc import Mapping

SAID_AGAIN = 10.0
"""Seconds after which the log says the same again."""

_log = logging.getLogger(__name__)
A = TypeVar("A", bound=StorageAway)
E = TypeVar("E", bound=InvalidSettings)
VARIABLE = "KALLYAI_DATABASE_URL"
GRANT = "Let the owner of the tables run: kallyai-mcp migrate --grant ROLE"
MIGRATE = "Run: kallyai-mcp migrate"
_AGAIN = "Try again in a moment; what has begun is not lost."
_NEUTRAL = "The server's database"
_ASK_OPERATOR = "Tell the operator of this server, whose log says why."
_FULL = ("too many connections", "too many clients", "connection slots are reserved")
"""How PostgreSQL says that a limit of connections is reached: of a role or database, or its own (SQLSTATE 53300)."""
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


class Place:
    """A database, as errors name it.

    Args:
        facts: How it is reached.
        is_hidden: Whether errors reach people whom that does not concern.
    """

    def __init__(self, facts: Mapping[str, Any], *, is_hidden: bool = False) -> None:
        host = str(facts.get("host") or facts.get("hostaddr") or "this machine")
        port = facts.get("port")
        name = facts.get("dbname") or facts.get("user") or "default"
        self.name = f"the PostgreSQL database {name} at {host}" + (f":{port}" if port else "")
        self.user = str(facts.get("user", ""))
        self.is_hidden = is_hidden
        self.path = "of this server" if is_hidden else f"in {self.name}"
        """What the journal is called in errors, after "The journal"."""
        self._logged = ""
        self._logged_at = 0.0

    @property
    def called(self) -> str:
        """What it is called at the beginning of a sentence."""
        return self.name[:1].upper() + self.name[1:]

    def told(self, error: E, neutral: str, *, logged: bool = True) -> E:
        """Return an error as it may be told; where the place is hidden, the log has what it was.

        Args:
            error: For the operator.
            neutral: The same for everybody.
            logged: Whether the operator need know.
        """
        if not self.is_hidden:
            return error
        now = time.monotonic()
        if logged and (error.message != self._logged or now - self._logged_at > SAID_AGAIN):
            self._logged, self._logged_at = error.message, now
            _log.warning("%s %s", error.message, error.next_step)
        return type(error)(
            neutral,
            code=error.error_code,
            next_step=_AGAIN if error.retryable else _ASK_OPERATOR,
            retryable=error.retryable,
        )


def away(place: Place, fact: str, remedy: str = _AGAIN) -> StorageAway:
    """Make the error of a database that cannot be used for the moment."""
    error = StorageAway(f"{place.called} {fact}.", next_step=remedy, retryable=True)
    return place.told(error, f"{_NEUTRAL} cannot be reached for the moment.")


def busy(place: Place, waited: float, kind: type[A]) -> A:
    """Make the error of a lock that was not free in time."""
    error = kind(
        f"{place.called} was held by another process for {waited:g} seconds.", next_step=_AGAIN, retryable=True
    )
    return place.told(error, f"{_NEUTRAL} was busy for {waited:g} seconds.", logged=False)


def commit_unknown(place: Place) -> CommitUnknown:
    """Make the error of a transaction that may be in force."""
    fact = "broke at the end of a transaction, and whether that is in force is not known."
    error = CommitUnknown(f"The connection to {place.name} {fact}", next_step=_AGAIN, retryable=True)
    return place.told(error, f"The connection to the server's database {fact}")


def unreachable(place: Place, error: psycopg.Error) -> StorageAway:
    """Make the error of a connection that was not had. A wrong password or name is told as what it is."""
    text = str(error)
    fact = "cannot be reached"
    remedy = f"{_AGAIN} The operator looks whether it runs, and at {VARIABLE}."
    if "authentication failed" in text or "no password supplied" in text or "pg_hba" in text:
        fact = f"does not let the user {place.user} in"
        remedy = f"Correct the user or the password in {VARIABLE}."
    elif any(sign in text for sign in _FULL):
        fact = "has no connection left to give"
        remedy = f"Raise its max_connections, or the CONNECTION LIMIT of the user {place.user}, or run fewer servers."
    elif "does not exist" in text:
        fact = "does not exist, or its user does not"
        remedy = f"Make it, or correct {VARIABLE}."
    return away(place, fact, remedy)


def unusable(place: Place, fact: str, remedy: str) -> InvalidSettings:
    """Make the error of a database that stays unusable until somebody does something."""
    error = InvalidSettings(f"{place.called} {fact}.", code=CODE, next_step=remedy)
    return place.told(error, f"{_NEUTRAL} cannot be used.")


def explained(place: Place, error: psycopg.Error) -> InvalidSettings:
    """Make the error of a statement that was refused."""
    match error:
        case psycopg.errors.ReadOnlySqlTransaction():
            return away(place, "takes no writes at this moment", "Try again; it may be about to change places.")
        case psycopg.errors.InsufficientPrivilege():
            return unusable(
                place,
                "does not allow its user what is needed",
                "Let the owner of the tables run: kallyai-mcp migrate --grant ROLE",
            )
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn() | psycopg.errors.InvalidSchemaName():
            return unusable(place, "has no tables of this program", MIGRATE)
        case psycopg.errors.DiskFull():
            return away(place, "cannot grow, for its disk is full", "Free some space.")
        case psycopg.OperationalError() | psycopg.InterfaceError() | psycopg.errors.IdleInTransactionSessionTimeout():
            return away(place, "was lost in the middle of a transaction, which it has undone")
        case _:
            return unusable(
                place, f"refused a statement ({error.sqlstate or type(error).__name__})", "Look into its own log."
            )
