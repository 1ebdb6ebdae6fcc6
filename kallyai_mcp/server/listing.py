"""The tool definitions as they are shipped: a list needs no declaration imported, so that a server is ready at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent.parent


def schema_folder() -> Path:
    """Return the folder of the tool definitions: within an installed package, beside it in a checkout."""
    installed = _PACKAGE / "tool_schemas"
    return installed if installed.is_dir() else _PACKAGE.parent / "tool_schemas"


def load_tools() -> list[dict[str, Any]]:
    """Read every tool definition: the way in for most requests first, the others by name."""
    names = sorted(schema_folder().glob("*.json"), key=lambda path: (path.stem != "kallyai_ask", path.stem))
    return [json.loads(path.read_bytes()) for path in names]
