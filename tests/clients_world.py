"""Clients by other people, each in an environment of its own: what they are told, and what they print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from node_binary import node

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "tests" / "clients"
NODE_SCRIPTS = ROOT / "tests" / "node"
MODULES = NODE_SCRIPTS / "node_modules"
SERVER = str(Path(sys.executable).with_name("kallyai-mcp"))
NODE = node()
LONGEST = 180
"""Seconds that a client may take, with its start and ours on a busy machine."""

FACTS = {
    "READ": "kallyai://commands",
    "COMPLETED": ["kallyai://calls/{call_id}/transcript", "call_id"],
    "PROMPT": ["morning_briefing", {"language": "en"}],
}
"""A resource that needs no sign-in, a template with its variable, a prompt with its arguments."""


def require(path: Path) -> None:
    """Skip where it was not installed; in CI, fail."""
    if path.exists():
        return
    if os.environ.get("CI"):
        pytest.fail(f"{path} is missing; .ci/node and .ci/frameworks install what the tests need")
    pytest.skip("the clients are not installed: .ci/node and .ci/frameworks do it")


def environment(home: Path) -> dict[str, str]:
    """Return what a host that works with the sandbox would set."""
    from kallyai_mcp.sandbox.tokens import DEMO_TOKEN

    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "KALLYAI_SANDBOX": "1",
        "KALLYAI_ACCESS_TOKEN": DEMO_TOKEN,
        "KALLYAI_STATE_DIR": str(home / "state"),
        "KALLYAI_CONTACT_HOURS": "off",
    }


def run(command: list[str], home: Path, *, status: int | None = 0) -> str:
    """Run a client; return what it printed."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=home, env=environment(home), capture_output=True, text=True, timeout=LONGEST, check=False
    )
    assert status is None or done.returncode == status, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def seen_by(script: str, home: Path) -> dict[str, Any]:
    """Return what the client of a script saw of the server."""
    told = json.dumps({"command": [SERVER], "facts": FACTS})
    kind, name = script.split("/")
    if kind == "node":
        require(MODULES)
        command = [NODE, str(NODE_SCRIPTS / f"{name}.mjs"), told]
    else:
        python = ROOT / f".venv-{kind}" / "bin" / "python"
        require(python)
        command = [str(python), str(SCRIPTS / f"{name}.py"), told]
    return json.loads(run(command, home).splitlines()[-1])
