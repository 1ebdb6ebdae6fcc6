"""The pipes to the host. They carry the protocol, so nothing else in the process may write to or read from them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pipes:
    """Both directions, as file descriptors of our own."""

    incoming: int
    outgoing: int


def take_pipes() -> Pipes:
    """Take stdin and stdout for the protocol, for as long as the process lives.

    From here on file descriptor 0 is empty and 1 leads to stderr, for this process, its libraries and its children.
    One that was closed counts as empty: else the next file to be opened would take its number.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison]  # it is None where it was closed
        sys.stdout.flush()  # what was printed before, and not yet written
    return Pipes(incoming, outgoing)
