"""Bringing home a sign-in from a browser on another machine: its last address, pasted into the terminal.

The address holds tokens, so it is not echoed, not logged and not repeated, and no tool takes it.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from kallyai_mcp.cli.output import say
from kallyai_mcp.cli.secret_line import read_secret_line
from kallyai_mcp.cli.text import PROGRAM
from kallyai_mcp.errors import SignInFailed

if TYPE_CHECKING:
    from kallyai_mcp.cli.program import SignIn

TRIES = 3
EXPECTED = (
    "That is not the address of this sign-in. Expected is the whole address from the browser's address bar: it begins "
    "with http://127.0.0.1: and the port of this sign-in, and has a state in it."
)
_INVITATION = (
    "When you have agreed, the browser ends at a page that it cannot open, at an address that begins with "
    "http://127.0.0.1. Copy that whole address, paste it here and press Enter. It is not shown, since it is a secret."
)


async def take_pasted(sign_in: SignIn) -> None:
    """Read the address and hand it to the sign-in; return at once if a browser on this machine comes back first.

    Raises:
        SignInFailed: There was no address, or another one: at a terminal after several tries, from a pipe at once.
    """
    at_terminal = sys.stdin.isatty()
    if at_terminal:
        say(_INVITATION)
    for left in reversed(range(TRIES if at_terminal else 1)):
        line = await _line(sign_in)
        if sign_in.is_answered or (line is not None and sign_in.paste(line)):
            return
        if line is None:
            break
        if left:
            say(f"{EXPECTED} Try again.")
    else:
        raise SignInFailed(EXPECTED, next_step=f"Start again: {PROGRAM} login --paste")
    raise SignInFailed("No address was pasted.", next_step=f"Start again: {PROGRAM} login --paste")


async def _line(sign_in: SignIn) -> str | None:
    stop, ended = threading.Event(), threading.Event()

    def read() -> str | None:
        try:
            return read_secret_line(lambda: stop.is_set() or sign_in.is_answered)
        finally:
            ended.set()

    try:
        return await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
    finally:
        stop.set()
        with anyio.CancelScope(shield=True):  # Ctrl-C: the terminal must show again what is typed
            await anyio.to_thread.run_sync(ended.wait, 1)
