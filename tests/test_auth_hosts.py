"""Several hosts, each with its own server, and the vendor's command line on one token file."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

import auth_cli
import pytest
from auth_hosts import READ, ask, codes, put, results, signed_in
from auth_rotation import rotating
from auth_world import stored
from full import share

from kallyai_mcp.auth.vault import PEER_LOOKS, PEER_PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from auth_rotation import Rotation

PROCESSES, RUNS = 8, 50
ROUNDS = share(2, 10)
SIGN_IN = {"sign_in_required", "sign_in_failed", "sign_in_too_soon"}


def test_many_runs_in_many_servers_cost_one_refresh_and_none_fails(tmp_path: Path) -> None:
    """On a token that has ended, and in a storm of 401 on one that looked good; again and again in the same servers."""
    path = tmp_path / "token.json"
    with rotating() as service:
        put(path, 0, 3000)
        with signed_in(tmp_path, service.origin, PROCESSES) as hosts:
            for number in range(10, 10 + 20 * ROUNDS, 10):
                is_storm = number % 20 == 0
                service.begin(number)
                put(path, number, 3000 if is_storm else -1, access="at-stale" if is_storm else None)
                ask(hosts, RUNS)
                found = [one for host in hosts for one in results(host, RUNS)]
                assert codes(found) == {"ok"}
                assert (service.refreshes, service.reused, service.answered) == (1, 0, PROCESSES * RUNS)
                assert service.refused == 0 or is_storm
                assert stored(path)["refresh_token"] == f"rt-{number + 1}"
            for host in hosts:
                assert "at-" not in host.stderr


class Overtaking:
    """The CLI gets a pair right before the next refresh of ours, and saves it a moment after ours was refused."""

    def __init__(self, service: Rotation, path: Path) -> None:
        self._service = service
        self._path = path
        self.saving: threading.Timer | None = None
        self.took = 0.0
        """Seconds from the refusal, at most, until it was saved."""
        service.before = self._exchange

    def _exchange(self, _: str) -> None:
        self._service.before = lambda _: None
        answer = auth_cli.exchange(self._path, self._service.origin)
        self.saving = threading.Timer(0.3, self._save, (answer, time.monotonic()))
        self.saving.start()

    def _save(self, answer: dict[str, Any], since: float) -> None:
        auth_cli.save(self._path, answer, time.time())
        self.took = time.monotonic() - since


def test_a_pair_that_the_cli_got_before_us_is_adopted_and_nobody_signs_in(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    put(path, 0, 3000)
    with rotating() as service, signed_in(tmp_path, service.origin, 2) as hosts:
        service.strict = False
        number, is_late = 0, True
        while is_late and number < 100:  # once more: a machine that is busy may save later than we wait for it
            number += 10
            service.begin(number)
            put(path, number, -1)
            cli = Overtaking(service, path)
            ask(hosts, 20)
            found = [one for host in hosts for one in results(host, 20)]
            assert cli.saving is not None
            cli.saving.join()
            is_late = cli.took >= PEER_LOOKS * PEER_PAUSE
            assert is_late or codes(found) == {"ok"}
            assert (service.refreshes, stored(path)["access_token"]) == (1, f"at-{number + 1}")
        assert not is_late


def test_a_pair_that_the_cli_wrote_while_we_worked_is_used_without_a_refresh_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    put(path, 0, 3000)
    with rotating() as service, signed_in(tmp_path, service.origin, 2) as hosts:
        for _ in range(share(3, 30)):
            for host in hosts:
                assert codes([host.run(*READ)]) == {"ok"}
            auth_cli.save(path, auth_cli.exchange(path, service.origin), time.time())
            ask(hosts, 10)
            assert codes([one for host in hosts for one in results(host, 10)]) == {"ok"}
        assert (service.refreshes, service.reused) == (share(3, 30), 0)


def test_we_refresh_ahead_so_that_the_cli_finds_a_token_that_is_good(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    put(path, 0, 599)
    with rotating() as service, signed_in(tmp_path, service.origin, 2) as hosts:
        ask(hosts, 10)
        assert codes([one for host in hosts for one in results(host, 10)]) == {"ok"}
        assert auth_cli.token(path, service.origin) == "at-1"
        assert (service.refreshes, service.reused) == (1, 0)


def test_when_the_holder_of_the_lock_is_killed_the_others_go_on_within_two_seconds(tmp_path: Path) -> None:
    took: list[float] = []
    while not took or (took[-1] >= 2 and len(took) < 5):  # once more: the machine may have been busy with another thing
        folder = tmp_path / str(len(took))
        folder.mkdir()
        took.append(seconds_without_the_holder(folder))
    assert min(took) < 2


def seconds_without_the_holder(folder: Path) -> float:
    """Kill a server that holds the lock; return how long it takes until all runs of two others are answered."""
    put(folder / "token.json", 0, -1)
    killed = threading.Event()
    with rotating() as service, signed_in(folder, service.origin, 3) as (holder, *others):

        def lost(_: str) -> None:
            service.before = lambda _: None
            killed.wait(60)
            raise ConnectionResetError

        service.before = lost
        ask([holder], 5)
        service.wait_refreshing()
        ask(others, 5, writes=False)  # what is timed is the lock of the tokens
        for other in others:
            with pytest.raises(AssertionError, match="no message"):
                other.next(0.3)
        holder.process.kill()
        holder.process.wait()
        since = time.monotonic()
        killed.set()
        found = [one for other in others for one in results(other, 5)]
        took = time.monotonic() - since
        assert codes(found) == {"ok"}
        assert (service.refreshes, service.reused) == (1, 0)
    return took


def test_a_refusal_with_nothing_newer_is_one_stable_error_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    put(path, 0, -1)
    before = path.read_bytes()
    with rotating() as service, signed_in(tmp_path, service.origin, 2) as hosts:
        service.begin(7)
        for _ in range(2):
            ask(hosts, 10)
            found = [one for host in hosts for one in results(host, 10)]
            assert codes(found) <= SIGN_IN
        assert service.reused == 2
        assert path.read_bytes() == before


@pytest.mark.parametrize("when", ["between runs", "during a refresh"])
def test_a_file_that_disappears_means_signed_out_and_is_not_written_again(tmp_path: Path, when: str) -> None:
    path = tmp_path / "token.json"
    put(path, 0, -1 if when == "during a refresh" else 3000)
    with rotating() as service, signed_in(tmp_path, service.origin, 2) as hosts:
        if when == "between runs":
            assert codes([host.run(*READ) for host in hosts]) == {"ok"}
            path.unlink()
        else:
            service.before = lambda _: path.unlink(missing_ok=True)
        for _ in range(2):
            ask(hosts, 10)
            assert codes([one for host in hosts for one in results(host, 10)]) <= SIGN_IN
            assert not path.exists()
        assert service.refreshes == (when == "during a refresh")


def symlink(path: Path) -> None:
    path.symlink_to(path.with_name("good"))


def hard_link(path: Path) -> None:
    path.hardlink_to(path.with_name("good"))


def wide(path: Path) -> None:
    shutil.copy(path.with_name("good"), path)
    path.chmod(0o644)


def foreign(path: Path) -> None:
    shutil.copy(path.with_name("good"), path)
    os.chown(path, 65534, 65534)


REFUSED: list[tuple[Callable[[Path], None], str, str]] = [
    (symlink, "is a symbolic link", "Put the file itself there"),
    (os.mkfifo, "is not a plain file", "--token-file"),
    (lambda path: path.mkdir(), "is not a plain file", "--token-file"),
    (hard_link, "has a second name (hard link)", "Copy it"),
    (wide, "is open to others (mode 0644)", "chmod 600"),
    (foreign, "belongs to another user", "--token-file"),
]


def test_what_is_no_private_plain_file_is_refused_by_the_run_with_its_remedy_and_no_hang(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    put(path.with_name("good"), 0, -1)
    path.with_name("good").chmod(0o600)
    with rotating() as service, signed_in(tmp_path, service.origin, 1) as (host,):
        for make, fact, remedy in REFUSED:
            if make is foreign and os.geteuid() != 0:
                continue
            make(path)
            before = path.lstat()
            (result,) = [host.run(*READ)]
            assert codes([result]) == {"token_file_unusable"}
            assert fact in result["content"][0]["text"]
            assert remedy in result["content"][0]["text"]
            assert path.lstat() == before
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        put(path, 0, 3000)
        assert codes([host.run(*READ)]) == {"ok"}
        assert service.refreshes == 0


def test_where_no_lock_can_be_had_a_good_token_is_used_and_an_ended_one_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    put(path, 0, 300)
    (tmp_path / "token.json.lock").mkdir()
    with rotating() as service, signed_in(tmp_path, service.origin, 1) as (host,):
        assert codes([host.run(*READ)]) == {"ok"}
        path.write_text(json.dumps(stored(path) | {"expires_at": 1}))
        before = path.read_bytes()
        result = host.run(*READ)
        assert codes([result]) == {"token_file_unusable"}
        assert "cannot be taken" in result["content"][0]["text"]
        assert path.read_bytes() == before
        assert service.refreshes == 0
