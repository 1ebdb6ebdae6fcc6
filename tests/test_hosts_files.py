"""A host's file is replaced as a whole or not at all, and only where it is the user's own plain file."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from host_world import before, entry, host_named

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.hosts import files, plan_install, plan_uninstall

if TYPE_CHECKING:
    from pathlib import Path

HOST = host_named("cursor")
OLD = before(HOST).encode()
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes, owners and links are those of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mcp.json"
    file.write_bytes(OLD)
    return file


@posix
def test_mode_stays_and_the_copy_is_for_the_owner_alone(path: Path) -> None:
    path.chmod(0o640)

    plan_install(HOST, path, entry(HOST), "kallyai").make()

    assert path.stat().st_mode & 0o777 == 0o640
    assert files.backup_of(path).stat().st_mode & 0o777 == 0o600
    assert files.backup_of(path).read_bytes() == OLD


@posix
def test_a_new_file_is_for_the_owner_alone(tmp_path: Path) -> None:
    plan_install(HOST, tmp_path / "new.json", entry(HOST), "kallyai").make()

    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o600


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_group_stays(path: Path) -> None:
    os.chown(path, -1, 12345)

    plan_install(HOST, path, entry(HOST), "kallyai").make()

    assert path.stat().st_gid == 12345


def test_a_file_changed_meanwhile_is_left_alone(path: Path) -> None:
    change = plan_install(HOST, path, entry(HOST), "kallyai")
    path.write_bytes(OLD + b"\n")

    with pytest.raises(InvalidSettings, match="meanwhile"):
        change.make()

    assert path.read_bytes() == OLD + b"\n"


def test_a_file_that_came_meanwhile_is_left_alone(tmp_path: Path) -> None:
    change = plan_install(HOST, tmp_path / "new.json", entry(HOST), "kallyai")
    (tmp_path / "new.json").write_bytes(b"{}")

    with pytest.raises(InvalidSettings, match="meanwhile"):
        change.make()

    assert (tmp_path / "new.json").read_bytes() == b"{}"


def linked(path: Path) -> Path:
    link = path.with_name("link.json")
    link.symlink_to(path)
    return link


def hard_linked(path: Path) -> Path:
    os.link(path, path.with_name("second.json"))
    return path


def as_folder(path: Path) -> Path:
    path.unlink()
    path.mkdir()
    return path


def as_pipe(path: Path) -> Path:
    path.unlink()
    os.mkfifo(path)
    return path


def in_utf16(path: Path) -> Path:
    path.write_bytes('{"a": "ä"}'.encode("utf-16"))
    return path


def malformed(path: Path) -> Path:
    path.write_bytes(OLD[:-5])
    return path


@posix
@pytest.mark.parametrize("spoil", [linked, hard_linked, as_folder, as_pipe, in_utf16, malformed])
@pytest.mark.parametrize("plan", ["install", "uninstall"])
def test_what_is_not_to_be_touched_is_refused_and_stays(path: Path, spoil: Any, plan: str) -> None:
    spoiled = spoil(path)
    held = path.read_bytes() if path.is_file() else None

    with pytest.raises(InvalidSettings) as caught:
        plan_install(HOST, spoiled, entry(HOST), "kallyai") if plan == "install" else plan_uninstall(HOST, spoiled, "k")

    assert str(spoiled) in caught.value.message
    assert "Nothing was changed" in caught.value.next_step
    assert (path.read_bytes() if path.is_file() else None) == held
    assert not files.backup_of(path).exists()


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_refused_and_the_file_stays(path: Path) -> None:
    change = plan_install(HOST, path, entry(HOST), "kallyai")
    path.parent.chmod(0o500)
    try:
        with pytest.raises(InvalidSettings, match="cannot be written"):
            change.make()
    finally:
        path.parent.chmod(0o700)
    assert path.read_bytes() == OLD


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    os.chown(path, 12345, -1)

    with pytest.raises(InvalidSettings, match="another user"):
        plan_install(HOST, path, entry(HOST), "kallyai")


STEPS = ("open", "write", "fsync", "fchmod", "close", "replace", "unlink")
KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from host_world import entry, host_named
from kallyai_mcp.hosts import plan_install
step, at = sys.argv[1].split(":")
change = plan_install(host_named("cursor"), Path(sys.argv[2]), entry(host_named("cursor")), "kallyai")
name = {"replace": "rename"}.get(step, step)
import pathlib
seen = 0
def dying(real):
    def call(*arguments, **options):
        global seen
        seen += 1
        if seen == int(at):
            os._exit(9)
        return real(*arguments, **options)
    return call
if step in {"replace", "unlink"}:
    setattr(pathlib.Path, step, dying(getattr(pathlib.Path, step)))
else:
    setattr(os, step, dying(getattr(os, step)))
change.make()
print("done")
"""


@posix
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_leaves_the_old_file_or_the_new_one(path: Path, step: str, at: int) -> None:
    new = plan_install(HOST, path, entry(HOST), "kallyai").after
    here = os.path.dirname(__file__)  # noqa: PTH120 - a text for another process

    done = subprocess.run(  # noqa: S603 - our own interpreter, our own script
        [sys.executable, "-c", KILLED, f"{step}:{at}", str(path), here], capture_output=True, text=True, check=False
    )

    assert done.returncode in (0, 9), done.stderr
    assert path.read_bytes() in (OLD, new)
    assert done.returncode == 9 or path.read_bytes() == new
    copy = files.backup_of(path)
    assert not copy.exists() or copy.read_bytes() == OLD
    if path.read_bytes() == new:
        assert copy.exists()
    plan_install(HOST, path, entry(HOST), "kallyai").make()
    assert path.read_bytes() == new


@posix
@pytest.mark.parametrize("step", ["write", "fsync", "fchmod"])
def test_a_failure_at_any_step_leaves_the_old_file_and_no_litter(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = plan_install(HOST, path, entry(HOST), "kallyai")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(InvalidSettings, match="No space left"):
        change.make()

    assert path.read_bytes() == OLD
    assert not list(path.parent.glob("*.tmp"))
    assert not list(path.parent.glob(".*.tmp"))
