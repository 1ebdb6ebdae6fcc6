"""The emergency stop, and its end: for every account of the state folder, or of the servers whose database is named.

What the stop itself needs is imported here, all else once it is written.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kallyai_mcp.cli.event_loop import run_async
from kallyai_mcp.cli.output import DONE, INTERRUPTED, print_json, print_laid_out, say
from kallyai_mcp.cli.person import nobody, terminal
from kallyai_mcp.cli.text import PROGRAM, for_terminal
from kallyai_mcp.errors import KallyError
from kallyai_mcp.journal import ALL, Journal
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.cli.program import App, Program
    from kallyai_mcp.model.records import Stopped

BY = "a terminal"
"""Who stops, in receipts."""

_RESUME = f"Nothing runs until '{PROGRAM} resume'. Reading works meanwhile."


def stop(
    environment: Mapping[str, str], flags: Mapping[str, str | bool | None], program: Program, *, as_json: bool
) -> int:
    """Freeze all acts, then cancel what this account has set going.

    The stop is written before any other setting is read and anything is made, found out or asked, so that nothing of
    that can keep it from being in force.

    Args:
        environment: Of this process.
        flags: The settings' flags that were given.
        program: What cancels.
        as_json: Whether to print one JSON document.
    """
    place = Settings.read(
        {name: value for name, value in environment.items() if name in {"KALLYAI_STATE_DIR", "KALLYAI_DATABASE_URL"}},
        {name: value for name, value in flags.items() if name == "state_dir"},
    )
    try:
        held = run_async(_freeze, place)
    except KallyError as error:
        error.next_step = f"Nothing is stopped. {error.next_step}"
        raise

    from kallyai_mcp.cli.questions import moment

    facts: dict[str, Any] = {"stopped": True, "since": moment(held.since), "by": held.by}
    interrupted = False
    try:
        facts |= _cancel(environment, flags, program)
    except KeyboardInterrupt:
        interrupted = True
        facts["problem"] = {"message": "It was interrupted. What was under way may go on."}
    if as_json:
        print_json(facts)
    else:
        _tell(facts, held)
    return INTERRUPTED if interrupted else DONE


async def _freeze(place: Settings) -> Stopped:
    if place.database_url is None:
        journal = Journal(place.state_folder)
    else:
        from kallyai_mcp.shared.shared import common_journal

        journal = common_journal(place.database_url)
    async with journal:
        return await journal.stop(ALL, BY)


def _cancel(environment: Mapping[str, str], flags: Mapping[str, str | bool | None], program: Program) -> dict[str, Any]:
    """Return what was cancelled and what was not, or why that could not be found out."""
    from kallyai_mcp.cli.running import spinner, within
    from kallyai_mcp.logs import configure

    with spinner() as waiting:

        async def work(app: App) -> dict[str, Any]:
            parts = await app.parts()
            if waiting is not None:
                waiting.update("All acts are stopped. Cancelling what is under way. Ctrl-C ends the waiting.")
                waiting.start()
            return await parts.brake.stop(parts.owner.key, BY, frozen=ALL)

        try:
            settings = Settings.read(environment, flags)
            configure(settings.log_level)
            done = within(program, settings, work)
        except KallyError as problem:
            return {"problem": {"code": problem.error_code, "message": f"{problem.message} {problem.next_step}"}}
        except Exception as error:  # noqa: BLE001 - the stop holds, and that must be told whatever has failed since
            message = f"Something went wrong inside this program ({type(error).__name__})."
            return {"problem": {"code": KallyError.code, "message": message}}
    return {"cancelled": done["cancelled"], "not_stopped": done["not_stopped"]}


def _tell(facts: dict[str, Any], held: Stopped) -> None:
    from kallyai_mcp.cli.questions import clock

    say(f"All acts are stopped, since {clock(held.since)}, by {held.by}. {_RESUME}", sys.stdout)
    for title, name, last in (("Cancelled:", "cancelled", "with"), ("Not stopped:", "not_stopped", "why")):
        if entries := facts.get(name):
            say(f"\n{title}", sys.stdout)
            print_laid_out({name: [_act(entry, last) for entry in entries]})
    if facts.get("not_stopped"):
        say("What is not stopped goes on at KallyAI, or may. Look at it there.")
    if "problem" in facts:
        say(f"Whether something goes on at KallyAI is not known. {for_terminal(facts['problem']['message'])}")


def _act(entry: dict[str, Any], last: str) -> dict[str, Any]:
    from kallyai_mcp.cli.questions import command_of

    told = str(entry[last])
    return {
        "act": entry["act"],
        "command": command_of(entry["tool"]),
        last: command_of(told) if last == "with" else for_terminal(told),
    }


def resume(settings: Settings, program: Program, *, as_json: bool) -> int:
    """Let acts run again; say since when and by whom they were stopped."""
    from kallyai_mcp.cli.questions import clock, moment
    from kallyai_mcp.cli.running import within

    with terminal() as person:
        held, resumed = within(program, settings, lambda app: _resume(app, is_person=person is not None))
    told = f"Acts were stopped since {clock(held.since)}, by {held.by}. " if held is not None else ""
    if as_json:
        was = None if held is None else {"since": moment(held.since), "by": held.by}
        print_json({"resumed": resumed, "was_stopped": was})
    elif resumed:
        say(f"{told}They run again.", sys.stdout)
    else:
        say("Nothing is stopped.", sys.stdout)
    return DONE


async def _resume(app: App, *, is_person: bool) -> tuple[Stopped | None, bool]:
    parts = await app.parts()
    journal = parts.journal
    held = await journal.stopped(parts.owner.key)
    if is_person:
        return held, await journal.resume(ALL)
    if held is not None:
        raise nobody("Going on after a stop", f"Have a person type it in a terminal: {PROGRAM} resume")
    return None, False
