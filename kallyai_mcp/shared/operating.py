"""What an operator does to the database of the servers, once in a while and beside them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kallyai_mcp.errors import InvalidSettings

if TYPE_CHECKING:
    from kallyai_mcp.journal.postgresql import PostgreSQL
    from kallyai_mcp.journal.storage import Storage, Transaction
    from kallyai_mcp.shared.keys import KeyRing

_OLD = """
SELECT account, version, key_id, sealed FROM token
WHERE key_id <> :current AND sealed <> '' AND account > :after ORDER BY account LIMIT 1
"""
_OLD_PENDING = """
SELECT account, key_id, sealed, expires FROM pending
WHERE key_id <> :current AND account > :after ORDER BY account LIMIT 1
"""
_SEAL = """
UPDATE token SET key_id = :key_id, sealed = :sealed
WHERE account = :account AND version = :version AND sealed = :before
"""
_SEAL_PENDING = """
UPDATE pending SET key_id = :key_id, sealed = :sealed WHERE account = :account AND sealed = :before
"""


def connected(url: str, **options: object) -> PostgreSQL:
    """Return the database at an address; nothing is connected yet.

    Raises:
        InvalidSettings: It is no address, or the extra is not installed.
    """
    try:
        from kallyai_mcp.journal.postgresql import PostgreSQL
    except ImportError:
        raise InvalidSettings(
            "PostgreSQL needs packages that are not installed.",
            next_step="Install the extra: pip install 'kallyai-mcp[organisation]'.",
        ) from None
    return PostgreSQL(url, **options)  # pyright: ignore[reportArgumentType]  # handed through


def migrated(url: str, role: str | None = None) -> tuple[int, int]:
    """Bring the tables up to date; return their version before and after.

    Raises:
        InvalidSettings: The database cannot be used, or its tables are of a later version.
    """
    database = connected(url)
    import psycopg

    from kallyai_mcp.journal.postgresql_schema import migrate
    from kallyai_mcp.journal.postgresql_trouble import unreachable

    try:
        connection = database.connect(longest=math.inf)  # tables may be large
    except psycopg.OperationalError as error:
        raise unreachable(database.place, error) from None
    with database.explained(), connection:
        return migrate(connection, database.place, role)


async def rotate(storage: Storage, keys: KeyRing) -> int:
    """Seal with the first key whatever another one has sealed; return how much that was.

    One row at a time, found and changed within one transaction that waits for whoever holds the row. Versions stay, so
    that a refresh that is under way meanwhile is not refused.

    Raises:
        VaultUnusable: Something was sealed with a key that is not in the ring.
    """
    count = 0
    for again in (_token_after, _pending_after):
        after: str | None = ""
        while after is not None:
            given = after

            def one(tx: Transaction) -> tuple[str | None, int]:
                return again(tx, keys, given)  # noqa: B023 - awaited before the next

            after, changed = await storage.write(one, of=None)
            count += changed
    return count


def _token_after(tx: Transaction, keys: KeyRing, after: str) -> tuple[str | None, int]:
    row = tx.one(_OLD, current=keys.current, after=after)
    if row is None:
        return None, 0
    account, version, before = row["account"], row["version"], row["sealed"]
    sealed = keys.seal("tokens", account, version, keys.open("tokens", account, version, row["key_id"], before))
    changed = tx.run(_SEAL, account=account, version=version, before=before, key_id=sealed.key_id, sealed=sealed.text)
    # One that has changed meanwhile is looked at once more: whoever changed it may have the old ring.
    return (account, changed) if changed else (after, 0)


def _pending_after(tx: Transaction, keys: KeyRing, after: str) -> tuple[str | None, int]:
    row = tx.one(_OLD_PENDING, current=keys.current, after=after)
    if row is None:
        return None, 0
    account, before = row["account"], row["sealed"]
    sealed = keys.seal("pending", account, 0, keys.open("pending", account, 0, row["key_id"], before))
    changed = tx.run(_SEAL_PENDING, account=account, before=before, key_id=sealed.key_id, sealed=sealed.text)
    return (account, changed) if changed else (after, 0)
