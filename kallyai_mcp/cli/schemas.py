"""The tools in the form that a model's API takes, for programs that bring their own model."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from kallyai_mcp.cli.output import DONE, UsageError, print_json, say
from kallyai_mcp.cli.text import visible
from kallyai_mcp.exposure import exposed
from kallyai_mcp.exposure.dialects import FORMATS, MOST_STRICT_TOOLS, MOST_TOOLS, STRICT, converted

if TYPE_CHECKING:
    from argparse import Namespace

    from kallyai_mcp.cli.program import Program
    from kallyai_mcp.settings import Settings


def print_schemas(parsed: Namespace, settings: Settings, program: Program) -> int:
    """Print what the settings expose, as the value of `tools` in a request.

    Raises:
        UsageError: There is no such format, or it has no strict mode.
        InvalidSettings: The settings name a toolset or a tool that does not exist, or leave none.
    """
    form: str = parsed.format
    if form not in FORMATS:
        near = difflib.get_close_matches(form, FORMATS, n=1)
        raise UsageError(
            f"There is no format '{visible(form)[:64]}'." + (f" Did you mean {near[0]}?" if near else ""),
            next_step=f"Use one of {', '.join(FORMATS)}.",
        )
    if parsed.strict and form not in STRICT:
        raise UsageError(
            f"The format {form} has no strict mode.",
            next_step=f"Leave out --strict, or use one of {', '.join(STRICT)}.",
        )
    tools = program.tools(exposed(settings.tools))
    print_json(converted(tools, form, strict=parsed.strict))
    for limits, kind in ((MOST_TOOLS, ""), (MOST_STRICT_TOOLS if parsed.strict else {}, " strict ones")):
        if len(tools) > (most := limits.get(form, len(tools))):
            say(
                f"These are {len(tools)} tools, and a request takes {most}{kind}; "
                "--toolsets and --exclude-tools choose fewer, --surface search finds all."
            )
    return DONE
