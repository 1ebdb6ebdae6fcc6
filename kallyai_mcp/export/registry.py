"""What the MCP registry is told, and the links that connect a host with one click."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

from kallyai_mcp import __version__, readers
from kallyai_mcp.export.tables import table
from kallyai_mcp.hosts import HOSTS, Format, find_host, variables_for
from kallyai_mcp.hosts.entry import DEFAULT_NAME
from kallyai_mcp.hosts.host import PLATFORMS
from kallyai_mcp.settings import CREDENTIAL_VARIABLES, SETTINGS

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
NAME = "com.kallyai/kallyai-mcp"
"""Reverse domain name and server; the README carries it as `mcp-name`, by which the registry knows whose package it is
(modelcontextprotocol.io/registry/package-types)."""

PACKAGE = "kallyai-mcp"
RUN = {"command": "uvx", "args": [PACKAGE]}
"""What a host runs where nothing is installed."""

_DESCRIPTION = "Phones businesses, answers calls, writes mail, books and searches, with a person's consent."
_SECRETS = frozenset({"KALLYAI_ACCESS_TOKEN", "KALLYAI_CLIENT_SECRET", *CREDENTIAL_VARIABLES})
_TRY = {"KALLYAI_SANDBOX": "1", "KALLYAI_CONTACT_HOURS": "off"}


def server_json() -> str:
    """Return the registry's entry."""
    variables = [_variable(s.variable, s.help, s.read, s.default) for s in SETTINGS]
    variables += [_variable(name, "Credential for connecting a channel.", str, "") for name in CREDENTIAL_VARIABLES]
    entry = {
        "$schema": SCHEMA,
        "name": NAME,
        "title": "KallyAI",
        "description": _DESCRIPTION,
        "version": __version__,
        "websiteUrl": "https://kallyai.com",
        "packages": [
            {
                "registryType": "pypi",
                "identifier": PACKAGE,
                "version": __version__,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "environmentVariables": variables,
            }
        ],
    }
    return json.dumps(entry, indent=2, ensure_ascii=False) + "\n"


def _variable(name: str, meaning: str, read: Any, default: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": name, "description": meaning, "isRequired": False, "isSecret": name in _SECRETS}
    kinds = {readers.switch: "boolean", readers.amount: "number", readers.count: "number", readers.path: "filepath"}
    if read in kinds:
        facts["format"] = kinds[read]
    if read is readers.switch:
        facts["default"] = "false"
    elif default and " " not in default:
        facts["default"] = default
    return facts


def cursor_link(entry: dict[str, Any]) -> str:
    """Return what opens Cursor and offers the entry (cursor.com/docs/context/mcp/install-links): base64 of the JSON."""
    config = base64.b64encode(json.dumps(entry).encode()).decode()
    return f"https://cursor.com/en/install-mcp?name={DEFAULT_NAME}&config={quote(config, safe='')}"


def vscode_link(entry: dict[str, Any]) -> str:
    """Return what opens VS Code and offers the entry (code.visualstudio.com/api/extension-guides/ai/mcp): JSON."""
    config = quote(json.dumps({"name": DEFAULT_NAME, "type": "stdio", **entry}), safe="")
    return f"https://vscode.dev/redirect/mcp/install?name={DEFAULT_NAME}&config={config}"


def links() -> str:
    """Return the links of the README; their entries have the settings that suit the host, as those of `install`."""
    lines: list[str] = []
    for name, link in (("cursor", cursor_link), ("vscode", vscode_link)):
        host = find_host(name)
        real, trial = (link({**RUN, "env": variables_for(host, {}) | more}) for more in (dict[str, str](), _TRY))
        lines.append(f"- {host.title}: [connect it]({real}), or [with the sandbox]({trial})")
    return "\n".join(lines)


def hosts() -> str:
    """Return the table of hosts."""
    rows = [
        (
            f"`kallyai-mcp install {host.name}`",
            host.title,
            "<br>".join(_places(host.places, host.project)),
            _limits(host),
            f"[documentation]({host.source})",
        )
        for host in HOSTS
    ]
    return table(("Command", "Host", "File", "What it can take", "Source"), rows)


def _places(places: Any, project: str | None) -> list[str]:
    by_path: dict[str, list[str]] = {}
    for platform, path in places.items():
        by_path.setdefault(_shown(path), []).append(PLATFORMS[platform])
    everywhere = len(PLATFORMS)
    shown = [
        f"`{path}`" + (f" ({', '.join(names)})" if len(names) < everywhere else "") for path, names in by_path.items()
    ]
    return shown + [f"`{project}` (project)"] * (project is not None)


def _shown(path: str) -> str:
    first, slash, rest = path.partition("/")
    if first.startswith("$"):
        first = "~/" + first.partition(":-")[2].replace("|", "/")
    return first + slash + rest


def _limits(host: Any) -> str:
    facts = {
        f"{host.tool_limit} tools": host.tool_limit is not None,
        f"{host.answer_limit} s a tool": host.answer_limit is not None,
        f"{host.start_limit} s to start": host.start_limit is not None,
        "asks you itself": host.elicitation is True,
        "does not ask": host.elicitation is False,
        host.format.value: host.format is not Format.JSONC,
    }
    return ", ".join(fact for fact, holds in facts.items() if holds)
