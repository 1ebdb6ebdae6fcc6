"""Killed, or failed by the system, at any point of a refresh and its save."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from auth_rotation import rotating
from auth_world import NOW, Refreshing, VirtualClock, file_at, session_in, stored, write_pair
from full import share

from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.auth.token_file import TokenFile

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from kallyai_mcp.auth.session import Session

KILLED = Path(__file__).with_name("auth_killed.py")
KILLS = share(60, 500)
CALLS = ("open", "fchmod", "write", "fsync", "close", "replace", "unlink", "lstat", "stat", "fstat")
CODES = (errno.ENOSPC, errno.EIO, errno.EINTR, errno.EDQUOT)


def test_a_process_killed_at_any_moment_of_refresh_and_save_leaves_a_whole_private_file(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    with rotating() as service:
        service.delay, service.forgiving = 0.0, True
        command = [sys.executable, str(KILLED), str(path), service.origin, str(KILLS), "2"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)  # noqa: S603 - our own script
        found = json.loads(done.stdout)
        assert found.pop("whole") == KILLS
        assert found.pop("saved meanwhile") > 0
        assert found.pop("half done") <= KILLS
        assert found == {"stray": 0}

    async def go_on() -> None:
        async with file_at(path).locked(0):
            file_at(path).replace(TokenPair("at-1", "rt-1", NOW))

    anyio.run(go_on)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["token.json", "token.json.lock"]


class Save:
    """Counts the system calls of a save, and has its own way with the n-th, or with that and all that follow."""

    def __init__(self, at: int, act: Callable[[], None], *, lasting: bool = False) -> None:
        self.left = at
        self.act = act
        self.lasting = lasting
        self.fired = False
        self._replace = TokenFile.replace

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0 or (self.lasting and self.left < 0):
                self.fired = True
                if name == "close":
                    real(*args)
                self.act()
            return real(*args, **options)

        return call

    def save(self, file: TokenFile, pair: TokenPair) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._wrap(name, getattr(os, name)))
            self._replace(file, pair)


def saves(act: Callable[[], None], *, lasting: bool = False) -> Generator[Save]:
    """Give one save for each of its system calls, until all have had their turn."""
    for at in range(1, 60):
        save = Save(at, act, lasting=lasting)
        yield save
        if not save.fired:
            assert at > len(CALLS) / 2
            return
    pytest.fail("a save has no end")


def failing(code: int) -> Callable[[], None]:
    def fail() -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_save_killed_before_any_of_its_system_calls_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    seen: set[str] = set()
    file_at(path).replace(TokenPair("at-0", "rt-0", NOW))
    left: list[str] = []
    for at in range(1, 60):
        file_at(path).replace(TokenPair("at-0", "rt-0", NOW))
        child = os.fork()
        if child == 0:
            try:
                save = Save(at, lambda: os.kill(os.getpid(), signal.SIGKILL))
                save.save(file_at(path), TokenPair("at-1", "rt-1", NOW + 1))
            finally:
                os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        fields = stored(path)
        assert fields["access_token"][3:] == fields["refresh_token"][3:]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        left = sorted(entry.name for entry in tmp_path.iterdir())
        assert left in (["token.json"], ["token.json", "token.json.tmp"])
        seen.add(f"{fields['access_token']} {'killed' if killed else 'done'}")
        if not killed:
            break
    assert seen == {"at-0 killed", "at-1 killed", "at-1 done"}
    assert left == ["token.json"]


async def use(session: Session, times: int) -> list[str | None]:
    return [await session.token() for _ in range(times)]


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
def test_when_any_system_call_of_the_save_fails_the_process_works_on_with_the_new_token(
    tmp_path: Path, code: int, lasting: bool
) -> None:
    path = tmp_path / "token.json"
    seen: set[str] = set()
    for save in saves(failing(code), lasting=lasting):
        write_pair(tmp_path, seconds=-1)
        service, clock = Refreshing(), VirtualClock()
        session = session_in(tmp_path, service, clock)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TokenFile, "replace", lambda file, pair, save=save: save.save(file, pair))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # handed through
            assert anyio.run(use, session, 3) == ["at-1"] * 3
        fields = stored(path)
        assert fields["access_token"][3:] == fields["refresh_token"][3:]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert {entry.name for entry in tmp_path.iterdir()} <= {"token.json", "token.json.lock", "token.json.tmp"}
        seen.add(fields["access_token"])
        clock.pass_(31)
        assert anyio.run(use, session, 2) == ["at-1"] * 2
        assert stored(path)["refresh_token"] == "rt-1"
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["token.json", "token.json.lock"]
        assert service.issued == 1
    assert seen == {"at-0", "at-1"}


def test_a_disk_that_cannot_even_be_looked_at_does_not_end_what_works_in_memory(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=-1)
    service, clock = Refreshing(), VirtualClock()
    session = session_in(tmp_path, service, clock)
    with pytest.MonkeyPatch.context() as patch:
        real = Path.lstat
        broken = [False]

        def lstat(self: Path) -> os.stat_result:
            if broken[0] and self == path:
                raise OSError(errno.EIO, "Input/output error")
            return real(self)

        def break_down(file: TokenFile, pair: TokenPair) -> None:
            del file, pair
            broken[0] = True
            raise OSError(errno.EIO, "Input/output error")

        patch.setattr(Path, "lstat", lstat)
        with pytest.MonkeyPatch.context() as saving:
            saving.setattr(TokenFile, "replace", break_down)
            assert anyio.run(use, session, 3) == ["at-1"] * 3
        clock.pass_(31)
        assert anyio.run(use, session, 1) == ["at-1"]
        broken[0] = False
        assert anyio.run(use, session, 1) == ["at-1"]
        clock.pass_(31)
        assert anyio.run(use, session, 1) == ["at-1"]
    assert stored(path)["refresh_token"] == "rt-1"
    assert service.issued == 1


def test_a_file_that_others_spoil_on_the_full_disk_does_not_end_what_works_in_memory(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=-1)
    service, clock = Refreshing(), VirtualClock()
    session = session_in(tmp_path, service, clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: failing(errno.ENOSPC)())  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # raises in an expression
        assert anyio.run(use, session, 1) == ["at-1"]
        path.write_text("")
        assert anyio.run(use, session, 2) == ["at-1"] * 2
    assert service.issued == 1


def test_signing_out_while_a_pair_of_memory_is_refreshed_is_final(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=-1)
    service, clock = Refreshing(), VirtualClock()
    session = session_in(tmp_path, service, clock)
    refresh = service.routes["/v1/auth/refresh"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: failing(errno.ENOSPC)())  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # raises in an expression
        assert anyio.run(use, session, 1) == ["at-1"]
    service.at("/v1/auth/refresh", lambda request: (path.unlink(missing_ok=True), refresh(request))[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(session.file), "replace", lambda *_: pytest.fail("written again"))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # fails in an expression

        async def renew() -> None:
            assert await session.renew("at-1") is None

        anyio.run(renew)
    assert service.issued == 2
    assert not path.exists()


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder that others can look into; pytest's own are closed to them whenever another run of it begins."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, for whom the folder is read-only")
def test_in_a_folder_where_nothing_can_be_written_a_good_token_is_used_and_an_ended_one_refused(folder: Path) -> None:
    """The exit status of the child tells: 0 for both."""
    path = write_pair(folder, seconds=300)
    ended = write_pair(folder, seconds=-1, name="ended.json")
    os.chown(path, 65534, 65534)
    os.chown(ended, 65534, 65534)
    before = ended.read_bytes()
    for part in folder.parents:
        if part != Path(part.anchor) and part.stat().st_mode & 0o005 != 0o005:
            part.chmod(part.stat().st_mode | 0o011)

    async def try_both() -> int:
        service = Refreshing()
        good = await session_in(folder, service).token()
        try:
            await session_in(folder, service, token_file=ended).token()
        except Exception as error:  # noqa: BLE001 - whatever it is, its code is looked at
            said = getattr(error, "error_code", "")
            return 0 if (good, said, service.issued) == ("at-0", "token_file_unusable", 0) else 2
        return 3

    child = os.fork()
    if child == 0:
        status = 4
        try:
            os.setgid(65534)
            os.setuid(65534)
            status = anyio.run(try_both)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ended.read_bytes() == before
