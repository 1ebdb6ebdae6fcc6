"""Settings that bound which tools there are, as hosts see them. What they mean together is said in `exposure`."""

from __future__ import annotations

from dataclasses import dataclass, fields

from kallyai_mcp import readers
from kallyai_mcp.setting import Setting

SURFACES = ("full", "search")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSettings:
    """What was set. See `TOOL_SETTINGS` for the meaning of each; names are checked where the tools are known."""

    toolsets: tuple[str, ...] = ()
    exclude_tools: tuple[str, ...] = ()
    read_only: bool = False
    surface: str = SURFACES[0]


TOOL_SETTINGS = (
    Setting(
        "toolsets",
        "KALLYAI_TOOLSETS",
        "Only tools of these domains, comma-separated, such as calls,credits; core is a small choice for daily use.",
        readers.names,
        "--toolsets",
        "all",
    ),
    Setting(
        "exclude_tools",
        "KALLYAI_EXCLUDE_TOOLS",
        "Tools to leave out, by name, comma-separated.",
        readers.names,
        "--exclude-tools",
    ),
    Setting(
        "read_only",
        "KALLYAI_READ_ONLY",
        "Only what changes and spends nothing.",
        readers.switch,
        "--read-only",
        "off",
    ),
    Setting(
        "surface",
        "KALLYAI_SURFACE",
        "full: one tool for each command. search: a few tools that find, describe and run all others.",
        readers.one_of(*SURFACES),
        "--surface",
        SURFACES[0],
    ),
)
"""The rows of the table."""

assert {setting.name for setting in TOOL_SETTINGS} == {field.name for field in fields(ToolSettings)}  # noqa: S101 - one table
