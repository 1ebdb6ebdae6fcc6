"""The log of receipts: added to, never changed, and what a check finds that was tampered with."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import journal_world
import pytest
from journal_world import ANN, BOB, Clock, journal_in
from psycopg.rows import tuple_row

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.journal.verification import ALTERED, MISSING, NO_HEAD, PUT_IN
from kallyai_mcp.model.acts import Consent
from kallyai_mcp.model.records import Note, Receipt, Verification

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kallyai_mcp.journal.storage import Storage

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

COUNT = 6


def a_note(number: int = 1, **changes: Any) -> Note:
    facts: dict[str, Any] = {"tool": f"tool {number}", "digest": "d", "outcome": "refused"}
    return Note(**(facts | changes))


async def written(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        for number in range(1, COUNT + 1):
            await journal.note(ANN if number % 2 else BOB, a_note(number))


def opened(tmp_path: Path) -> sqlite3.Connection:
    """Open the database as somebody who may do anything with it."""
    if journal_world.elsewhere is not None:
        return cast("sqlite3.Connection", Tampering(journal_world.elsewhere(Clock())))
    connection = sqlite3.connect(tmp_path / "state" / "acts.db", isolation_level=None)
    for trigger in ("receipt_unchanged", "receipt_kept"):
        connection.execute(f"DROP TRIGGER {trigger}")
    return connection


class Tampering:
    """A connection of the owner of a PostgreSQL database, that takes SQLite's statements."""

    def __init__(self, storage: Storage) -> None:
        from kallyai_mcp.journal.postgresql import PostgreSQL

        assert isinstance(storage, PostgreSQL)
        self._connection = storage.connect()
        self._connection.row_factory = tuple_row  # pyright: ignore[reportAttributeAccessIssue]  # as SQLite's
        self._connection.execute(
            "SET session_replication_role = replica; ALTER TABLE receipt DROP CONSTRAINT receipt_pkey"
        )

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> object:
        return self._connection.execute(statement.replace("?", "%s"), values)  # pyright: ignore[reportCallIssue, reportArgumentType]  # the tests' own

    def close(self) -> None:
        self._connection.execute("ALTER TABLE receipt ADD PRIMARY KEY (number)")
        self._connection.close()


def line_of(db: sqlite3.Connection, number: int) -> dict[str, Any]:
    return json.loads(db.execute("SELECT line FROM receipt WHERE number = ?", (number,)).fetchone()[0])


def put(db: sqlite3.Connection, number: int, /, *, rehash: bool, **changes: Any) -> None:
    """Change a line; with `rehash`, its own hash, too."""
    line = json.dumps(line_of(db, number) | changes, sort_keys=True, separators=(",", ":"))
    db.execute("UPDATE receipt SET line = ? WHERE number = ?", (line, number))
    if rehash:
        db.execute("UPDATE receipt SET hash = ? WHERE number = ?", (hash_of(line), number))


