"""Try the bundle as a host would: unpack it, start it by its manifest with uv, and list its tools.

    python .ci/try_bundle.py dist

uv fetches the dependencies that the bundle names, so that this needs a network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from try_wheel import FIRST_MESSAGES, ROOT, say

UV = Path(sys.executable).with_name("uv.exe" if sys.platform == "win32" else "uv")


def main() -> int:
    """Unpack and try; return the exit status."""
    bundles = list(Path(sys.argv[1]).glob("*.mcpb"))
    if len(bundles) != 1:
        return say(f"expected one bundle in {sys.argv[1]}, found {bundles}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        unpacked = home / "bundle"
        zipfile.ZipFile(bundles[0]).extractall(unpacked)
        manifest = json.loads((unpacked / "manifest.json").read_text("utf-8"))
        names = listed(manifest, unpacked, home)
    shipped = sorted(path.stem for path in (ROOT / "tool_schemas").glob("*.json"))
    if not sorted(names) == shipped == sorted(tool["name"] for tool in manifest["tools"]):
        return say(f"tools differ: {len(names)} listed by the bundle, {len(shipped)} in the checkout")
    print(f"{bundles[0].name}: unpacked and started by uv, lists {len(names)} tools")
    return 0


def listed(manifest: dict, unpacked: Path, home: Path) -> list[str]:
    config = manifest["server"]["mcp_config"]
    defaults = {name: field["default"] for name, field in manifest["user_config"].items()}
    shown = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in defaults.items()}
    variables = {key: fill(value, unpacked, shown) for key, value in config["env"].items()}
    words = [str(UV), *(fill(word, unpacked, shown) for word in config["args"])]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KALLYAI_", "VIRTUAL_ENV"))}
    server = subprocess.Popen(
        words,
        cwd=home,
        env=kept | {"UV_PYTHON": sys.executable, "KALLYAI_STATE_DIR": str(home / "state")} | variables,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("".join(json.dumps(message) + "\n" for message in FIRST_MESSAGES))
        server.stdin.flush()
        answers = [json.loads(server.stdout.readline()) for _ in range(2)]
        server.stdin.close()
    return [tool["name"] for tool in answers[1]["result"]["tools"]]


def fill(text: str, unpacked: Path, values: dict[str, str]) -> str:
    text = text.replace("${__dirname}", str(unpacked))
    for name, value in values.items():
        text = text.replace(f"${{user_config.{name}}}", value)
    return text


if __name__ == "__main__":
    raise SystemExit(main())
