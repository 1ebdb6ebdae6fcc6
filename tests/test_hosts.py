"""Where each host keeps its configuration, and what is written there: whole files, before and after."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from host_world import COMMAND, PLATFORMS, SECRET, before, entry, host_named, system

from kallyai_mcp import readers
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.hosts import (
    HOSTS,
    Command,
    Format,
    Host,
    find_command,
    find_host,
    place_of,
    plan_install,
    plan_uninstall,
)
from kallyai_mcp.hosts import entry as entries
from kallyai_mcp.hosts.change import entry_in
from kallyai_mcp.hosts.entry import parts_of, variables_for
from kallyai_mcp.setting import Setting
from kallyai_mcp.settings import SETTINGS

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "host_files.json").read_text("utf-8"))
IDS = [host.name for host in HOSTS]


def test_every_host_has_its_golden_files() -> None:
    assert list(GOLDEN) == IDS


@pytest.mark.parametrize("host", HOSTS, ids=IDS)
def test_the_file_of_each_system_and_scope(host: Host, tmp_path: Path) -> None:
    found: dict[str, str] = {}
    for platform in PLATFORMS:
        if platform in host.places:
            found[platform] = str(place_of(host, system(tmp_path, platform), "user").relative_to(tmp_path))
    if host.project is not None:
        found["project"] = str(place_of(host, system(tmp_path), "project").relative_to(tmp_path))

    assert found == GOLDEN[host.name]["paths"]


@pytest.mark.parametrize("host", HOSTS, ids=IDS)
def test_the_file_with_the_entry_and_again_without(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(before(host).encode())
    plan_install(host, path, entry(host), "kallyai").make()

    assert path.read_text("utf-8").splitlines() == GOLDEN[host.name]["after"]

    plan_uninstall(host, path, "kallyai").make()

    assert path.read_bytes() == before(host).encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["config"]


@pytest.mark.parametrize("host", HOSTS, ids=IDS)
def test_without_a_file_one_is_made_and_goes_again(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "config"
    plan_install(host, path, entry(host), "kallyai").make()

    assert entry_in(host, path, "kallyai") == entry(host)

    plan_uninstall(host, path, "kallyai").make()

    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("host", HOSTS, ids=IDS)
def test_a_second_install_changes_nothing_and_another_one_only_the_entry(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(before(host), "utf-8")
    plan_install(host, path, entry(host), "kallyai").make()
    assert not plan_install(host, path, entry(host), "kallyai").is_needed

    plan_install(host, path, entry(host, KALLYAI_LANGUAGE="es"), "kallyai").make()

    assert entry_in(host, path, "kallyai") == entry(host, KALLYAI_LANGUAGE="es")
    plan_uninstall(host, path, "kallyai").make()
    assert path.read_text("utf-8") == before(host)


@pytest.mark.parametrize("host", HOSTS, ids=IDS)
def test_what_was_changed_meanwhile_stays_when_the_entry_goes(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(before(host), "utf-8")
    plan_install(host, path, entry(host), "kallyai").make()
    path.write_text(path.read_text("utf-8").replace("dark", "light").replace("o5", "o6"), "utf-8")

    plan_uninstall(host, path, "kallyai").make()

    assert path.read_text("utf-8") == before(host).replace("dark", "light").replace("o5", "o6")


@pytest.mark.parametrize("host", HOSTS, ids=IDS)
def test_command_and_variables_are_read_back(host: Host) -> None:
    words, variables = parts_of(host, entry(host)) or ([], {})

    assert tuple(words) == COMMAND.words
    assert variables["KALLYAI_SANDBOX"] == "1"
    assert variables["KALLYAI_MAX_CREDITS_PER_DAY"] == "100"


def test_only_variables_that_this_version_reads_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {setting.variable for setting in SETTINGS}
    for host in HOSTS:
        assert set(variables_for(host, {})) <= known
    monkeypatch.setattr(entries, "SETTINGS", ())

    assert variables_for(host_named("cursor"), {}) == {}


def test_each_host_gets_the_surface_and_the_time_for_answers_that_suit_it(monkeypatch: pytest.MonkeyPatch) -> None:
    more = tuple(Setting(name.lower(), f"KALLYAI_{name}", "", readers.word) for name in ("SURFACE", "ANSWER_WITHIN"))
    monkeypatch.setattr(entries, "SETTINGS", (*entries.SETTINGS, *more))
    suited = {host.name: variables_for(host, {}) for host in HOSTS}

    assert {name for name, variables in suited.items() if variables.get("KALLYAI_SURFACE") == "search"} == {
        "cursor", "vscode", "windsurf", "antigravity", "lm-studio", "zed", "copilot-cli", "opencode",
    }  # fmt: skip
    assert {host.name for host in HOSTS if host.tool_limit is not None and host.surface is None} == set()
    assert suited["claude-desktop"]["KALLYAI_ANSWER_WITHIN"] == "45"
    assert suited["codex"]["KALLYAI_ANSWER_WITHIN"] == "495"
    for host in HOSTS:
        within = float(suited[host.name].get("KALLYAI_ANSWER_WITHIN", 0))
        assert within < (host.answer_limit or 1)
        assert suited[host.name]["KALLYAI_APPROVAL"] == "ask"


def test_what_is_given_wins_over_what_suits() -> None:
    variables = variables_for(host_named("cursor"), {"approval": "host", "sandbox": True, "lockdown": None})

    assert variables["KALLYAI_APPROVAL"] == "host"
    assert variables["KALLYAI_SANDBOX"] == "1"
    assert "KALLYAI_LOCKDOWN" not in variables


def test_no_secret_has_a_flag_by_which_it_could_get_into_a_file() -> None:
    secret = {"access_token", "client_secret", "client_id"}

    assert {setting.name for setting in SETTINGS if setting.flag is None} >= secret


def test_a_path_is_written_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    variables = variables_for(host_named("cursor"), {"token_file": "tokens.json"})

    assert variables["KALLYAI_TOKEN_FILE"] == str(tmp_path / "tokens.json")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("cusror", "cursor"), ("claude", "claude-desktop"), ("vs-code", "vscode"), ("gemini", "gemini-cli")],
)
def test_an_unknown_host_names_those_near_it(typed: str, meant: str) -> None:
    if typed == "vs-code":
        assert find_host(typed).name == meant
        return
    with pytest.raises(InvalidSettings, match=meant):
        find_host(typed)


def test_a_host_that_does_not_exist_on_a_system_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="Linux"):
        place_of(host_named("claude-desktop"), system(tmp_path), None)
    with pytest.raises(InvalidSettings, match="project"):
        place_of(host_named("windsurf"), system(tmp_path), "project")


def test_variables_move_a_configuration(tmp_path: Path) -> None:
    elsewhere = system(tmp_path, CODEX_HOME="/elsewhere")

    assert place_of(host_named("codex"), elsewhere) == Path("/elsewhere/config.toml")
    relative = system(tmp_path, CODEX_HOME="here")
    assert place_of(host_named("codex"), relative) == tmp_path / ".codex" / "config.toml"


def test_an_existing_file_of_the_other_name_is_taken(tmp_path: Path) -> None:
    other = tmp_path / ".config" / "opencode" / "opencode.jsonc"
    other.parent.mkdir(parents=True)
    other.touch()

    assert place_of(host_named("opencode"), system(tmp_path)) == other


def script(folder: Path) -> Path:
    path = folder / "bin" / "kallyai-mcp"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", "utf-8")
    path.chmod(0o755)
    return path


needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


@needs_links
def test_the_link_of_an_installer_is_taken_and_not_what_it_leads_to(tmp_path: Path) -> None:
    prefix = tmp_path / ".local" / "share" / "uv" / "tools" / "kallyai-mcp"
    link = tmp_path / ".local" / "bin" / "kallyai-mcp"
    link.parent.mkdir(parents=True)
    link.symlink_to(script(prefix))

    found = find_command({"PATH": str(link.parent)}, home=tmp_path, prefix=prefix)

    assert found == Command((str(link),), "uv tool")


@needs_links
def test_another_installation_on_the_path_is_not_taken(tmp_path: Path) -> None:
    own = script(tmp_path / "venv")

    found = find_command({"PATH": str(script(tmp_path / "other").parent)}, home=tmp_path, prefix=tmp_path / "venv")

    assert found.words == (str(own),)


@needs_links
def test_an_environment_in_the_cache_of_uv_is_not_relied_on(tmp_path: Path) -> None:
    prefix = tmp_path / ".cache" / "uv" / "archive-v0" / "abc"
    script(prefix)
    uvx = script(tmp_path / "uv").with_name("uvx")
    uvx.write_text("#!/bin/sh\n", "utf-8")
    uvx.chmod(0o755)

    found = find_command({"PATH": str(uvx.parent)}, home=tmp_path, prefix=prefix)
    assert found.words == (str(uvx), "kallyai-mcp")
    by_variable = find_command({"PATH": "", "UV": "/opt/uv"}, home=tmp_path, prefix=prefix)
    assert by_variable.words == ("/opt/uv", "tool", "run", "kallyai-mcp")
    with pytest.raises(InvalidSettings, match="cache"):
        find_command({"PATH": ""}, home=tmp_path, prefix=prefix)


def test_without_a_script_the_interpreter_runs_the_module(tmp_path: Path) -> None:
    found = find_command({"PATH": ""}, home=tmp_path, prefix=tmp_path, executable=Path(sys.executable))

    assert found.words == (sys.executable, "-m", "kallyai_mcp")


def test_the_command_of_this_installation_is_an_absolute_path_to_a_program() -> None:
    words = find_command(os.environ, home=Path.home()).words

    assert Path(words[0]).is_absolute()
    assert os.access(words[0], os.X_OK)


def test_each_format_is_met() -> None:
    assert {host.format for host in HOSTS} == set(Format)
    assert SECRET in before(host_named("goose"))
