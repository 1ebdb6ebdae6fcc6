"""The hosts. Places, keys and fields are from the page named as the source, read in November 2026.

So are the limits. Where the page gives no figure, and the host is built on the TypeScript SDK, its patience is that of
the SDK, 60 s (DEFAULT_REQUEST_TIMEOUT_MSEC); what is not known otherwise is left open. Hosts whose pages contradict one
another or could not be had are left out.

A host that is not listed takes the entry of Claude Desktop in nearly all cases: `install claude-desktop --print`.
"""

from __future__ import annotations

import difflib

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.hosts.host import Format, Host

_ANY_MODEL = 128
"""Tools that the models of OpenAI and of GitHub Copilot take in one request; more make it fail, with an error that says
so. It is the limit of hosts that pass all tools on to whichever model their users choose."""

_LONGEST_RUN = 660
"""Seconds written where an entry may say how long its tools take: a phone call takes up to ten minutes."""


def _anywhere(path: str) -> dict[str, str]:
    return {"macos": path, "windows": path, "linux": path}


HOSTS: tuple[Host, ...] = (
    Host(
        name="claude-desktop",
        title="Claude Desktop",
        source="https://modelcontextprotocol.io/docs/develop/connect-local-servers",
        places={
            "macos": "~/Library/Application Support/Claude/claude_desktop_config.json",
            "windows": "%APPDATA%/Claude/claude_desktop_config.json",
        },
        answer_limit=60,
        start_limit=60,
        restart="Quit it and start it again.",
    ),
    Host(
        name="claude-code",
        title="Claude Code",
        source="https://code.claude.com/docs/en/mcp",
        places=_anywhere("~/.claude.json"),
        project=".mcp.json",
        more={"type": "stdio"},
        windowed=False,
        start_limit=30,
        elicitation=True,
        restart="Start a new session.",
    ),
    Host(
        name="cursor",
        title="Cursor",
        source="https://cursor.com/docs/mcp",
        places=_anywhere("~/.cursor/mcp.json"),
        project=".cursor/mcp.json",
        tool_limit=80,
        answer_limit=60,
        elicitation=True,
        surface="search",
    ),
    Host(
        name="vscode",
        title="VS Code",
        source="https://code.visualstudio.com/docs/agents/reference/mcp-configuration",
        key=("servers",),
        places={
            "macos": "~/Library/Application Support/Code/User/mcp.json",
            "windows": "%APPDATA%/Code/User/mcp.json",
            "linux": "$XDG_CONFIG_HOME:-.config/Code/User/mcp.json",
        },
        project=".vscode/mcp.json",
        more={"type": "stdio"},
        tool_limit=_ANY_MODEL,
        elicitation=True,
        surface="search",
        restart="Run 'MCP: List Servers' and start it there.",
    ),
    Host(
        name="windsurf",
        title="Windsurf",
        source="https://docs.windsurf.com/windsurf/cascade/mcp",
        places=_anywhere("~/.codeium/windsurf/mcp_config.json"),
        tool_limit=100,
        surface="search",
        restart="Press the refresh button beside its list of MCP servers.",
    ),
    Host(
        # Google's own page could not be had; those of vendors agree on the place, and its error on the number of tools.
        name="antigravity",
        title="Antigravity",
        source="https://cua.ai/docs/use-cua-with/antigravity-cli",
        places=_anywhere("~/.gemini/config/mcp_config.json"),
        project=".agents/mcp_config.json",
        tool_limit=100,
        surface="search",
    ),
    Host(
        name="codex",
        title="Codex",
        source="https://developers.openai.com/codex/mcp",
        key=("mcp_servers",),
        places=_anywhere("$CODEX_HOME:-.codex/config.toml"),
        project=".codex/config.toml",
        format=Format.TOML,
        more={"startup_timeout_sec": 20, "tool_timeout_sec": _LONGEST_RUN},
        windowed=False,
        answer_limit=_LONGEST_RUN,
        start_limit=20,
        restart="Start a new session.",
    ),
    Host(
        name="gemini-cli",
        title="Gemini CLI",
        source="https://github.com/google-gemini/gemini-cli/blob/main/docs/tools/mcp-server.md",
        places=_anywhere("~/.gemini/settings.json"),
        project=".gemini/settings.json",
        more={"timeout": _LONGEST_RUN * 1000},
        windowed=False,
        answer_limit=_LONGEST_RUN,
        restart="Start a new session.",
    ),
    Host(
        name="goose",
        title="Goose",
        source="https://block.github.io/goose/docs/guides/config-files",
        key=("extensions",),
        places={
            "macos": "~/.config/goose/config.yaml",
            "linux": "~/.config/goose/config.yaml",
            "windows": "%APPDATA%/Block/goose/config/config.yaml",
        },
        format=Format.YAML,
        names=("cmd", "args", "envs"),
        more={"type": "stdio", "name": "{name}", "enabled": True, "timeout": _LONGEST_RUN},
        answer_limit=_LONGEST_RUN,
        restart="Start a new session.",
    ),
    Host(
        name="zed",
        title="Zed",
        source="https://zed.dev/docs/ai/mcp",
        key=("context_servers",),
        places={
            "macos": "~/.config/zed/settings.json",
            "linux": "$XDG_CONFIG_HOME:-.config/zed/settings.json",
            "windows": "%APPDATA%/Zed/settings.json",
        },
        project=".zed/settings.json",
        tool_limit=_ANY_MODEL,
        answer_limit=60,
        elicitation=False,
        surface="search",
        restart="It reads its settings by itself.",
    ),
    Host(
        name="cline",
        title="Cline",
        source="https://docs.cline.bot/getting-started/config",
        places=_anywhere("~/.cline/data/settings/cline_mcp_settings.json"),
        more={"timeout": _LONGEST_RUN},
        answer_limit=_LONGEST_RUN,
        restart="It reads the file by itself; otherwise press 'Restart Server'.",
    ),
    Host(
        name="roo",
        title="Roo Code",
        source="https://docs.roocode.com/features/mcp/using-mcp-in-roo",
        project=".roo/mcp.json",
        more={"timeout": _LONGEST_RUN},
        answer_limit=_LONGEST_RUN,
        restart="It reads the file by itself.",
    ),
    Host(
        name="continue",
        title="Continue",
        source="https://docs.continue.dev/customize/deep-dives/mcp",
        project=".continue/mcpServers/kallyai.json",
        restart="It reads the file by itself; MCP works in its agent mode only.",
    ),
    Host(
        name="copilot-cli",
        title="GitHub Copilot CLI",
        source="https://docs.github.com/en/copilot/how-tos/copilot-cli/customize-copilot/add-mcp-servers",
        places=_anywhere("$COPILOT_HOME:-.copilot/mcp-config.json"),
        project=".github/mcp.json",
        more={"type": "local", "tools": ["*"]},
        windowed=False,
        tool_limit=_ANY_MODEL,
        surface="search",
        restart="Start a new session.",
    ),
    Host(
        name="kiro",
        title="Kiro",
        source="https://kiro.dev/docs/mcp/configuration",
        places=_anywhere("~/.kiro/settings/mcp.json"),
        project=".kiro/settings/mcp.json",
        restart="It reads the file by itself.",
    ),
    Host(
        name="lm-studio",
        title="LM Studio",
        source="https://lmstudio.ai/docs/app/mcp",
        places=_anywhere("~/.lmstudio/mcp.json"),
        surface="search",
        restart="Switch the server on in its 'Program' tab.",
    ),
    Host(
        name="opencode",
        title="opencode",
        source="https://opencode.ai/v2/docs/mcp-servers/",
        key=("mcp", "servers"),
        places=_anywhere("~/.config/opencode/opencode.json"),
        alternatives=("opencode.jsonc",),
        project="opencode.json",
        command_list=True,
        names=("command", "args", "environment"),
        more={"type": "local", "timeout": {"startup": 20_000, "request": _LONGEST_RUN * 1000}},
        windowed=False,
        tool_limit=_ANY_MODEL,
        answer_limit=_LONGEST_RUN,
        start_limit=20,
        surface="search",
        restart="Start a new session.",
    ),
)


def find_host(name: str) -> Host:
    """Return a host by its name.

    Raises:
        InvalidSettings: There is none of this name; says which ones resemble it.
    """
    by_name = {host.name: host for host in HOSTS}
    typed = name.strip().lower().replace("_", "-").replace(" ", "-")
    if typed in by_name:
        return by_name[typed]
    titles = {host.title.lower().replace(" ", "-"): host.name for host in HOSTS}
    if typed in titles:
        return by_name[titles[typed]]
    near = difflib.get_close_matches(typed, [*by_name, *titles], n=3, cutoff=0.5)
    near += [known for known in by_name if known.split("-")[0] in typed.split("-") and known not in near]
    meant = list(dict.fromkeys(titles.get(word, word) for word in near))[:3]
    hint = f" Did you mean {' or '.join(meant)}?" if meant else ""
    raise InvalidSettings(
        f"No host is known by the name {name[:40]!a}.{hint}",
        next_step=f"Use one of {', '.join(by_name)}; for another host, paste what "
        "'kallyai-mcp install claude-desktop --print' prints.",
    )
