"""The key of the seal: made once for all processes, whole and private from its first moment, and else not used."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from full import share
from mcp.server.request_state import InvalidRequestState

from kallyai_mcp.server import seal
from kallyai_mcp.server.seal import FILE, LENGTH, SharedCodec, shared_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROCESSES = share(3, 40)
SCRIPT = (
    "import sys; from pathlib import Path; from kallyai_mcp.server.seal import shared_key\n"
    "sys.stdin.readline(); print(shared_key(Path(sys.argv[1])).hex())"
)


def codec(folder: Path) -> SharedCodec:
    return SharedCodec(lambda: folder)


def test_what_one_seals_another_opens(tmp_path: Path) -> None:
    assert codec(tmp_path).unseal(codec(tmp_path).seal(b"x")) == b"x"


def test_the_key_is_private_whatever_the_umask(tmp_path: Path) -> None:
    for mask in (0, 0o022, 0o077, 0o377):
        folder = tmp_path / oct(mask)
        folder.mkdir()
        before = os.umask(mask)
        try:
            key = shared_key(folder)
        finally:
            os.umask(before)
        assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
        assert [path.name for path in folder.iterdir()] == [FILE]
        assert len(key) == LENGTH


def test_the_folder_is_made_for_its_owner(tmp_path: Path) -> None:
    shared_key(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_nothing_touches_the_disk_before_the_first_state(tmp_path: Path) -> None:
    asked: list[str] = []

    def folder() -> Path:
        asked.append("folder")
        return tmp_path / "state"

    made = seal.boundary(lambda _: "one", SharedCodec(folder))
    assert (asked, list(tmp_path.iterdir())) == ([], [])
    made._security.codec.seal(b"x")  # pyright: ignore[reportPrivateUsage] - the SDK gives no other access
    made._security.codec.seal(b"y")  # pyright: ignore[reportPrivateUsage] - the SDK gives no other access
    assert asked == ["folder"]


def test_threads_that_come_at_once_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(shared_key, [tmp_path] * share(50, 1000)))
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_processes_that_come_at_once_get_one_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this interpreter, and code of these tests
        for _ in range(PROCESSES)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=60)[0].strip() for process in started}
    assert keys == {shared_key(tmp_path).hex()}


def test_the_key_is_whole_whenever_it_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stands in its place before it is complete and on the disk."""
    seen: list[bool] = []
    write, sync = os.write, os.fsync

    def writing(descriptor: int, data: bytes) -> int:
        seen.append((tmp_path / FILE).exists())
        return write(descriptor, data)

    def syncing(descriptor: int) -> None:
        seen.append((tmp_path / FILE).exists())
        sync(descriptor)

    monkeypatch.setattr(os, "write", writing)
    monkeypatch.setattr(os, "fsync", syncing)
    shared_key(tmp_path)
    assert seen == [False, False]


def test_whoever_is_late_takes_the_key_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = b"k" * LENGTH
    link = os.link

    def late(source: Any, target: Any) -> None:
        (tmp_path / FILE).touch(0o600)
        (tmp_path / FILE).write_bytes(other)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert shared_key(tmp_path) == other
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def symlink(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.touch(0o600)
    target.write_bytes(b"k" * LENGTH)
    path.symlink_to(target)


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def wide(mode: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(b"k" * LENGTH)
        path.chmod(mode)

    return make


def short(path: Path) -> None:
    path.touch(0o600)
    path.write_bytes(b"k" * (LENGTH - 1))


def long(path: Path) -> None:
    path.touch(0o600)
    path.write_bytes(b"k" * (LENGTH + 1))


def pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def folder(path: Path) -> None:
    path.mkdir(0o700)


def standing(path: Path) -> tuple[int, ...]:
    """Return what stands at a path, without when it was looked at last: looking is no change."""
    facts = path.lstat()
    return (
        *(facts.st_dev, facts.st_ino, facts.st_mode, facts.st_nlink, facts.st_uid, facts.st_gid, facts.st_size),
        *(facts.st_mtime_ns, facts.st_ctime_ns),
    )


BAD = [symlink, dangling, wide(0o644), wide(0o620), wide(0o604), wide(0o700), short, long, pipe, folder]


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__qualname__)
def test_what_is_no_private_key_is_left_alone_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None]
) -> None:
    make(tmp_path / FILE)
    before = standing(tmp_path / FILE)
    one, two = codec(tmp_path), codec(tmp_path)
    with caplog.at_level(logging.WARNING):
        token = one.seal(b"x")
        assert one.unseal(token) == b"x"
    (record,) = caplog.records
    assert FILE in record.getMessage()
    with pytest.raises(InvalidRequestState):
        two.unseal(token)
    assert standing(tmp_path / FILE) == before


def test_what_somebody_writes_into_a_pipe_is_no_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE, 0o600)
    descriptor = os.open(tmp_path / FILE, os.O_RDWR)
    try:
        os.write(descriptor, b"k" * LENGTH)
        with pytest.raises(OSError, match="not a plain file"):
            shared_key(tmp_path)
    finally:
        os.close(descriptor)


def test_a_key_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared_key(tmp_path)
    owner = (tmp_path / FILE).stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(OSError, match="belongs to another user"):
        shared_key(tmp_path)


@pytest.mark.parametrize("call", ["open", "link", "fsync", "write"])
def test_a_folder_that_takes_no_key_costs_the_restart_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: Any, **more: Any) -> None:
        del more
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    one = codec(tmp_path)
    assert one.unseal(one.seal(b"x")) == b"x"
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_removed_later_stays_in_use_in_this_process(tmp_path: Path) -> None:
    one = codec(tmp_path)
    token = one.seal(b"x")
    (tmp_path / FILE).unlink()
    assert one.unseal(token) == b"x"
    with pytest.raises(InvalidRequestState):
        codec(tmp_path).unseal(token)
