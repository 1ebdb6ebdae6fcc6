"""The token file: what is read, what is refused, and that a save leaves the old file or the new one."""

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from auth_world import NOW, VirtualClock, file_at, stored, write
from hypothesis import given, settings
from hypothesis import strategies as st

from kallyai_mcp.auth.pair import TokenPair, lifetime, pair_from_answer
from kallyai_mcp.auth.token_file import TokenFile, UnreadableTokenFile
from kallyai_mcp.errors import TransportError

PAIR = TokenPair("at-1", "rt-1", NOW + 3540.75)


def saved(path: Path, pair: TokenPair = PAIR) -> TokenFile:
    file = file_at(path)
    file.replace(pair)
    return file


@pytest.mark.parametrize("expires_at", [2_000_003_540, 2_000_003_540.25])
@pytest.mark.parametrize("refresh", [{"refresh_token": "rt"}, {"refresh_token": None}, {}])
def test_whole_and_fractional_ends_and_missing_refresh_tokens_are_read(
    tmp_path: Path, expires_at: float, refresh: dict[str, Any]
) -> None:
    path = write(tmp_path / "token.json", access_token="at", expires_at=expires_at, **refresh)
    pair = file_at(path).read()
    assert pair is not None
    assert (pair.access_token, pair.refresh_token, pair.expires_at) == ("at", refresh.get("refresh_token"), expires_at)


def test_no_file_means_no_tokens(tmp_path: Path) -> None:
    assert file_at(tmp_path / "token.json").read() is None


def test_the_end_is_written_as_a_whole_number_and_a_missing_refresh_token_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    saved(path)
    assert path.read_text() == '{"access_token": "at-1", "refresh_token": "rt-1", "expires_at": 2000003540}'
    saved(path, TokenPair("at-2", None, NOW))
    assert stored(path) == {"access_token": "at-2", "expires_at": int(NOW)}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o177, 0o277])
def test_the_file_is_0600_from_its_first_byte_under_every_umask(
    tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    real_open, real_write = os.open, os.write

    def observed_open(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real_open(path, flags, mode)
        if flags & os.O_CREAT:
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode) & ~0o600)
        return descriptor

    def observed_write(descriptor: int, content: bytes) -> int:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return real_write(descriptor, content)

    monkeypatch.setattr(os, "open", observed_open)
    monkeypatch.setattr(os, "write", observed_write)
    previous = os.umask(umask)
    try:
        saved(tmp_path / "token.json")
    finally:
        os.umask(previous)
    assert modes == [0, 0o600]
    assert stat.S_IMODE((tmp_path / "token.json").stat().st_mode) == 0o600


def test_tokens_are_not_in_the_representation_of_a_pair() -> None:
    assert "at-1" not in repr(PAIR)
    assert "rt-1" not in repr(PAIR)


def symlink(path: Path) -> None:
    path.symlink_to(write(path.with_name("elsewhere"), access_token="at", expires_at=NOW))


def hard_link(path: Path) -> None:
    path.hardlink_to(write(path.with_name("elsewhere"), access_token="at", expires_at=NOW))


def wide(path: Path) -> None:
    write(path, mode=0o644, access_token="at", expires_at=NOW)


@pytest.mark.parametrize(
    ("make", "fact", "remedy"),
    [
        (symlink, "symbolic link", "Put the file itself"),
        (os.mkfifo, "not a plain file", "--token-file"),
        (Path.mkdir, "not a plain file", "--token-file"),
        (wide, "open to others (mode 0644)", "chmod 600 "),
        (hard_link, "hard link", "Copy it"),
    ],
)
def test_what_is_not_a_private_plain_file_is_refused_with_the_remedy_and_without_hanging(
    tmp_path: Path, make: Callable[[Path], None], fact: str, remedy: str
) -> None:
    path = tmp_path / "token.json"
    make(path)
    with pytest.raises(UnreadableTokenFile) as refused:
        file_at(path).read()
    assert fact in refused.value.message
    assert str(path) in refused.value.message
    assert remedy in refused.value.next_step


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "token.json", access_token="at", expires_at=NOW)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(UnreadableTokenFile, match="belongs to another user"):
        file_at(path).read()
    with pytest.raises(UnreadableTokenFile, match="belongs to another user"):
        file_at(path).replace(PAIR)


