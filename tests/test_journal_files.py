"""The database as a file: whose it is, who may read it, and what is said of one that cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from journal_world import ANN, ROOMY, Clock, a_draft, begun, in_state, journal_in

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.journal import Journal, private
from kallyai_mcp.journal.database import PRAGMAS, Database
from kallyai_mcp.journal.schema import MARK, STEPS, migrate, require_own
from kallyai_mcp.model.acts import State
from kallyai_mcp.model.records import Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kallyai_mcp.journal.database import Transaction

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="files there have neither owner nor mode"),
]


async def unusable(attempt: Awaitable[object]) -> InvalidSettings:
    with pytest.raises(InvalidSettings) as caught:
        await attempt
    assert caught.value.error_code == "journal_unusable"
    assert caught.value.next_step
    return caught.value


async def refused(folder: Path) -> InvalidSettings:
    """No act is begun, and nothing is read either."""
    async with Journal(folder) as journal:
        await unusable(journal.stopped(ANN))
        return await unusable(journal.begin(ANN, a_draft(), ROOMY))


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
        if path.parent.name != "live"
    }


@pytest.fixture
async def used(tmp_path: Path) -> Path:
    """A folder in which a journal was used and closed."""
    async with journal_in(tmp_path) as journal:
        await in_state(journal, a_draft("before"), State.DONE)
    return tmp_path / "state"


async def test_making_a_journal_touches_nothing(tmp_path: Path) -> None:
    async with Journal(tmp_path / "a" / "state"):
        assert modes(tmp_path) == {}
    assert modes(tmp_path) == {}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
async def test_folders_and_files_are_the_users_alone_whatever_the_umask_says(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        async with Journal(tmp_path / "a" / "b" / "state") as journal:
            await begun(journal, a_draft())
            assert await journal.stopped(ANN) is None
            assert modes(tmp_path) == {
                "a": 0o700,
                "a/b": 0o700,
                "a/b/state": 0o700,
                "a/b/state/live": 0o700,
                "a/b/state/acts.db": 0o600,
                "a/b/state/acts.db-wal": 0o600,
                "a/b/state/acts.db-shm": 0o600,
            }
            (alive,) = (tmp_path / "a/b/state/live").iterdir()
            assert stat.S_IMODE(alive.stat().st_mode) == 0o600
    finally:
        os.umask(before)


async def test_folders_and_files_are_private_from_their_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only once their mode is set."""

    def nothing(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr("pathlib.Path.chmod", nothing)
    monkeypatch.setattr(os, "fchmod", nothing)
    before = os.umask(0)
    try:
        async with Journal(tmp_path / "a" / "state") as journal:
            await begun(journal, a_draft())
            assert set(modes(tmp_path).values()) == {0o700, 0o600}
            (alive,) = (tmp_path / "a/state/live").iterdir()
            assert stat.S_IMODE(alive.stat().st_mode) == 0o600
    finally:
        os.umask(before)


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    async with journal_in(tmp_path / "a b?mode=memory#%2f ü'\"") as journal:
        act = await begun(journal, a_draft())
        assert await journal.acts(ANN) == [act]
        assert isinstance(journal.path, Path)
        assert modes(journal.path.parent)["acts.db"] == 0o600


async def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    async with journal_in(tmp_path) as journal:
        await begun(journal, a_draft())
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o755


async def test_a_database_open_to_others_is_refused_with_the_remedy(used: Path) -> None:
    (used / "acts.db").chmod(0o602)
    refusal = await refused(used)
    assert refusal.message == f"The journal {used / 'acts.db'} is open to others (mode 0602)."
    assert refusal.next_step == f"Run: chmod 600 {used / 'acts.db'}"


@pytest.mark.parametrize("name", ["", "live"])
@pytest.mark.parametrize("mode", [0o702, 0o720])
async def test_a_folder_that_others_may_write_to_is_refused(used: Path, name: str, mode: int) -> None:
    (used / name).chmod(mode)
    async with Journal(used) as journal:
        refusal = await unusable(journal.begin(ANN, a_draft(), ROOMY))
    assert f"chmod go-w {used / name}" in refusal.next_step


def _link(path: Path) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to("other")


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _second_name(path: Path) -> None:
    path.with_name("other").hardlink_to(path)


@pytest.mark.parametrize(
    ("put", "fact"),
    [
        (_link, "is a symbolic link"),
        (_dangling, "is a symbolic link"),
        (_pipe, "is not a plain file"),
        (_folder, "is not a plain file"),
        (_second_name, "has a second name (hard link)"),
    ],
)
async def test_what_is_not_the_users_own_plain_file_is_refused(
    used: Path, put: Callable[[Path], None], fact: str
) -> None:
    put(used / "acts.db")
    assert (await refused(used)).message == f"The journal {used / 'acts.db'} {fact}."


@pytest.mark.parametrize(("looks_before", "fact"), [(0, "for the folder belongs to another user"), (1, "belongs to")])
async def test_what_belongs_to_another_user_is_refused(
    used: Path, monkeypatch: pytest.MonkeyPatch, looks_before: int, fact: str
) -> None:
    mine, looks = os.geteuid(), 0

    def somebody_from_then_on() -> int:
        nonlocal looks
        looks += 1
        return mine if looks <= looks_before else mine + 1

    monkeypatch.setattr(private.os, "geteuid", somebody_from_then_on)
    async with Journal(used) as journal:
        assert fact in (await unusable(journal.stopped(ANN))).message


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    await refused(tmp_path / "file")
    await refused(tmp_path / "file" / "state")
    await refused(tmp_path / ("x" * 300))


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(used: Path) -> None:
    (used / "acts.db").write_bytes(b"no database at all, but long enough to be looked at\n" * 20)
    refusal = await refused(used)
    assert refusal.message == f"The journal {used / 'acts.db'} is damaged."
    assert "move the file away" in refusal.next_step
    assert (used / "acts.db").read_bytes().startswith(b"no database")


async def test_a_database_whose_pages_are_damaged_is_refused(used: Path) -> None:
    path = used / "acts.db"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    assert "is damaged" in (await refused(used)).message


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE act",
        "UPDATE act SET arguments = '{'",
        "UPDATE act SET consent = 'whoever'",
        "UPDATE act SET recipients = '7'",
    ],
)
async def test_a_database_with_contents_of_somebody_else_is_refused(used: Path, damage: str) -> None:
    with closing(sqlite3.connect(used / "acts.db", isolation_level=None)) as db:
        for view in ("counted", "under_way"):
            db.execute(f"DROP VIEW {view}")
        db.execute(damage)
    async with Journal(used) as journal:
        await unusable(journal.acts(ANN))


