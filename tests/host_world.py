"""What the tests of hosts share: systems of all kinds in a folder, and what a host's file may look like before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.hosts import HOSTS, Command, Format, Host, System, entry_of

if TYPE_CHECKING:
    from pathlib import Path

PLATFORMS = ("macos", "windows", "linux")
COMMAND = Command(("/opt/kallyai/bin/kallyai-mcp",), "a Python environment")
VARIABLES = {"KALLYAI_APPROVAL": "ask", "KALLYAI_SANDBOX": "1", "KALLYAI_MAX_CREDITS_PER_DAY": "100"}
SECRET = "sk-live-0123456789abcdef"

BEFORE = {
    Format.JSONC: """\
{
  // mine, by hand
  "theme": "dark",
  "PLACE": {
    "other": {"command": "npx", "args": ["-y", "other"], "env": {"API_KEY": "SECRET"}}, // keep
  },
  "last": [1, 2,] /* end */
}
""",
    Format.TOML: """\
# mine, by hand
model = "o5"

[PLACE.other]   # keep
command = "npx"
args = ["-y",
  "other"]
env = { API_KEY = "SECRET" }

[tui]
theme = 'dark'
""",
    Format.YAML: """\
# mine, by hand
GOOSE_MODEL: "o5"
PLACE:
  other:   # keep
    cmd: npx
    args: [ "-y", other ]
    envs:
      API_KEY: SECRET

last:
- 1
""",
}


def before(host: Host) -> str:
    """Return a file of the host with comments, another server, and a formatting of its own."""
    text = BEFORE[host.format].replace("SECRET", SECRET)
    if len(host.key) == 2:
        return text.replace('"PLACE": {', f'"{host.key[0]}": {{"{host.key[1]}": {{').replace("  },\n", "  }},\n")
    return text.replace("PLACE", host.key[0])


def entry(host: Host, name: str = "kallyai", **variables: str) -> dict[str, Any]:
    """Return an entry for a host, with these variables or usual ones."""
    return entry_of(host, COMMAND, variables or VARIABLES, name)


def system(folder: Path, platform: str = "linux", **environment: str) -> System:
    """Return a machine whose home and project lie in a folder."""
    (folder / "project").mkdir(parents=True, exist_ok=True)
    return System(
        platform=platform, home=folder, environment={"PATH": "/usr/bin:/bin"} | environment, folder=folder / "project"
    )


def host_named(name: str) -> Host:
    """Return a host."""
    return next(host for host in HOSTS if host.name == name)
