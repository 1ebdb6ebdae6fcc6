"""The tool definitions as they are shipped: a list needs no declaration imported, so that a server is ready at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kallyai_mcp.exposure import Exposure

_PACKAGE = Path(__file__).resolve().parent.parent


def schema_folder() -> Path:
    """Return the folder of the tool definitions: within an installed package, beside it in a checkout."""
    installed = _PACKAGE / "tool_schemas"
    return installed if installed.is_dir() else _PACKAGE.parent / "tool_schemas"


def load_tools(exposure: Exposure | None = None) -> list[dict[str, Any]]:
    """Read the definitions of the listed tools, in their order; without an exposure those of all commands."""
    if exposure is None:
        names = sorted(schema_folder().glob("*.json"), key=lambda path: (path.stem != "kallyai_ask", path.stem))
        return [json.loads(path.read_bytes()) for path in names]
    from kallyai_mcp.exposure.surface import TOOLS

    folder = schema_folder()
    return [
        exposure.fitted(TOOLS[name] if name in TOOLS else json.loads((folder / f"{name}.json").read_bytes()))
        for name in exposure.listed
    ]


def load_tool(exposure: Exposure, name: str) -> dict[str, Any]:
    """Read the definition of a tool that can be run, listed or not."""
    return exposure.fitted(json.loads((schema_folder() / f"{name}.json").read_bytes()))
