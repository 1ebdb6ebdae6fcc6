"""The bundle for Claude Desktop: a folder that the official tool packs into one file.

    python -m kallyai_mcp.export.bundle build/bundle

The format is MCPB, manifest version 0.4 (github.com/modelcontextprotocol/mcpb, MANIFEST.md). The server is of the type
`uv`: the host installs the dependencies, in the versions of requirements.lock, for whatever system it runs on.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kallyai_mcp
from kallyai_mcp import __version__, catalog, readers
from kallyai_mcp.errors import KallyError
from kallyai_mcp.export.checkout import find_checkout
from kallyai_mcp.export.tables import first_sentence
from kallyai_mcp.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kallyai_mcp.setting import Setting

MANIFEST_VERSION = "0.4"
ENTRY_POINT = "server.py"
ASKED = (
    "sandbox",
    "approval",
    "language",
    "contact_hours",
    "max_credits_per_act",
    "max_credits_per_day",
    "max_calls_per_hour",
    "max_new_recipients_per_day",
)
"""Settings that a person sees when the bundle is installed, by name; the others keep their defaults."""

_SERVER = '''"""What the host starts."""

from kallyai_mcp.__main__ import main

raise SystemExit(main())
'''
_PINNED = re.compile(r"^(?P<pin>[a-z0-9._-]+==[^\s;\\]+)\s*(?:;\s*(?P<when>[^\\\n]+?))?\s*\\?$", re.MULTILINE)


def manifest(project: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest.

    Args:
        project: The table of that name in pyproject.toml.
    """
    asked = [setting for name in ASKED for setting in SETTINGS if setting.name == name]
    return {
        "manifest_version": MANIFEST_VERSION,
        "name": project["name"],
        "display_name": "KallyAI",
        "version": __version__,
        "description": project["description"],
        "long_description": (
            "KallyAI phones businesses, answers incoming calls, writes mail, books tables, searches and runs errands, "
            "and is paid in credits. A person agrees to everything that contacts people or spends. Switch the sandbox "
            "on to try it without an account: nothing leaves the machine, and no real number rings."
        ),
        "author": {"name": "KallyAI", "url": project["urls"]["Homepage"]},
        "homepage": project["urls"]["Homepage"],
        "license": project["license"],
        "keywords": project["keywords"],
        "server": {
            "type": "uv",
            "entry_point": ENTRY_POINT,
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", ENTRY_POINT],
                "env": {setting.variable: f"${{user_config.{setting.name}}}" for setting in asked},
            },
        },
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": project["requires-python"]},
        },
        "tools": [
            {"name": command.tool, "description": first_sentence(command.description)}
            for command in catalog.all_commands()
        ],
        "user_config": {setting.name: _asked(setting) for setting in asked},
    }


def _asked(setting: Setting) -> dict[str, Any]:
    title = setting.name.replace("_", " ")
    facts: dict[str, Any] = {"title": title[:1].upper() + title[1:], "description": setting.help, "required": False}
    # Each has a default: what is left open would reach the server as the name of the field.
    if setting.is_switch:
        return {"type": "boolean", **facts, "default": readers.switch(setting.default)}
    if setting.read in (readers.amount, readers.count):
        return {"type": "number", **facts, "default": int(setting.default), "min": 0}
    return {"type": "string", **facts, "default": setting.default}


def dependencies(lock: str) -> list[str]:
    """Return the requirements of a lock file, each of one version."""
    return [found["pin"] + (f" ; {found['when'].strip()}" if found["when"] else "") for found in _PINNED.finditer(lock)]


def write_bundle(root: Path, folder: Path) -> None:
    """Write the folder anew.

    Args:
        root: The source checkout.
        folder: Where; whatever is there goes.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    if folder.exists():
        shutil.rmtree(folder)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(root / "kallyai_mcp", folder / "kallyai_mcp", ignore=ignored)
    shutil.copytree(root / "tool_schemas", folder / "kallyai_mcp" / "tool_schemas")
    for name in ("LICENSE", "README.md"):
        shutil.copy(root / name, folder / name)
    (folder / ENTRY_POINT).write_text(_SERVER, "utf-8")
    (folder / ".mcpbignore").write_text(".venv/\nuv.lock\n__pycache__/\n", "utf-8")
    pinned = "".join(f"  {json.dumps(pin)},\n" for pin in dependencies((root / "requirements.lock").read_text("utf-8")))
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{project["name"]}-bundle"\nversion = "{__version__}"\n'
        f'requires-python = "{project["requires-python"]}"\ndependencies = [\n{pinned}]\n',
        "utf-8",
    )
    text = json.dumps(manifest(project), indent=2, ensure_ascii=False)
    (folder / "manifest.json").write_text(f"{text}\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder that is named; 2 if that cannot be done."""
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) != 1:
        sys.stderr.write("Usage: python -m kallyai_mcp.export.bundle FOLDER\n")
        return 2
    try:
        write_bundle(find_checkout(Path(kallyai_mcp.__file__).parent), Path(words[0]))
    except KallyError as error:
        sys.stderr.write(f"{error.message}\n{error.next_step}\n")
        return 2
    sys.stdout.write(f"{words[0]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
