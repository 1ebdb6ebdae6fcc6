"""Reading one line that nobody else may see: from a terminal without echo, or from a pipe.

Not by `getpass`: a terminal that collects lines itself cuts them at a few thousand characters, and an address with
tokens in it may have more.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

LONGEST = 64 * 1024
LOOK = 0.1
ERASE = frozenset(b"\x7f\x08")
END_OF_INPUT = 4


def read_secret_line(enough: Callable[[], bool]) -> str | None:
    """Read the first line of stdin.

    Args:
        enough: Whether to give up; asked again and again while a terminal is silent.

    Returns:
        The line, cut at a length that no address has; None where the input has ended or there was enough.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline(LONGEST)
        return line.strip() or None
    if sys.platform == "win32":
        from getpass import getpass

        return getpass("").strip() or None
    with _silent(sys.stdin.fileno()):
        return _typed(sys.stdin.fileno(), enough)


def _typed(terminal: int, enough: Callable[[], bool]) -> str | None:
    import select

    typed = bytearray()
    while not enough():
        if not select.select([terminal], [], [], LOOK)[0]:
            continue
        read = os.read(terminal, 4096)
        for byte in read:
            if byte in b"\r\n":
                if line := typed.decode("utf-8", "replace").strip():
                    return line
                typed.clear()
            elif byte in ERASE:
                del typed[-1:]
            elif byte == END_OF_INPUT:
                return None
            elif len(typed) < LONGEST:
                typed.append(byte)
        if not read:
            return None
    return None


@contextmanager
def _silent(terminal: int) -> Generator[None]:
    """Let a terminal show nothing and hand over each byte; what is left unread afterwards is thrown away."""
    if sys.platform == "win32":
        raise AssertionError("there is no termios")  # the caller has seen to that; here for the type checker
    import termios

    before = termios.tcgetattr(terminal)
    changed: list[Any] = termios.tcgetattr(terminal)
    changed[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(terminal, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
