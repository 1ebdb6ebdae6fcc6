"""What others install from: the bundle for Claude Desktop, the registry's entry, the links, the table of hosts."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest

from kallyai_mcp import __version__, catalog
from kallyai_mcp.export import registry
from kallyai_mcp.export.bundle import ASKED, dependencies, main, write_bundle
from kallyai_mcp.hosts import HOSTS
from kallyai_mcp.settings import CREDENTIAL_VARIABLES, SETTINGS, Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CLIENT = {"name": "test", "version": "1"}
NODE = ROOT / "tests" / "node"
MCPB = NODE / "node_modules" / ".bin" / "mcpb"
needs_node = pytest.mark.skipif(
    not MCPB.exists() and not os.environ.get("CI"), reason="the official tool is not here: .ci/node installs it"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bundle") / "bundle"
    write_bundle(ROOT, place)
    return place


@pytest.fixture(scope="module")
def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def test_the_bundle_asks_for_settings_that_exist_and_each_has_a_default(manifest: dict[str, Any]) -> None:
    assert list(manifest["user_config"]) == list(ASKED)
    environment: dict[str, str] = manifest["server"]["mcp_config"]["env"]
    shown = {
        name: str(field["default"]).lower() if field["type"] == "boolean" else str(field["default"])
        for name, field in manifest["user_config"].items()
    }
    filled = {
        name: re.sub(r"\$\{user_config\.(\w+)\}", lambda found: shown[found[1]], value)
        for name, value in environment.items()
    }

    assert Settings.read(filled) == Settings.read({})
    assert manifest["version"] == __version__
    assert [tool["name"] for tool in manifest["tools"]] == [command.tool for command in catalog.all_commands()]


def test_the_bundle_names_every_dependency_in_one_version(folder: Path) -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    named: list[str] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]

    assert len(named) == len(re.findall(r"^[a-z0-9].*==", lock, re.MULTILINE))
    assert all("==" in one for one in named)
    assert dependencies("a==1 ; sys_platform == 'win32' \\\n    --hash=sha256:0\n") == [
        "a==1 ; sys_platform == 'win32'"
    ]


@needs_node
def test_the_official_tool_takes_the_bundle_and_what_it_packs_starts(folder: Path, tmp_path: Path) -> None:
    packed = tmp_path / "kallyai.mcpb"
    for words in (["validate", str(folder / "manifest.json")], ["pack", str(folder), str(packed)]):
        done = subprocess.run([str(MCPB), *words], capture_output=True, text=True, check=False)  # noqa: S603 - locked tool
        assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(packed) as archive:
        names = set(archive.namelist())
        assert {"manifest.json", "server.py", "pyproject.toml", "LICENSE"} <= names
        assert not [name for name in names if "__pycache__" in name or ".venv" in name]
        archive.extractall(tmp_path / "unpacked")

    assert len(listed([sys.executable, "server.py"], tmp_path / "unpacked")) == len(catalog.all_commands())


def listed(words: list[str], place: Path, **variables: str) -> list[str]:
    """Start a server over stdio, and return the names of its tools."""
    first = [
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "t", "version": "1"},
            },
        },
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KALLYAI_", "PYTHON"))}
    with subprocess.Popen(  # noqa: S603 - our own program
        words, cwd=place, env=kept | variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("".join(json.dumps(message) + "\n" for message in first))
        server.stdin.flush()
        answers = [json.loads(server.stdout.readline()) for _ in range(2)]
        server.stdin.close()
    return [tool["name"] for tool in answers[1]["result"]["tools"]]


def test_a_bundle_is_not_made_without_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "FOLDER" in capsys.readouterr().err


TEXT = {"type": "string", "minLength": 1}
REGISTRY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "$schema": TEXT,
        "name": {"type": "string", "minLength": 3, "maxLength": 200, "pattern": "^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$"},
        "title": TEXT | {"maxLength": 100},
        "description": TEXT | {"maxLength": 100},
        "version": {"type": "string", "maxLength": 255, "pattern": r"^\d+\.\d+\.\d+$"},
        "websiteUrl": {"type": "string", "format": "uri", "pattern": "^https://"},
        "packages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "registryType": {"enum": ["pypi"]},
                    "identifier": TEXT,
                    "version": TEXT | {"not": {"const": "latest"}},
                    "runtimeHint": TEXT,
                    "transport": {
                        "type": "object",
                        "properties": {"type": {"enum": ["stdio"]}},
                        "required": ["type"],
                        "additionalProperties": False,
                    },
                    "environmentVariables": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "name": TEXT,
                                "description": {"type": "string"},
                                "isRequired": {"type": "boolean"},
                                "isSecret": {"type": "boolean"},
                                "format": {"enum": ["string", "number", "boolean", "filepath"]},
                                "default": {"type": "string"},
                                "choices": {"type": "array", "items": {"type": "string"}},
                            },
                            "required": ["name"],
                            "additionalProperties": False,
                        },
                    },
                },
                "required": ["registryType", "identifier", "transport"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["name", "description", "version"],
    "additionalProperties": False,
}
"""What the registry's schema of 2025-12-11 (static.modelcontextprotocol.io) demands of the fields that are used here;
and that there are no others, which it would let pass."""


def test_the_entry_of_the_registry_is_one_by_its_schema() -> None:
    entry = json.loads((ROOT / "server.json").read_text("utf-8"))
    jsonschema.validate(entry, REGISTRY, jsonschema.Draft7Validator)


def test_the_entry_of_the_registry_keeps_its_rules() -> None:
    """modelcontextprotocol.io/registry: package types, and the limits of the schema of 2025-12-11."""
    entry = json.loads((ROOT / "server.json").read_text("utf-8"))
    package = entry["packages"][0]

    assert entry == json.loads(registry.server_json())
    assert entry["$schema"] == registry.SCHEMA
    assert package["version"] == entry["version"] == __version__
    assert (package["registryType"], package["transport"]) == ("pypi", {"type": "stdio"})
    assert package["identifier"] == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["name"]
    names = [variable["name"] for variable in package["environmentVariables"]]
    assert names == [*(setting.variable for setting in SETTINGS), *CREDENTIAL_VARIABLES]
    for variable in package["environmentVariables"]:
        assert not (variable["isSecret"] and "default" in variable)
    secret = {variable["name"] for variable in package["environmentVariables"] if variable["isSecret"]}
    assert {"KALLYAI_ACCESS_TOKEN", "KALLYAI_CLIENT_SECRET", "KALLYAI_TELEGRAM_BOT_TOKEN"} <= secret


def test_the_readme_carries_the_name_by_which_the_registry_knows_the_package() -> None:
    assert re.findall(r"mcp-name:\s*(\S+)", README) == [registry.NAME]


def test_the_links_say_what_the_hosts_read() -> None:
    links: list[str] = re.findall(r"\((https://(?:cursor\.com/en|vscode\.dev)[^)\s]*)\)", README)

    assert len(links) == 4
    for link in links:
        query = parse_qs(urlsplit(link).query, strict_parsing=True)
        assert query["name"] == ["kallyai"]
        if "cursor.com" in link:
            config = json.loads(base64.b64decode(query["config"][0], validate=True))
        else:
            config = json.loads(query["config"][0])
            assert (config.pop("name"), config.pop("type")) == ("kallyai", "stdio")
        variables = config.pop("env", {})
        assert config == {"command": "uvx", "args": ["kallyai-mcp"]}
        Settings.read(variables)
    assert any("sandbox" in line for line in README.splitlines() if "cursor.com/en" in line)


def test_the_table_names_every_host() -> None:
    for host in HOSTS:
        assert f"`kallyai-mcp install {host.name}`" in README
        assert host.source in README


@pytest.mark.skipif(not os.environ.get("CI"), reason="needs a network for packages; CI builds the wheel and runs this")
def test_uvx_runs_the_wheel(tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own build
    wheel = next(tmp_path.glob("*.whl"))
    words = [str(uv), "tool", "run", "--python", sys.executable, "--from", str(wheel), "kallyai-mcp"]

    assert len(listed(words, tmp_path, KALLYAI_SANDBOX="1")) == len(catalog.all_commands())
    printed = subprocess.run(  # noqa: S603 - our own program
        [*words, "install", "cursor", "--print", "--json"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    entry = json.loads(printed.stdout)["entry"]
    assert (Path(entry["command"]).name, entry["args"][-1]) in {("uvx", "kallyai-mcp"), ("uv", "kallyai-mcp")}
    assert shutil.which(entry["command"])
