"""A connection to PostgreSQL on which nothing is waited for without end, whatever becomes of the other side.

Locks are waited for, so that silence alone says nothing. Where a statement is not answered soon, a new connection finds
out whether the database answers anybody; where it does not, the statement is given up and its connection closed.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from psycopg.abc import PQGen

R = TypeVar("R")

SILENCE = 2.0
"""Seconds without an answer after which the database is asked whether it is there; then after twice as long each."""

ANSWERS = 2
"""Seconds in which it must take a new connection to count as there; psycopg knows no shorter time."""

LONGEST = 25.0
"""Seconds after which a statement is given up in any case: the database itself ends each after 20."""

FRESH = 1.0
"""Seconds for which its last answer holds, for all who wait."""

_log = logging.getLogger(__name__)


class Silent(psycopg.OperationalError):
    """The database does not answer."""


class Pulse:
    """Whether the database answers at all; one thread asks for all that wait.

    Args:
        ask: Connects and leaves, within `ANSWERS` seconds.
        is_silent: Called when it does not answer.
    """

    def __init__(self, ask: Callable[[], None], is_silent: Callable[[psycopg.Error], None]) -> None:
        self._ask = ask
        self._is_silent = is_silent
        self._lock = threading.Lock()
        self._asked = -FRESH
        self._answers = True

    def beats(self) -> bool:
        """Ask, unless that was done just now."""
        with self._lock:
            if time.monotonic() - self._asked < FRESH:
                return self._answers
            try:
                self._ask()
                self._answers = True
            except psycopg.OperationalError as error:
                self._answers = "FATAL" in str(error)  # it refuses, and so it is there
                if not self._answers:
                    _log.warning("PostgreSQL has not answered for %g seconds, nor does it take connections.", SILENCE)
                    self._is_silent(error)
            self._asked = time.monotonic()
            return self._answers


class PatientConnection(psycopg.Connection[dict[str, Any]]):
    """A connection whose statements end.

    Attributes:
        pulse: Tells whether the database answers; without it, silence is waited out up to `longest`.
        longest: Seconds that one statement may take.
    """

    pulse: Pulse | None = None
    longest: float = LONGEST

    def wait(self, gen: PQGen[R], *args: Any, **named: Any) -> R:
        """Wait for an answer, but not for longer than there is hope for it."""
        try:
            return super().wait(self._watched(gen), *args, **named)
        except Silent:
            self.close()
            raise

    def _watched(self, gen: PQGen[R]) -> Generator[Any, Any, R]:
        began = time.monotonic()
        looks = began + SILENCE
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    wanted = gen.send(ready)
                    continue
                now = time.monotonic()
                if now - began >= self.longest:
                    raise Silent("a statement was not answered in time")
                if now >= looks and self.pulse is not None:
                    if not self.pulse.beats():
                        raise Silent("the database does not answer")
                    looks = time.monotonic() + (now - began)
        except StopIteration as end:
            return end.value
