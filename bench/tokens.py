"""What a model reads of `tools/list`, in o200k tokens."""

from __future__ import annotations

from typing import Any

from kallyai_mcp.export.tokens import tokens_of
from kallyai_mcp.exposure import ALL, BUDGETS

BUDGET = BUDGETS[ALL]


def tokens_per_tool(tools: list[dict[str, Any]]) -> dict[str, int]:
    """Count name, description and input schema of each tool."""
    return {tool["name"]: tokens_of(tool) for tool in tools}
