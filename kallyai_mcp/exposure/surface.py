"""The tools of `--surface search`: a few that find, describe and run all others, and those that are used daily."""

from __future__ import annotations

from typing import Any

FIND = "kallyai_find_tools"
DESCRIBE = "kallyai_describe_tools"
READ = "kallyai_run_read_only"
RUN = "kallyai_run_tool"

DAILY = (
    "kallyai_ask",
    "kallyai_coord_goal",
    "kallyai_coord_message",
    "kallyai_calls_transcript",
    "kallyai_credits_balance",
    "kallyai_notifications_pending",
    "kallyai_acts",
    "kallyai_stop",
    "kallyai_login",
)
"""Commands that are listed as tools of their own."""

MOST_FOUND = 10
USUALLY_FOUND = 5
MOST_DESCRIBED = 5

_RUN_ARGUMENTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "tool": {"type": "string", "description": "Name of the tool."},
        "arguments": {"type": "object", "description": "Its arguments, by its own schema."},
    },
    "required": ["tool"],
    "additionalProperties": False,
}


def _definition(
    name: str, title: str, description: str, schema: dict[str, Any], *, reads: bool, reaches_out: bool
) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": schema,
        "annotations": {
            "readOnlyHint": reads,
            "destructiveHint": not reads,
            "idempotentHint": reads,
            "openWorldHint": reaches_out,
        },
    }


TOOLS: dict[str, dict[str, Any]] = {
    FIND: _definition(
        FIND,
        "Find tools",
        "Find the tools for what the user wants. There are many more than are listed: calls, reception, mail, "
        "bookings, goals, numbers and others.",
        {
            "type": "object",
            "properties": {
                "request": {
                    "type": "string",
                    "description": "What the user wants, in their own words; English, Spanish or Chinese.",
                    "minLength": 1,
                },
                "limit": {
                    "type": "integer",
                    "description": "Most tools to return.",
                    "default": USUALLY_FOUND,
                    "maximum": MOST_FOUND,
                    "minimum": 1,
                },
            },
            "required": ["request"],
            "additionalProperties": False,
        },
        reads=True,
        reaches_out=False,
    ),
    DESCRIBE: _definition(
        DESCRIBE,
        "Describe tools",
        "Show tools in full: what they do, the schema of their arguments, and an example. Do so before the first run.",
        {
            "type": "object",
            "properties": {
                "tools": {
                    "type": "array",
                    "description": "Names of the tools.",
                    "items": {"type": "string"},
                    "maxItems": MOST_DESCRIBED,
                    "minItems": 1,
                }
            },
            "required": ["tools"],
            "additionalProperties": False,
        },
        reads=True,
        reaches_out=False,
    ),
    READ: _definition(
        READ,
        "Run read-only tool",
        f"Run a tool that only reads, as {FIND} says. It changes and spends nothing.",
        _RUN_ARGUMENTS,
        reads=True,
        reaches_out=True,
    ),
    RUN: _definition(
        RUN,
        "Run tool",
        "Run any tool, listed or not; rules, questions to the user and answers are that tool's own.",
        _RUN_ARGUMENTS,
        reads=False,
        reaches_out=True,
    ),
}
"""The definitions, as they go over the wire. None has an output schema: an answer is that of the tool that was run."""
