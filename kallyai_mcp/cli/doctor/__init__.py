"""Looks whether everything works, and says what to do where it does not. It runs no tool and changes nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import anyio
from rich.table import Table
from rich.text import Text

from kallyai_mcp.cli.doctor.finding import OF_PROGRAM, Finding, Status
from kallyai_mcp.cli.doctor.of_hosts import checks_of_hosts
from kallyai_mcp.cli.doctor.own import own_checks
from kallyai_mcp.cli.event_loop import run_async
from kallyai_mcp.cli.output import DONE, REFUSED, emit, print_json, say
from kallyai_mcp.cli.running import spinner
from kallyai_mcp.cli.text import for_terminal, visible
from kallyai_mcp.hosts import System, find_host
from kallyai_mcp.hosts.entry import DEFAULT_NAME, checked_name

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from kallyai_mcp.cli.doctor.finding import Check
    from kallyai_mcp.cli.program import Program
    from kallyai_mcp.settings import Settings

_MARKS = {Status.OK: ("ok", "green"), Status.NOTE: ("note", "yellow"), Status.FAILED: ("FAILED", "bold red")}


def doctor(
    parsed: Namespace, settings: Settings, program: Program, *, as_json: bool, system: System | None = None
) -> int:
    """Run all checks and print what they found; 1 if any failed."""
    system = system or System.here()
    name = checked_name(parsed.name or DEFAULT_NAME)
    host = None if parsed.host is None else find_host(parsed.host)
    with spinner() as waiting:

        async def look() -> list[Finding]:
            found: list[Finding] = []
            for check in [*own_checks(settings, program), *checks_of_hosts(system, program, host, name)]:
                if waiting is not None:
                    waiting.update(f"Looking at: {check.title}")
                    waiting.start()
                found += await _bounded(check)
            return found

        found = run_async(look)
    is_well = all(finding.status is not Status.FAILED for finding in found)
    if as_json:
        print_json({"ok": is_well, "checks": [finding.as_dict() for finding in found]})
    else:
        _show(found, is_well=is_well)
    return DONE if is_well else REFUSED


async def _bounded(check: Check) -> list[Finding]:
    """Run a check; one that takes too long, or fails in a way of its own, has failed."""
    from kallyai_mcp.errors import KallyError

    try:
        with anyio.fail_after(check.within):
            return await check.run()
    except TimeoutError:
        text, remedy = f"This took longer than {check.within:g} s and was given up.", "Try again, with less under way."
    except KallyError as error:
        text, remedy = error.message, error.next_step
    except Exception as error:  # noqa: BLE001 - what was not foreseen in one check must not keep the others from running
        text, remedy = f"The check itself failed ({_inner(error)}).", "Try again with --log-level debug."
    return [Finding(check.name, check.host, Status.FAILED, text, remedy)]


def _inner(error: BaseException) -> str:
    inner = cast("Sequence[BaseException]", getattr(error, "exceptions", ()))
    return _inner(inner[0]) if inner else type(error).__name__


def _show(found: list[Finding], *, is_well: bool) -> None:
    for group in dict.fromkeys(finding.host for finding in found):
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for finding in (one for one in found if one.host == group):
            mark, style = _MARKS[finding.status]
            text = Text(visible(for_terminal(finding.message)))
            if finding.remedy:
                text.append(
                    f"\n{visible(for_terminal(finding.remedy))}", style="dim" if finding.status is Status.OK else ""
                )
            grid.add_row(Text(mark, style=style), Text(finding.check), text)
        emit(Text(f"{group or OF_PROGRAM}", style="bold underline"), sys.stdout)
        emit(grid, sys.stdout)
        sys.stdout.write("\n")
    failed, notes = (sum(one.status is status for one in found) for status in (Status.FAILED, Status.NOTE))
    told = "Everything works." if is_well else f"{failed} of {len(found)} checks failed."
    if notes:
        told += f" {notes} {'note tells' if notes == 1 else 'notes tell'} what else to mind."
    say(told, sys.stdout)
