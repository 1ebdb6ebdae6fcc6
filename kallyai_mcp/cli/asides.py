"""What a result says beside the answer: whose words it carries, what is known of the act, and whether it was done now.

These fields begin with `_`, which none of the API's does. They stand after the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from rich.console import Group
from rich.text import Text

from kallyai_mcp.catalog import by_tool
from kallyai_mcp.cli.shapes import facts_grid, in_a_line
from kallyai_mcp.cli.text import PROGRAM, for_terminal
from kallyai_mcp.cli.words import typed_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

_NAMES = ("_origin", "_act", "_earlier")


def parted(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the answer, and what the result says beside it."""
    asides = {name: cast("dict[str, Any]", data[name]) for name in _NAMES if isinstance(data.get(name), dict)}
    return {name: value for name, value in data.items() if name not in asides}, asides


def shown_asides(asides: Mapping[str, dict[str, Any]]) -> RenderableType:
    """Return what stands after the answer."""
    parts: list[RenderableType] = []
    if origin := asides.get("_origin"):
        parts += [Text(), Text(f"Of others: {in_a_line(origin.get('source'))}.", style="dim")]
    act = asides.get("_act")
    if act is not None:
        parts += [Text(), facts_grid(_act(act))]
    if earlier := asides.get("_earlier"):
        at = "" if act is None else f", {in_a_line(act.get('at'))}"
        again = f"Not done again. Exactly this was done before{at}, and this is what came of it."
        parts += [
            Text(),
            Text(f"{again} For another one add --repeat-of {in_a_line(earlier['repeat_of'])}", style="bold"),
        ]
    return Group(*parts)


def _act(act: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"act": act["id"]} | {name: act[name] for name in ("outcome", "agreed") if name in act}
    if "charged_credits" in act:
        facts["charged"] = f"{act['charged_credits']:g} credits"
    facts |= {name: act[name] for name in ("mandate", "note") if name in act}
    facts |= {"find out": act["find_out"]} if "find_out" in act else {}
    return facts | ({"undo": _undo(act["undo"])} if "undo" in act else {})


def _undo(undo: Mapping[str, Any]) -> str:
    if not undo["possible"]:
        return "not possible"
    command = by_tool().get(str(undo["tool"]))
    if command is None or "arguments" not in undo:
        typed = for_terminal(str(undo["tool"]))
    else:
        typed = typed_lines(command, [{"arguments": undo["arguments"]}])[0]
    return f"{typed}\npossible {undo['until']}" if typed.startswith(PROGRAM) else f"{typed}, possible {undo['until']}"
