"""A person at the terminal: whether there is one, and what they answer.

What is asked is shown on the terminal that controls this process, and the answer is read from there and nowhere else.
Nothing that is piped in, no option and no variable is an answer, and nothing that was typed before the question stood
there.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from kallyai_mcp.cli.output import UsageError, console

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TextIO

    from rich.console import RenderableType

_IN, _OUT = ("CONIN$", "CONOUT$") if sys.platform == "win32" else ("/dev/tty", "/dev/tty")
LOOK = 0.1
LONGEST = 1024
TRIES = 3
"""Answers that are neither yes nor no before it counts as none."""

_YES = frozenset({"y", "yes"})
_NO = frozenset({"", "n", "no"})


class Terminal:
    """The terminal that a person sits at.

    Args:
        reading: Descriptor from which the answer is read.
        stream: Where the question is written.
    """

    def __init__(self, reading: int, stream: TextIO) -> None:
        self._reading = reading
        self._stream = stream
        self._screen = console(stream)
        with suppress(OSError):
            size = os.get_terminal_size(reading)
            if size.columns and size.lines:
                self._screen.size = size

    @property
    def width(self) -> int:
        """Columns."""
        return self._screen.width

    def show(self, shape: RenderableType) -> int:
        """Print something and return how many lines of the screen it takes."""
        self._screen.print(shape)
        return len(self._screen.render_lines(shape, pad=False))

    def has_room_for(self, lines: int) -> bool:
        """Whether so many lines are all seen at once."""
        return lines <= self._screen.height

    async def agrees(self, prompt: str) -> bool | None:
        """Ask until the answer is yes or no.

        Returns:
            The answer; Enter alone is no. None at the end of the input, and after some answers that are neither.
        """
        for _ in range(TRIES):
            self._forget_typed()
            line = await self._line(f"{prompt} [y/N] ")
            if line is None:
                return None
            answer = line.strip().lower()
            if answer in _YES | _NO:
                self._write("\n")
                return answer in _YES
            self._write("Type y or n.\n")
        return None

    async def _line(self, prompt: str) -> str | None:
        stop, ended = threading.Event(), threading.Event()

        def read() -> str | None:
            try:
                return _typed(self._reading, stop.is_set)
            finally:
                ended.set()

        self._write(prompt)
        try:
            line = await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
        except BaseException:
            self._write("\n")  # Ctrl-C: what is said next begins a line of its own
            stop.set()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(ended.wait, 1)
            raise
        if line is None:
            self._write("\n")
        return line

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _forget_typed(self) -> None:
        """Throw away what was typed before the question stood there."""
        if sys.platform == "win32":
            return
        import termios

        with suppress(termios.error):
            termios.tcflush(self._reading, termios.TCIFLUSH)


def _typed(terminal: int, given_up: Callable[[], bool]) -> str | None:
    """Read one line, ended by Enter; None at the end of the input, or once it is given up."""
    typed = bytearray()
    while not given_up():
        if not _is_readable(terminal):
            continue
        read = os.read(terminal, 4096)
        if not read:
            return None
        typed += read
        line, end, _ = typed.replace(b"\r", b"\n").partition(b"\n")
        if end or len(typed) > LONGEST:
            return line.decode("utf-8", "replace")
    return None


def _is_readable(terminal: int) -> bool:
    if sys.platform == "win32":
        return True  # no select for consoles: a read waits, and Ctrl-C ends it
    import select

    return bool(select.select([terminal], [], [], LOOK)[0])


@contextmanager
def terminal() -> Generator[Terminal | None]:
    """Give the terminal of a person who sees what this process says; None where there is none.

    A process whose errors go elsewhere, one without a terminal of its own, and one in the background have none: hosts
    and agents run programs so, and what a person types is not meant for these.
    """
    opened = _opened()
    if opened is None:
        yield None
        return
    reading, stream = opened
    try:
        yield Terminal(reading, stream)
    finally:
        with suppress(OSError):
            stream.close()
        os.close(reading)


def _opened() -> tuple[int, TextIO] | None:
    reading = None
    with suppress(OSError, ValueError):
        if sys.stderr.isatty():
            reading = os.open(_IN, os.O_RDWR | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0))
            if os.isatty(reading) and not _is_in_background(reading):
                encoding = sys.stderr.encoding or "utf-8"
                return reading, open(_OUT, "w", encoding=encoding, errors="backslashreplace")  # noqa: PTH123 - closed by `terminal`
    if reading is not None:
        os.close(reading)
    return None


def _is_in_background(terminal: int) -> bool:
    return sys.platform != "win32" and os.tcgetpgrp(terminal) != os.getpgrp()


def nobody(what: str, next_step: str) -> UsageError:
    """Make the error of something that only a person at a terminal can do."""
    return UsageError(
        f"{what} needs a person at a terminal, and there is none here.", code="not_a_terminal", next_step=next_step
    )