def hash_of(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def remove(db: sqlite3.Connection, number: int, *, close_gap: bool) -> None:
    db.execute("DELETE FROM receipt WHERE number = ?", (number,))
    if close_gap:
        db.execute("UPDATE receipt SET number = number - 1 WHERE number > ?", (number,))


def insert(db: sqlite3.Connection, number: int, /, **changes: Any) -> None:
    """Put a line in that continues the one before it, and move the others on."""
    db.execute("UPDATE receipt SET number = -number WHERE number >= ?", (number,))
    db.execute("UPDATE receipt SET number = 1 - number WHERE number < 0")
    before = db.execute("SELECT hash, line FROM receipt WHERE number = ?", (number - 1,)).fetchone()
    facts = json.loads(before[1]) if before else line_of(db, 2)
    facts |= {"number": number, "previous": before[0] if before else ""} | changes
    line = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    db.execute("INSERT INTO receipt VALUES (?, ?, ?, ?)", (number, facts["account"], line, hash_of(line)))


def swap(db: sqlite3.Connection, one: int, other: int) -> None:
    db.execute("UPDATE receipt SET number = -1 WHERE number = ?", (one,))
    db.execute("UPDATE receipt SET number = ? WHERE number = ?", (one, other))
    db.execute("UPDATE receipt SET number = ? WHERE number = -1", (other,))


TAMPERED: dict[str, tuple[Callable[[sqlite3.Connection], object], int, str]] = {
    "a line in the middle altered": (lambda db: put(db, 3, rehash=False, outcome="done"), 3, ALTERED),
    "the first line altered": (lambda db: put(db, 1, rehash=False, charged=0), 1, ALTERED),
    "the last line altered": (lambda db: put(db, 6, rehash=False, charged=0), 6, ALTERED),
    "a blank added": (lambda db: db.execute("UPDATE receipt SET line = line || ' ' WHERE number = 2"), 2, ALTERED),
    "altered with its own hash": (lambda db: put(db, 3, rehash=True, outcome="done"), 3, ALTERED),
    "the first altered with its own hash": (lambda db: put(db, 1, rehash=True, outcome="done"), 1, ALTERED),
    "the last altered with its own hash": (lambda db: put(db, 6, rehash=True, outcome="done"), 6, ALTERED),
    "the one before the last altered with its own hash": (lambda db: put(db, 5, rehash=True, tool="x"), 5, ALTERED),
    "its number altered": (lambda db: put(db, 3, rehash=True, number="3"), 3, ALTERED),
    "its predecessor altered": (lambda db: put(db, 3, rehash=True, previous="0" * 64), 3, ALTERED),
    "a hash altered": (lambda db: db.execute("UPDATE receipt SET hash = 'x' WHERE number = 4"), 4, ALTERED),
    "its account altered": (lambda db: db.execute("UPDATE receipt SET account = 'x' WHERE number = 4"), 4, ALTERED),
    "no JSON": (lambda db: db.execute("UPDATE receipt SET line = 'x' WHERE number = 4"), 4, ALTERED),
    "no object": (lambda db: db.execute("UPDATE receipt SET line = '[1]' WHERE number = 4"), 4, ALTERED),
    "no text": (lambda db: db.execute("UPDATE receipt SET line = x'7b7d' WHERE number = 4"), 4, ALTERED),
    "too deep": (lambda db: db.execute("UPDATE receipt SET line = ? WHERE number = 4", ("[" * 10**5,)), 4, ALTERED),
    "two altered": (
        lambda db: (put(db, 5, rehash=False, outcome="x"), put(db, 2, rehash=True, outcome="x")),
        2,
        ALTERED,
    ),
    "a line removed": (lambda db: remove(db, 3, close_gap=False), 3, MISSING),
    "the first line removed": (lambda db: remove(db, 1, close_gap=False), 1, MISSING),
    "a line removed and the gap closed": (lambda db: remove(db, 3, close_gap=True), 3, MISSING),
    "the first line removed and the gap closed": (lambda db: remove(db, 1, close_gap=True), 1, MISSING),
    "the last line removed": (lambda db: remove(db, 6, close_gap=False), 6, MISSING),
    "all removed": (lambda db: db.execute("DELETE FROM receipt"), 1, MISSING),
    "two lines swapped": (lambda db: swap(db, 3, 4), 3, MISSING),
    "the last line moved to the front": (lambda db: swap(db, 1, 6), 1, MISSING),
    "a line put in": (lambda db: insert(db, 3), 3, PUT_IN),
    "a line put in that continues nothing": (lambda db: insert(db, 3, previous="0" * 64), 3, ALTERED),
    "a copy put in": (lambda db: insert(db, 3, number=2), 3, PUT_IN),
    "a line put in front": (lambda db: insert(db, 1), 1, PUT_IN),
    "a line put at the end": (lambda db: insert(db, 7), 7, PUT_IN),
    "a line put before all": (
        lambda db: db.execute("INSERT INTO receipt SELECT 0, account, line, hash FROM receipt WHERE number = 1"),
        0,
        PUT_IN,
    ),
    "the head removed": (lambda db: db.execute("DELETE FROM receipt_head"), 7, NO_HEAD),
    "the head set back": (lambda db: db.execute("UPDATE receipt_head SET number = 4"), 5, PUT_IN),
    "the head altered": (lambda db: db.execute("UPDATE receipt_head SET hash = 'x'"), 6, ALTERED),
}


@pytest.mark.parametrize("how", TAMPERED)
async def test_a_check_names_the_first_line_that_is_not_as_it_was_written(
    tmp_path: Path, how: str, engine: str
) -> None:
    if engine == "postgresql" and how == "no text":
        return  # a text is always one there
    tamper, broken, reason = TAMPERED[how]
    await written(tmp_path)
    with closing(opened(tmp_path)) as db:
        tamper(db)
    async with journal_in(tmp_path) as journal:
        found = await journal.verify()
        assert (found.broken, found.reason) == (broken, reason)


@pytest.mark.parametrize("engine", ["file"], indirect=True)
@pytest.mark.parametrize("how", sorted(set(TAMPERED) - {"the head set back"}))
async def test_what_is_done_after_a_tampering_is_written_down_and_does_not_hide_it(tmp_path: Path, how: str) -> None:
    """The head that was set back harmed no line."""
    tamper, broken, reason = TAMPERED[how]
    await written(tmp_path)
    with closing(opened(tmp_path)) as db:
        tamper(db)
    async with journal_in(tmp_path) as journal:
        added = await journal.note(ANN, a_note(99))
        assert (await journal.receipts(None))[-1] == added
        found = await journal.verify()
        if reason == PUT_IN and broken == 7:
            reason = ALTERED
        assert (found.broken, found.reason) == (broken, reason)


async def test_an_untouched_log_is_whole(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        assert await journal.verify() == Verification(lines=0, head="")
    await written(tmp_path)
    async with journal_in(tmp_path) as journal:
        last = (await journal.receipts(None))[-1]
        assert await journal.verify() == Verification(lines=COUNT, head=last.hash)


@pytest.mark.parametrize("statement", ["UPDATE receipt SET account = 'x'", "DELETE FROM receipt WHERE number = 6"])
async def test_the_database_itself_refuses_to_change_or_remove_a_line(tmp_path: Path, statement: str) -> None:
    await written(tmp_path)
    if journal_world.elsewhere is not None:
        storage = journal_world.elsewhere(Clock())
        with pytest.raises(InvalidSettings, match="refused a statement"):
            await storage.write(lambda tx: tx.run(statement))
        await storage.aclose()
        return
    db = sqlite3.connect(tmp_path / "state" / "acts.db", isolation_level=None)
    with closing(db), pytest.raises(sqlite3.IntegrityError, match="receipts are never"):
        db.execute(statement)


async def test_lines_are_canonical_and_chained_over_all_accounts(tmp_path: Path) -> None:
    await written(tmp_path)
    async with journal_in(tmp_path) as journal:
        previous = ""
        for number, receipt in enumerate(await journal.receipts(None), 1):
            facts = json.loads(receipt.line)
            assert receipt == Receipt(number, receipt.line, hash_of(receipt.line))
            assert receipt.line == json.dumps(facts, sort_keys=True, separators=(",", ":"))
            assert facts["previous"] == previous
            previous = receipt.hash


async def test_lines_are_listed_by_account_after_a_number_and_so_many(tmp_path: Path) -> None:
    await written(tmp_path)
    async with journal_in(tmp_path) as journal:

        async def numbers(account: str | None, **how: Any) -> list[int]:
            return [receipt.number for receipt in await journal.receipts(account, **how)]

        assert await numbers(None) == [1, 2, 3, 4, 5, 6]
        assert await numbers(ANN) == [1, 3, 5]
        assert await numbers(BOB, after=2) == [4, 6]
        assert await numbers(None, after=1, limit=2) == [2, 3]
        assert await numbers(None, limit=0) == []
        assert await numbers(None, after=10**30, limit=10**30) == []
        assert await numbers("nobody") == []


async def test_a_note_is_written_as_it_is_given(tmp_path: Path) -> None:
    clock = Clock()
    clock.now += 0.0456
    note = Note(
        tool="kallyai_calls_make",
        digest="d",
        outcome="refused",
        consent=Consent.MANDATE,
        approval_mode="ask",
        act="a-1",
        mandate="m-1",
        destination="+1415***0100",
        charged=0.1,
        correlation_id="r \ud83d",
        error="quiet_hours",
        details={"why": "Büro"},
    )
    async with journal_in(tmp_path, clock) as journal:
        receipt = await journal.note(ANN, note)
        assert await journal.receipts(ANN) == [receipt]
        assert json.loads(receipt.line) == {
            "number": 1,
            "time": "2027-01-15T08:00:00.045Z",
            "account": ANN,
            "tool": "kallyai_calls_make",
            "digest": "d",
            "outcome": "refused",
            "agreed": "a person, by a mandate",
            "approval": "ask",
            "act": "a-1",
            "mandate": "m-1",
            "destination": "+1415***0100",
            "charged": 0.1,
            "correlation_id": "r \ud83d",
            "error": "quiet_hours",
            "previous": "",
            "details": {"why": "Büro"},
        }
        assert (await journal.verify()).broken is None


@pytest.mark.parametrize("charged", [float("nan"), float("inf")])
async def test_a_line_is_json_whatever_was_charged(tmp_path: Path, charged: float) -> None:
    async with journal_in(tmp_path) as journal:
        receipt = await journal.note(ANN, a_note(charged=charged))
        assert json.loads(receipt.line, parse_constant=pytest.fail)["charged"] is None
