"""Try the wheel as a new user would, by the steps of the Dockerfile: an empty environment, locked packages, the wheel.

    python .ci/try_wheel.py dist

Then the program must say its version, list its tools, and answer a host's first messages over stdio.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST_MESSAGES = (
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "try", "version": "1"}},
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
)


def main() -> int:
    """Install and try; return the exit status."""
    wheels = list(Path(sys.argv[1]).glob("*.whl"))
    sdists = list(Path(sys.argv[1]).glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        return say(f"expected one wheel and one sdist in {sys.argv[1]}, found {wheels + sdists}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        venv.create(home / "app", with_pip=True)
        scripts = home / "app" / ("Scripts" if sys.platform == "win32" else "bin")
        pip = [str(scripts / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
        subprocess.run([*pip, "--no-deps", str(wheels[0].resolve())], check=True)
        program = str(scripts / "kallyai-mcp")
        version = run([program, "--version"], home).strip()
        names = run([program, "tools", "--names"], home).split()
        listed = first_list(program, home)
    shipped = sorted(path.stem for path in (ROOT / "tool_schemas").glob("*.json"))
    if not sorted(names) == sorted(listed) == shipped:
        return say(
            f"tools differ: {len(names)} printed, {len(listed)} listed over stdio, {len(shipped)} in the checkout"
        )
    print(f"{version}: installed from the wheel, lists {len(listed)} tools")
    return 0


def run(command: list[str], home: Path) -> str:
    done = subprocess.run(command, cwd=home, env=environment(home), text=True, stdout=subprocess.PIPE, check=True)
    return done.stdout


def first_list(program: str, home: Path) -> list[str]:
    lines = "".join(json.dumps(message) + "\n" for message in FIRST_MESSAGES)
    with subprocess.Popen(
        [program], cwd=home, env=environment(home), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(lines)
        server.stdin.flush()
        answers = [json.loads(server.stdout.readline()) for _ in range(2)]
        server.stdin.close()
        if server.wait(60) != 0:
            raise SystemExit(say(f"the server ended with {server.returncode}"))
    return [tool["name"] for tool in answers[1]["result"]["tools"]]


def environment(home: Path) -> dict[str, str]:
    kept = ("PATH", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"HOME": str(home)}


def say(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