async def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with closing(sqlite3.connect(folder / "acts.db")) as db:
        db.execute("CREATE TABLE theirs (x)")
    (folder / "acts.db").chmod(0o600)
    assert "is a database of another program" in (await refused(folder)).message


class Overtaken:
    """A connection to a new file to which another process brings the tables after some statements."""

    def __init__(self, path: Path, after: int) -> None:
        self._own = sqlite3.connect(path)
        self._path = path
        self._left = after

    def execute(self, statement: str) -> sqlite3.Cursor:
        if self._left == 0:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as other:
                migrate(other, self._path)
        self._left -= 1
        return self._own.execute(statement)

    def close(self) -> None:
        self._own.close()


@pytest.mark.parametrize("after", range(4))
def test_a_database_that_another_process_makes_meanwhile_is_no_stranger(tmp_path: Path, after: int) -> None:
    path = tmp_path / "acts.db"
    with closing(Overtaken(path, after)) as connection:
        require_own(connection, path)  # pyright: ignore[reportArgumentType] - as much of a connection as it takes


async def test_a_database_of_a_later_version_is_refused_and_left_as_it_is(used: Path) -> None:
    with closing(sqlite3.connect(used / "acts.db")) as db:
        db.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    assert "a later version" in (await refused(used)).message
    with closing(sqlite3.connect(used / "acts.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(STEPS) + 1
        assert db.execute("SELECT count(*) FROM act").fetchone()[0] == 1


async def test_a_database_of_an_earlier_version_is_brought_up_to_date(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = (*STEPS, ("CREATE TABLE added (x INTEGER)", "INSERT INTO added VALUES (7)"))
    monkeypatch.setattr("kallyai_mcp.journal.schema.STEPS", later)
    async with Journal(used) as journal:
        assert len(await journal.acts(ANN)) == 1
    with closing(sqlite3.connect(used / "acts.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(STEPS) + 1
        assert db.execute("PRAGMA application_id").fetchone()[0] == MARK
        assert db.execute("SELECT x FROM added").fetchall() == [(7,)]


async def test_a_step_that_fails_leaves_the_version_before_it(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (*STEPS, ("CREATE TABLE added (x INTEGER)", "INSERT INTO nowhere VALUES (7)"))
    monkeypatch.setattr("kallyai_mcp.journal.schema.STEPS", broken)
    await refused(used)
    monkeypatch.undo()
    async with Journal(used) as journal:
        assert len(await journal.acts(ANN)) == 1
    with closing(sqlite3.connect(used / "acts.db")) as db:
        assert db.execute("SELECT name FROM sqlite_master WHERE name = 'added'").fetchall() == []


async def test_every_write_is_synced_and_the_rules_of_the_tables_hold(tmp_path: Path) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "trusted_schema")

    def facts(tx: Transaction) -> list[tuple[object, ...]]:
        return [tuple(row) for name in names for row in tx.each(f"PRAGMA {name}")]

    database = Database(tmp_path / "state", clock=Clock(), busy=1.0)
    synced = [("wal",), (2,), (1,), (1,), (0,)]
    assert await database.write(facts) == synced
    assert (await database.write(facts, durable=False))[1] == (1,)
    assert await database.write(facts) == synced
    await database.aclose()


async def test_what_reads_cannot_write(tmp_path: Path) -> None:
    database = Database(tmp_path / "state", clock=Clock(), busy=1.0)
    await unusable(database.read(lambda tx: tx.run("DELETE FROM act")))
    await database.aclose()


async def test_a_write_on_a_database_that_is_read_only_is_refused(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def read_only(address: str, **options: Any) -> sqlite3.Connection:
        return connect(address.replace("mode=rw", "mode=ro"), **options)

    monkeypatch.setattr("kallyai_mcp.journal.database.sqlite3.connect", read_only)
    async with Journal(used) as journal:
        refusal = await unusable(journal.begin(ANN, a_draft(), ROOMY))
        assert "cannot be written to" in refusal.message
        assert len(await journal.acts(ANN)) == 1


async def test_an_act_that_the_disk_has_no_room_for_is_not_begun(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database may not grow beyond the pages that it has."""
    monkeypatch.setattr("kallyai_mcp.journal.database.PRAGMAS", (*PRAGMAS, "max_page_count = 1"))
    async with Journal(used) as journal:
        refusal = await unusable(journal.begin(ANN, a_draft(credits=5.0, arguments={"x": "y" * 100_000}), ROOMY))
        assert (refusal.retryable, "the disk is full" in refusal.message) == (True, True)
        assert len(await journal.acts(ANN)) == 1
        assert await journal.usage(ANN) == Usage()


async def test_a_write_that_another_program_is_in_the_way_of_is_refused_and_may_be_tried_again(used: Path) -> None:
    async with Journal(used, busy=0.05) as journal:
        await journal.acts(ANN)
        with closing(sqlite3.connect(used / "acts.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refusal = await unusable(journal.begin(ANN, a_draft(), ROOMY))
            assert refusal.retryable is True
            assert refusal.message == f"The journal {used / 'acts.db'} was held by another program for 0.05 seconds."
            other.execute("ROLLBACK")
        await begun(journal, a_draft())


async def test_a_mistake_in_the_work_undoes_it_and_the_journal_goes_on(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        act = await begun(journal, a_draft())
        with pytest.raises(TypeError):
            await journal.settle(ANN, act.id, State.DONE, answer={"x": object()})
        assert await journal.acts(ANN) == [act]
        assert (await journal.settle(ANN, act.id, State.DONE)).state is State.DONE


async def test_a_database_moved_away_while_in_use_is_begun_anew(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await begun(journal, a_draft())
        for path in (tmp_path / "state").glob("acts.db*"):
            path.unlink()
        for path in (tmp_path / "state" / "live").iterdir():
            path.unlink()
        assert await journal.acts(ANN) == []
        act = await begun(journal, a_draft())
        async with journal_in(tmp_path) as other:
            assert await other.acts(ANN) == [act]
            assert await other.recover(ANN, "ask") == []


async def test_a_closed_journal_opens_again_and_knows_its_earlier_acts_as_left_behind(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        act = await in_state(journal, a_draft(), State.SENT)
        await journal.aclose()
        await journal.aclose()
        assert list((tmp_path / "state" / "live").iterdir()) == []
        assert [(left.id, left.state) for left in await journal.recover(ANN, "ask")] == [(act.id, State.UNKNOWN)]
