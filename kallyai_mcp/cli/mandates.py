"""Mandates at a terminal: what may be done without a further question, seen, agreed to and taken back."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from kallyai_mcp.catalog import find
from kallyai_mcp.cli.arguments import converted
from kallyai_mcp.cli.output import DONE, UsageError, print_json, print_laid_out, say
from kallyai_mcp.cli.person import nobody, terminal
from kallyai_mcp.cli.questions import command_of
from kallyai_mcp.cli.running import run_given, within
from kallyai_mcp.cli.text import PROGRAM
from kallyai_mcp.errors import InvalidArguments

if TYPE_CHECKING:
    from argparse import Namespace

    from kallyai_mcp.cli.program import App, Program
    from kallyai_mcp.settings import Settings

_OPTIONS = {"purpose": "--purpose", "tools": "--tool", "recipients": "--to", "acts": "--acts"} | {
    "credits": "--credits",
    "until": "--until",
}
"""How the arguments of the command are typed here."""

_TODAY = re.compile(r"\d\d?:\d\d")


def mandates(parsed: Namespace, settings: Settings, program: Program, *, as_json: bool) -> int:
    """List, add or revoke."""
    match parsed.what:
        case "add":
            return _add(parsed, settings, program, as_json=as_json)
        case "revoke":
            return _revoke(parsed.wanted, settings, program, as_json=as_json)
        case _:
            return _list(settings, program, as_json=as_json)


def _list(settings: Settings, program: Program, *, as_json: bool) -> int:
    async def standing(app: App) -> dict[str, Any]:
        return await (await app.parts()).control.standing()

    known: list[dict[str, Any]] = within(program, settings, standing)["mandates"]
    if as_json:
        print_json({"mandates": known})
    elif not known:
        say("There is no mandate: every act needs its own question, unless the settings say otherwise.", sys.stdout)
    else:
        print_laid_out({"mandates": [_shown(mandate) for mandate in known]})
    return DONE


def _add(parsed: Namespace, settings: Settings, program: Program, *, as_json: bool) -> int:
    with terminal() as person:
        if person is None:
            raise nobody("A mandate", f"Type it in a terminal: {PROGRAM} mandates add")
    typed = {
        "purpose": parsed.purpose,
        "tools": None if parsed.tool is None else [_tool(word) for word in parsed.tool],
        "recipients": parsed.to,
        "acts": None if parsed.acts is None else converted(int, parsed.acts),
        "credits": None if parsed.credits is None else converted(float, parsed.credits),
        "until": None if parsed.until is None else until_of(parsed.until, settings.zone),
    }
    given = {name: value for name, value in typed.items() if value is not None}
    try:
        result = run_given(find("kallyai_mandate"), given, settings, program)
    except InvalidArguments as error:
        raise _typed(error) from None
    mandate = result.structured["mandate"]
    if as_json:
        print_json(result.structured)
    else:
        print_laid_out(_shown(mandate))
        say(f"It is in force. To take it back: {PROGRAM} mandates revoke {mandate['id']}")
    return DONE


def _revoke(wanted: str | None, settings: Settings, program: Program, *, as_json: bool) -> int:
    listed = f"'{PROGRAM} mandates' lists them."
    if wanted is None:
        raise UsageError("Which mandate?", next_step=f"Name it: {PROGRAM} mandates revoke ID. {listed}")
    try:
        result = run_given(find("kallyai_mandate_revoke"), {"mandate_id": wanted}, settings, program)
    except InvalidArguments:
        raise UsageError("There is no mandate of this identifier.", next_step=listed) from None
    if as_json:
        print_json(result.structured)
    else:
        say("Revoked. What fell under it needs a question again.", sys.stdout)
    return DONE


def _shown(mandate: dict[str, Any]) -> dict[str, Any]:
    tools = [command_of(str(tool)) for tool in mandate["tools"]]
    return mandate | {"tools": tools, "recipients": mandate["recipients"] or "anyone"}


def _tool(word: str) -> str:
    """Return the name of the tool behind what is typed after `run`."""
    return word if word.startswith("kallyai_") else "_".join(("kallyai", *word.replace("-", "_").split()))


def until_of(text: str, zone: str) -> str:
    """Return a time of today in the user's zone with its date, and any other moment as it is."""
    if not _TODAY.fullmatch(text):
        return text
    return f"{datetime.now(ZoneInfo(zone)).date().isoformat()}T{text.zfill(5)}"


def _typed(error: InvalidArguments) -> UsageError:
    told = " ".join(f"{_OPTIONS.get(problem.argument, problem.argument)} {problem.rule}" for problem in error.problems)
    return UsageError(
        f"There is no new mandate. {told}", next_step=f"'{PROGRAM} mandates add --help' explains the options."
    )
