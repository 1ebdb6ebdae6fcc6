"""`install` and `uninstall` as they are typed: what is shown, asked, printed and changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cli_world import FakeProgram
from host_world import SECRET, before, host_named

from kallyai_mcp.cli import run
from kallyai_mcp.cli.installing import without_secrets

if TYPE_CHECKING:
    from pathlib import Path

CURSOR = host_named("cursor")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "APPDATA", "COPILOT_HOME", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


@pytest.fixture
def config(home: Path) -> Path:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(before(CURSOR), "utf-8")
    return path


def typed(*words: str) -> int:
    return run(words, FakeProgram())


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def entry_in(path: Path) -> dict[str, Any]:
    from kallyai_mcp.hosts import jsonc

    return jsonc.read(path.read_text("utf-8"))["mcpServers"]["kallyai"]


def test_install_shows_the_change_keeps_a_copy_and_uninstall_restores(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("install", "cursor", "--yes", "--sandbox", "--max-credits-per-day", "100") == 0
    out = capsys.readouterr().out

    assert '+    "kallyai": {' in out
    assert "mcp.json.kallyai-backup" in out
    assert "doctor --host cursor" in " ".join(out.split())
    assert SECRET not in out
    variables = entry_in(config)["env"]
    assert variables["KALLYAI_SANDBOX"] == "1"
    assert variables["KALLYAI_MAX_CREDITS_PER_DAY"] == "100"

    assert typed("uninstall", "cursor", "--yes") == 0
    assert SECRET not in capsys.readouterr().out
    assert config.read_text("utf-8") == before(CURSOR)
    assert [file.name for file in config.parent.iterdir()] == ["mcp.json"]


def test_without_a_person_and_without_yes_nothing_is_changed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("install", "cursor") == 2

    assert "--yes" in capsys.readouterr().err
    assert config.read_text("utf-8") == before(CURSOR)


@pytest.mark.parametrize("agrees", [True, False])
def test_a_person_is_asked(config: Path, agrees: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    from kallyai_mcp.cli import installing

    class Person:
        async def agrees(self, prompt: str) -> bool:
            assert "Cursor" in prompt
            return agrees

    @contextmanager
    def terminal() -> Any:
        yield Person()

    monkeypatch.setattr(installing, "terminal", terminal)

    assert typed("install", "cursor") == (0 if agrees else 5)
    assert ("kallyai" in config.read_text("utf-8")) is agrees


def test_print_changes_nothing_and_works_for_hosts_of_other_systems(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("install", "claude-desktop", "--print", "--name", "phone") == 0
    entry = json.loads(capsys.readouterr().out)["mcpServers"]["phone"]
    assert entry["command"]

    assert typed("install", "cursor", "--print", "--json") == 0
    assert printed(capsys)["path"] == str(config)
    assert config.read_text("utf-8") == before(CURSOR)


def test_json_tells_what_was_done(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("install", "cursor", "--yes", "--json") == 0
    told = printed(capsys)
    assert told["changed"] is True
    assert told["entry"] == entry_in(config)
    assert told["backup"] == str(config) + ".kallyai-backup"

    assert typed("install", "cursor", "--yes", "--json") == 0
    assert printed(capsys)["changed"] is False

    assert typed("uninstall", "cursor", "--yes", "--json") == 0
    assert printed(capsys)["changed"] is True
    assert typed("uninstall", "cursor", "--yes", "--json") == 0
    assert printed(capsys)["changed"] is False


def test_the_project_has_a_file_of_its_own(home: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("install", "cursor", "--scope", "project", "--yes") == 0

    assert "before you share the file" in " ".join(capsys.readouterr().out.split())
    assert (home / "project" / ".cursor" / "mcp.json").exists()
    assert config.read_text("utf-8") == before(CURSOR)


def test_without_a_host_they_are_listed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed("install", "cursor", "--yes", "--json")
    capsys.readouterr()

    assert typed("install", "--json") == 0
    rows = {(row["name"], row["scope"]): row for row in printed(capsys)["hosts"]}
    assert rows["cursor", "user"]["entry"] is True
    assert rows["cursor", "project"]["entry"] is False

    config.write_text("{", "utf-8")
    typed("install", "--json")
    assert {(r["name"], r["scope"]): r for r in printed(capsys)["hosts"]}["cursor", "user"]["entry"] is None


def test_in_any_terminal_the_list_shows_which_hosts_have_an_entry(
    home: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config.is_relative_to(home)
    typed("install", "cursor", "--yes", "--json")
    capsys.readouterr()
    monkeypatch.setenv("COLUMNS", "80")

    assert typed("install") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["cursor", "user", "yes", "~/.cursor/mcp.json"] in lines
    assert ["cursor", "project", "-", ".cursor/mcp.json"] in lines


def test_what_uninstall_advises_is_something_that_it_can_do(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed("install", "cursor", "--yes", "--json")
    capsys.readouterr()
    assert typed("uninstall", "cursor") == 2
    assert "--print" not in capsys.readouterr().err

    config.rename(config.with_name("elsewhere.json"))
    config.symlink_to(config.with_name("elsewhere.json"))
    assert typed("uninstall", "cursor", "--yes") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "by hand; install with --print shows the entry" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("install", "cusror"), "cursor"),
        (("install", "cursor", "--scope", "world"), "--scope"),
        (("install", "cursor", "--name", "two words"), "--name"),
        (("install", "windsurf", "--scope", "project"), "project"),
        (("install", "cursor", "--max-credits-per-day", "much"), "--max-credits-per-day"),
        (("install", "cursor", "--proxy", "http://me:secret@proxy.test"), "--proxy"),
        (("uninstall",), "Name the host"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    config: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(*words) == 2

    assert said in " ".join(capsys.readouterr().err.split())
    assert config.read_text("utf-8") == before(CURSOR)


@pytest.mark.parametrize(
    "line",
    [
        '"API_KEY": "hush"',
        "api_token = 'hush'",
        "  SECRET: hush",
        '"Authorization": "Bearer hush"',
        '"args": ["--api-key", "hush"]',
    ],
)
def test_what_others_keep_secret_is_not_shown(line: str) -> None:
    assert "hush" not in without_secrets(line)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--toolsets", "cals"), "Did you mean calls?"),
        (("--exclude-tools", "calls_makee"), "calls_make"),
        (("--toolsets", "acts", "--read-only", "--exclude-tools", "acts"), "leave no tool"),
        (("--transport", "http"), "not over HTTP"),
        (("--organisation",), "not over HTTP"),
        (("--answer-within", "60"), "Cursor waits 60 s"),
    ],
)
def test_an_entry_with_which_the_host_could_not_start_the_program_is_not_written(
    config: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    for last in ("--yes", "--print"):
        assert typed("install", "cursor", *words, last) == 2
        captured = capsys.readouterr()
        assert said in " ".join(captured.err.split())
        assert captured.out == ""
    assert config.read_text("utf-8") == before(CURSOR)
