"""`doctor` finds each fault, says what to do, prints no secret, and works without a network."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from host_world import host_named

from kallyai_mcp.app import Program
from kallyai_mcp.auth.http import Http
from kallyai_mcp.auth.reach import reach
from kallyai_mcp.cli import doctor as whole
from kallyai_mcp.cli import run
from kallyai_mcp.cli.doctor import of_hosts, own
from kallyai_mcp.cli.doctor.finding import Check, Finding, Status
from kallyai_mcp.cli.doctor.starting import Started
from kallyai_mcp.hosts import HOSTS, System
from kallyai_mcp.hosts.host import GUI_PATH
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "kallyai_sandbox_at_demo"
FAST = Started(0.5, ["kallyai_ask"])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("KALLYAI_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("KALLYAI_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def write(home: Path, entry: Any, text: str | None = None) -> Path:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text or json.dumps({"mcpServers": {"kallyai": entry}}), "utf-8")
    return path


async def looked(home: Path, host: str = "cursor", platform: str = "linux", **environment: str) -> dict[str, Finding]:
    system = System(
        platform=platform, home=home, environment={"PATH": os.environ["PATH"]} | environment, folder=home / "project"
    )
    checks = of_hosts.checks_of_hosts(system, Program(), host_named(host), "kallyai")
    found = [finding for check in checks for finding in await check.run()]
    assert all(finding.remedy for finding in found if finding.status is not Status.OK)
    return {finding.check: finding for finding in found}


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command starts at once."""

    async def start(*_: Any, **__: Any) -> Started:
        return FAST

    monkeypatch.setattr(of_hosts, "start", start)


GOOD = {"command": sys.executable, "args": ["-m", "kallyai_mcp"], "env": {"KALLYAI_SANDBOX": "1"}}


def test_the_whole_of_it_with_a_host_that_works(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_hosts, "LONGEST_START", 120.0)  # a machine may be busy with other things
    write(home, GOOD)

    status = run(["doctor", "--json", "--sandbox"], Program())

    told = json.loads(capsys.readouterr().out)
    by_check = {(one["host"], one["check"]): one for one in told["checks"]}
    assert {one["status"] for one in told["checks"]} <= {"ok", "note"}
    assert (status, told["ok"]) == (0, True)
    for check in ("python", "command", "state", "acts", "sandbox", "sign-in", "service"):
        assert (None, check) in by_check
    assert by_check["cursor", "start"]["facts"]["tools"] > 100
    assert by_check["cursor", "tools"]["status"] == "note"
    assert all(set(one) == {"check", "host", "status", "message", "remedy", "facts"} for one in told["checks"])


@pytest.mark.usefixtures("ready")
def test_faults_of_the_entry(home: Path) -> None:
    assert anyio.run(looked, home)["entry"].status is Status.FAILED
    write(home, None, "{")
    assert "line 1" in anyio.run(looked, home)["entry"].message
    empty: dict[str, Any] = {}
    entries: tuple[Any, ...] = (empty, {"command": ""}, {"command": "x", "args": [1]}, "x", {"command": "x", "args": 1})
    for entry in entries:
        write(home, entry)
        assert anyio.run(looked, home)["entry"].status is Status.FAILED
    write(home, GOOD)
    assert anyio.run(looked, home)["entry"].status is Status.OK


@pytest.mark.usefixtures("ready")
def test_faults_of_the_command(home: Path) -> None:
    write(home, {"command": str(home / "gone")})
    assert anyio.run(looked, home)["command"].status is Status.FAILED
    (home / "plain").write_text("", "utf-8")
    write(home, {"command": str(home / "plain")})
    assert anyio.run(looked, home)["command"].status is Status.FAILED
    write(home, {"command": "kallyai-mcp-of-nobody"})
    assert "PATH" in anyio.run(looked, home)["command"].message


def test_a_host_started_by_a_click_on_macos_has_a_short_path(home: Path) -> None:
    there = System(platform="macos", home=home, environment={"PATH": "/mine", "KALLYAI_X": "1"}, folder=home)

    assert of_hosts.environment_of(host_named("cursor"), there) == {"PATH": GUI_PATH}
    assert of_hosts.environment_of(host_named("claude-code"), there) == {"PATH": "/mine"}