@pytest.mark.parametrize("make", [symlink, os.mkfifo, Path.mkdir])
def test_a_save_replaces_nothing_but_a_plain_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "token.json"
    make(path)
    before = path.lstat()
    with pytest.raises(UnreadableTokenFile, match="not a plain file"):
        file_at(path).replace(PAIR)
    assert path.lstat().st_ino == before.st_ino


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "{}", '{"access_token": 1, "expires_at": 1}', '{"access_token": "a", "expires_at": "1"}',
     '{"access_token": "a\\nb", "expires_at": 1}', '{"access_token": "a", "expires_at": true}', "[" * 60_000,
     '{"access_token": "a", "refresh_token": ["s3cret"], "expires_at": 1}', "x" * 70_000],
)  # fmt: skip
def test_a_malformed_file_is_named_kept_and_not_quoted(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(UnreadableTokenFile) as refused:
        file_at(path).read()
    assert str(path) in refused.value.message
    assert "s3cret" not in refused.value.message + refused.value.next_step
    assert "kallyai-mcp login" in refused.value.next_step
    assert path.read_text() == content


@settings(deadline=None)
@given(content=st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.dictionaries(st.sampled_from(["access_token", "refresh_token", "expires_at"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_content_is_either_read_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "token.json"
    path.touch(0o600)
    path.write_bytes(content)
    try:
        pair = file_at(path).read()
    except UnreadableTokenFile:
        return
    assert pair is not None
    assert pair.usable(pair.expires_at - 1)


def test_an_unchanged_file_costs_one_stat_and_a_changed_one_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "token.json", access_token="at", expires_at=NOW)
    file = file_at(path)
    first = file.read()
    opened: list[object] = []
    real_open = os.open
    monkeypatch.setattr(os, "open", lambda *args: (opened.append(args), real_open(*args))[1])  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # handed through
    assert file.read() is first
    assert opened == []
    path.chmod(0o644)
    with pytest.raises(UnreadableTokenFile, match="open to others"):
        file.read()


def test_on_windows_owner_mode_and_folder_are_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "token.json", mode=0o644, access_token="at", refresh_token="rt", expires_at=NOW)
    for missing in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "fchmod", "geteuid"):
        monkeypatch.delattr(os, missing)
    file = file_at(path, posix=False)
    assert file.read() is not None
    real_replace = os.replace
    busy = iter([True, True, False])

    def replace(source: Path, target: Path) -> None:
        if next(busy):
            raise PermissionError(errno.EACCES, "a reader has it open")
        real_replace(source, target)

    monkeypatch.setattr(os, "replace", replace)
    file.replace(PAIR)
    assert stored(path)["access_token"] == "at-1"


def test_the_content_is_on_the_disk_before_it_takes_the_place_of_the_old_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def noted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: (order.append(name), real(*args))[1]

    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    saved(tmp_path / "token.json")
    assert order == ["write", "fsync", "replace", "fsync"]


CALLS = ["open", "fchmod", "write", "fsync", "close", "replace"]


class Fault:
    """Fails the n-th system call of a save."""

    def __init__(self, at: int, code: int) -> None:
        self.left = at
        self.code = code
        self.fired = False

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.fired = True
                if name == "close":
                    real(*args)
                raise OSError(self.code, os.strerror(self.code))
            if name == "write" and self.left % 2:  # half of the writes are short
                return real(args[0], args[1][: len(args[1]) // 2 or 1])
            return real(*args, **options)

        return call


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EINTR, errno.EROFS])
def test_when_the_nth_system_call_of_a_save_fails_the_file_is_the_old_or_the_new(tmp_path: Path, code: int) -> None:
    path = tmp_path / "token.json"
    saved(path, TokenPair("at-0", "rt-0", NOW))
    old = path.read_text()
    outcomes: set[str] = set()
    for at in range(1, 60):
        fault = Fault(at, code)
        path.write_text(old)
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, fault.wrap(name, getattr(os, name)))
            try:
                file_at(path).replace(PAIR)
                failed = False
            except OSError:
                failed = True
        now = path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert now == old if failed else stored(path)["access_token"] == "at-1"
        assert [entry.name for entry in tmp_path.iterdir()] == ["token.json"]
        outcomes.add("failed" if failed else "saved")
        if not fault.fired:
            break
    else:
        pytest.fail("a save has no end")
    assert outcomes == {"failed", "saved"}


def test_a_temporary_file_left_by_a_killed_process_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    write(tmp_path / "token.json.tmp", mode=0o644, access_token="half")
    saved(path)
    assert stored(path)["access_token"] == "at-1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["token.json"]


def test_removing_takes_the_left_temporary_file_along(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    file = saved(path)
    write(tmp_path / "token.json.tmp", access_token="half")
    assert file.remove() is True
    assert file.remove() is False
    assert list(tmp_path.iterdir()) == []


def test_a_save_makes_the_folder_for_its_owner_only(tmp_path: Path) -> None:
    file = file_at(tmp_path / "state" / "token.json")

    async def save() -> None:
        async with file.locked():
            file.replace(PAIR)

    anyio.run(save)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "token.json.lock").stat().st_mode) == 0o600


