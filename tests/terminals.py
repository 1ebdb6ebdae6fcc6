"""A terminal of its own for the program, and a person at it: a pseudo-terminal that controls the process."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0
CTRL_C, CTRL_D = "\x03", "\x04"

_PROGRAM = """
import fcntl, os, sys, termios
fcntl.ioctl(next(number for number in (0, 1, 2) if os.isatty(number)), termios.TIOCSCTTY, 0)
if {background} and (child := os.fork()):
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
if {background}:
    os.setpgid(0, 0)
from kallyai_mcp.__main__ import main
sys.exit(main())
"""
_CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Seat:
    """A person at the terminal of one run."""

    def __init__(self, ours: int, process: subprocess.Popen[bytes]) -> None:
        self._ours = ours
        self.process = process
        self._shown = b""

    @property
    def screen(self) -> str:
        """All that was shown so far, without what moves the cursor or colours."""
        return _CODES.sub("", self._shown.decode("utf-8", "replace")).replace("\r", "")

    def sees(self, text: str, *, times: int = 1) -> None:
        """Wait until the terminal has shown something, so many times."""
        deadline = time.monotonic() + PATIENCE
        while self.screen.count(text) < times:
            assert time.monotonic() < deadline, f"{text!r} is not shown:\n{self.screen}"
            assert self._look(), f"{text!r} was not shown:\n{self.screen}"

    def types(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def leaves(self) -> int:
        """Wait until the program ends, and return its exit status."""
        while self._look():
            pass
        return self.process.wait(PATIENCE)

    def _look(self) -> bool:
        """Take what is shown next. Whether there may be more."""
        if not select.select([self._ours], [], [], PATIENCE)[0]:
            return False
        try:
            more = os.read(self._ours, 65536)
        except OSError:  # Linux: nobody has the other end open any more
            return False
        self._shown += more
        return bool(more)


@contextmanager
def seated(
    environment: Mapping[str, str],
    *argv: str,
    columns: int = 100,
    lines: int = 50,
    stdin: bytes | None = None,
    background: bool = False,
    **to: Any,
) -> Generator[Seat]:
    """Start the program on a terminal, and give the person at it.

    Args:
        environment: Of the program.
        argv: What was typed.
        columns: Width.
        lines: Height.
        stdin: What is piped in; the terminal unless given.
        background: Whether the terminal is left to others, as by `&`.
        to: Where stdout or stderr go instead of to the terminal.
    """
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own program
        [sys.executable, "-c", _PROGRAM.format(background=background), *argv],
        stdin=theirs if stdin is None else subprocess.PIPE,
        stdout=to.get("stdout", theirs),
        stderr=to.get("stderr", theirs),
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        if process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(stdin or b"")
        yield Seat(ours, process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(PATIENCE)
        os.close(ours)