@pytest.mark.usefixtures("ready")
def test_faults_of_the_variables(home: Path) -> None:
    write(home, GOOD | {"env": {"KALLYAI_APPROVAL": "sometimes"}})

    found = anyio.run(looked, home)["variables"]

    assert found.status is Status.FAILED
    assert "KALLYAI_APPROVAL" in found.message

    write(home, GOOD | {"env": {"KALLYAI_EXCLUDE_TOOL": "calls_make"}})
    found = anyio.run(looked, home)["variables"]
    assert found.status is Status.FAILED
    assert "KALLYAI_EXCLUDE_TOOLS" in found.remedy

    write(home, GOOD | {"env": {"KALLYAI_COLOUR": "red"}})
    found = anyio.run(looked, home)["variables"]
    assert (found.status, found.facts["variables"]) == (Status.NOTE, ["KALLYAI_COLOUR"])

    write(home, GOOD | {"env": {"KALLYAI_SANDBOX": True}})
    found = anyio.run(looked, home)["variables"]
    assert found.status is Status.FAILED
    assert "in quotes" in found.remedy


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("switched_off", [{"disabled": True}, {"enabled": False}])
def test_an_entry_that_is_switched_off_is_told(home: Path, switched_off: dict[str, bool]) -> None:
    write(home, GOOD | switched_off)
    assert anyio.run(looked, home)["enabled"].status is Status.NOTE
    write(home, GOOD | {name: not value for name, value in switched_off.items()})
    assert "enabled" not in anyio.run(looked, home)


def test_in_the_home_folder_a_file_is_looked_at_once_and_as_ones_own(home: Path) -> None:
    write(home, GOOD)
    system = System(platform="linux", home=home, environment={}, folder=home)
    checks = of_hosts.checks_of_hosts(system, Program(), None, "kallyai")
    assert [(check.host, check.run.keywords["is_own"]) for check in checks] == [("cursor", True)]  # type: ignore[attr-defined] # a partial


def test_a_command_that_is_no_server(home: Path) -> None:
    write(home, {"command": sys.executable, "args": ["-c", "raise SystemExit('no token sk-' + 'x' * 60)"]})

    found = anyio.run(looked, home)["start"]

    assert found.status is Status.FAILED
    assert "does not serve" in found.message
    assert "x" * 60 not in found.message

    write(home, GOOD | {"args": ["-m", "kallyai_mcp", "--surface", "serach"]})
    assert "Error: --surface must be" in anyio.run(looked, home)["start"].message


def test_limits_of_the_host(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"kallyai_{'x' * 60}_{number}" for number in range(100)]

    async def start(*_: Any, **__: Any) -> Started:
        return Started(25.0, names)

    monkeypatch.setattr(of_hosts, "start", start)
    write(home, GOOD | {"env": {"KALLYAI_ANSWER_WITHIN": "90"}})

    found = anyio.run(looked, home)

    assert found["start"].status is Status.FAILED
    assert found["tools"].status is Status.NOTE
    assert found["names"].status is Status.NOTE
    assert found["answers"].status is Status.FAILED
    assert "approvals" not in found


@pytest.mark.usefixtures("ready")
def test_hosts_that_do_not_ask_are_named(home: Path) -> None:
    path = home / ".config" / "zed" / "settings.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"context_servers": {"kallyai": GOOD}}), "utf-8")

    assert "page or in a terminal" in anyio.run(looked, home, "zed")["approvals"].message


def test_only_hosts_with_an_entry_are_looked_at_unless_one_is_named(home: Path) -> None:
    system = System(platform="linux", home=home, environment={}, folder=home / "project")

    assert of_hosts.checks_of_hosts(system, Program(), None, "kallyai") == []
    write(home, GOOD)
    assert [check.host for check in of_hosts.checks_of_hosts(system, Program(), None, "kallyai")] == ["cursor"]
    for host in HOSTS:
        if "linux" in host.places:
            assert len(of_hosts.checks_of_hosts(system, Program(), host, "kallyai")) == 1


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1
    return findings[0]


def answering(date: str | None) -> Http:
    headers = {} if date is None else {"Date": date}
    return Http(lambda: httpx2.MockTransport(lambda _: httpx2.Response(404, headers=headers)))


def test_the_clock_is_compared_with_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(http: Http) -> list[Finding]:
        async def asked(settings: Settings) -> Any:
            return await reach(settings, http)

        monkeypatch.setattr(own, "reach", asked)
        return await own._service(Settings(api_url="https://api.test"))  # pyright: ignore[reportPrivateUsage]

    from email.utils import formatdate

    assert [one.status for one in anyio.run(found, answering(formatdate()))] == [Status.OK, Status.OK]
    behind = anyio.run(found, answering(formatdate(time.time() + 3600)))[1]
    assert behind.status is Status.FAILED
    assert "behind" in behind.message
    assert "ahead of" in anyio.run(found, answering(formatdate(time.time() - 3600)))[1].message
    assert anyio.run(found, answering(None))[1].status is Status.NOTE
    assert anyio.run(found, answering("yesterday"))[1].status is Status.NOTE