@pytest.mark.anyio
async def test_a_held_lock_is_waited_for_30_seconds_and_then_reported(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    clock = VirtualClock()
    async with file_at(path).locked():
        with pytest.raises(TransportError) as busy:
            async with TokenFile(path, clock).locked():
                pytest.fail("two hold the lock")
    assert busy.value.error_code == "token_file_busy"
    assert busy.value.retryable
    assert 30 <= clock.elapsed <= 30.1
    assert (tmp_path / "token.json.lock").exists()
    async with TokenFile(path, clock).locked(0):
        pass


@pytest.mark.anyio
async def test_waiting_for_the_lock_can_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    async with file_at(path).locked():
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with file_at(path).locked():
                pytest.fail("two hold the lock")
        assert scope.cancelled_caught


@pytest.mark.anyio
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
async def test_where_there_are_no_locks_the_error_says_so_at_once(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UnreadableTokenFile, match="cannot be taken"):
        async with file_at(tmp_path / "token.json").locked():
            pytest.fail("there is no lock")


@pytest.mark.anyio
async def test_a_lock_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "token.json.lock").symlink_to(target)
    with pytest.raises(UnreadableTokenFile, match="cannot be taken"):
        async with file_at(tmp_path / "token.json").locked():
            pytest.fail("the link was followed")
    assert not target.exists()


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(3600, 3600), (None, 3600), ("1200", 1200), (0, 300), (-5, 300), (1e9, 300), (30 * 86400 + 1, 300), ("soon", 300),
     (True, 300), ([], 300), (float("nan"), 300), (10**400, 300), (0.2, 60), (59, 60)],
)  # fmt: skip
def test_a_lifetime_that_cannot_be_true_counts_as_five_minutes(given: object, seconds: int) -> None:
    assert lifetime(given) == seconds


def test_the_end_is_a_minute_early_and_counted_from_the_moment_of_asking() -> None:
    pair = pair_from_answer({"access_token": "a", "refresh_token": "r", "expires_in": 7200}, asked_at=NOW + 0.9)
    assert pair.expires_at == NOW + 7140
    assert pair_from_answer({"access_token": "a", "expires_in": 60}, asked_at=NOW).expires_at == NOW + 30


def test_an_answer_without_refresh_token_leaves_the_old_one() -> None:
    for answer in ({"access_token": "a"}, {"access_token": "a", "refresh_token": None}):
        assert pair_from_answer(answer, asked_at=NOW, previous_refresh_token="old").refresh_token == "old"
