"""From a pace to an exit status: the server is started, the story is played, and both end whatever happens."""

from __future__ import annotations

import sys

import anyio

from kallyai_mcp.cli.demo.checks import Failed
from kallyai_mcp.cli.demo.host import hosting
from kallyai_mcp.cli.demo.person import Person
from kallyai_mcp.cli.demo.screen import Screen
from kallyai_mcp.cli.demo.story import Stage, tell
from kallyai_mcp.cli.event_loop import run_async
from kallyai_mcp.cli.output import DONE, INTERRUPTED, REFUSED

LONGEST = 300.0
"""Seconds after which the demo gives up, beside its pauses."""


def play(pace: float) -> int:
    """Play a session, pausing `pace` seconds between its steps, and return the exit status.

    Returns:
        0 if every step did what it says, 1 with the first check that failed, 130 after Ctrl-C.
    """
    screen = Screen(sys.stdout, pace)
    try:
        ending = run_async(_play, screen, pace)
    except KeyboardInterrupt:
        return INTERRUPTED
    if isinstance(ending, Failed):
        screen.failed(ending)
        return REFUSED
    if ending is not None:
        raise ending
    return DONE


async def _play(screen: Screen, pace: float) -> BaseException | None:
    # What ends the story is carried out of the connection as it is: the connection's task groups would wrap it.
    ending: BaseException | None = None
    screen.title(
        "An agent works with KallyAI",
        "All of it happens on this machine: the server is real, the KallyAI behind it is a sandbox.",
    )
    try:
        with anyio.fail_after(LONGEST + 60 * pace):
            async with hosting() as host:
                try:
                    await tell(Stage(host, Person(), screen))
                except (Exception, SystemExit) as error:  # noqa: BLE001 - see above
                    ending = error
    except TimeoutError:
        return Failed("The session is over in time.", f"it took longer than {LONGEST:.0f} s")
    except Exception as error:  # noqa: BLE001 - a server that does not start can fail in many ways
        return ending or Failed("The server starts and can be connected to.", f"{type(error).__name__}: {error}")
    return ending