def test_a_service_that_is_not_there_is_found_in_time() -> None:
    found = only(anyio.run(own._service, Settings(api_url="http://127.0.0.1:9")))  # pyright: ignore[reportPrivateUsage]

    assert found.status is Status.FAILED
    assert found.remedy


posix = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")


@posix
def test_faults_of_the_state_folder(tmp_path: Path) -> None:
    def state(folder: Path) -> Finding:
        return only(anyio.run(own._state, Settings(state_dir=folder)))  # pyright: ignore[reportPrivateUsage]

    assert state(tmp_path / "new" / "one").status is Status.OK
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open").chmod(0o755)
    assert "chmod 700" in state(tmp_path / "open").remedy
    (tmp_path / "file").touch()
    assert state(tmp_path / "file").status is Status.FAILED
    (tmp_path / "mine").mkdir(mode=0o700)
    assert state(tmp_path / "mine").status is Status.OK


def test_an_altered_log_is_found(home: Path) -> None:
    import sqlite3

    from kallyai_mcp.journal import ALL, Journal

    settings = Settings.read(os.environ, {"sandbox": True})

    async def begin() -> None:
        async with Journal(settings.state_folder) as journal:
            await journal.stop(ALL, "a test")

    async def acts() -> Finding:
        return only(await own._acts(settings, Program()))  # pyright: ignore[reportPrivateUsage]

    assert anyio.run(acts).facts == {"lines": 0}
    anyio.run(begin)
    assert anyio.run(acts).status is Status.OK
    with closing(sqlite3.connect(settings.state_folder / own.STATE_FILE)) as database:
        triggers = [name for (name,) in database.execute("select name from sqlite_master where type = 'trigger'")]
        for name in triggers:
            database.execute(f"drop trigger {name}")
        database.execute("update receipt set line = replace(line, 'a test', 'nobody')")
        database.commit()
    assert anyio.run(acts).status is Status.FAILED


@posix
def test_faults_of_the_sign_in(home: Path) -> None:
    file = home / "tokens.json"
    settings = Settings.read(os.environ, {"token_file": str(file), "api_url": "http://127.0.0.1:9"})

    async def sign_in() -> Finding:
        return only(await own._sign_in(settings, Program()))  # pyright: ignore[reportPrivateUsage]

    assert anyio.run(sign_in).status is Status.NOTE
    secret = "live-token-of-nobody"
    file.write_text(json.dumps({"access_token": secret, "expires_at": int(time.time()) + 3600}), "utf-8")
    file.chmod(0o644)
    assert "chmod 600" in anyio.run(sign_in).remedy
    file.chmod(0o600)
    found = anyio.run(sign_in)
    assert found.status is Status.OK
    assert secret not in json.dumps(found.as_dict())
    file.write_text("{", "utf-8")
    assert anyio.run(sign_in).status is Status.FAILED


def test_a_check_that_hangs_or_breaks_is_given_up_and_the_others_go_on() -> None:
    async def hang() -> list[Finding]:
        await anyio.sleep(60)
        return []

    async def fail() -> list[Finding]:
        raise RuntimeError(TOKEN)

    async def both() -> list[Finding]:
        bounded = whole._bounded  # pyright: ignore[reportPrivateUsage]
        return [*await bounded(Check("a", None, "a", hang, within=0.05)), *await bounded(Check("b", None, "b", fail))]

    found = anyio.run(both)

    assert [one.status for one in found] == [Status.FAILED, Status.FAILED]
    assert TOKEN not in str(found)


def test_people_see_marks_and_remedies(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home, {"command": str(home / "gone")})

    assert run(["doctor", "--sandbox", "--host", "cursor"], Program()) == 1

    out = " ".join(capsys.readouterr().out.split())
    assert "FAILED command" in out
    assert "kallyai-mcp install cursor" in out
    assert "1 of" in out

    write(home, GOOD)
    assert run(["doctor", "--sandbox", "--host", "cursor"], Program()) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "note tools" in out
    assert "Everything works. 1 note tells what else to mind." in out


def test_an_unknown_host_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--host", "cusror"], Program()) == 2

    assert "cursor" in capsys.readouterr().err


def test_what_stands_in_a_folder_is_not_started(home: Path) -> None:
    marker = home / "started"
    folder = home / "project" / ".cursor"
    folder.mkdir()
    entry = {"command": "/bin/sh", "args": ["-c", f"touch {marker}"]}
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": {"kallyai": entry}}), "utf-8")
    found = anyio.run(looked, home)
    assert found["start"].status is Status.NOTE
    assert not marker.exists()
