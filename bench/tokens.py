"""What a model reads of `tools/list`, in o200k tokens."""

from __future__ import annotations

import json
from typing import Any

import bpe_openai

BUDGET = 14_000


def tokens_per_tool(tools: list[dict[str, Any]]) -> dict[str, int]:
    """Count name, description and input schema of each tool."""
    encoding = bpe_openai.get_encoding("o200k_base")
    return {tool["name"]: len(encoding.encode(_read(tool))) for tool in tools}


def _read(tool: dict[str, Any]) -> str:
    part = {key: tool[key] for key in ("name", "description", "inputSchema")}
    return json.dumps(part, ensure_ascii=False, separators=(",", ":"))
