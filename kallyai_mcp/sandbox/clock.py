"""The clocks of a sandbox, both of which a test can move.

`now` is the time in the world: it runs faster than real time, so that a phone call takes seconds. `wall` is the time of
the machine, which tokens and device codes live by: a client counts their life in real seconds. Setting or advancing
the sandbox's clock moves both.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

FIXED_START = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""Where the clock of a repeatable world begins."""

DEFAULT_SPEED = 20.0
"""Sandbox seconds per real second."""


def iso(moment: datetime) -> str:
    """Write a moment as ISO 8601 in UTC, whole seconds, with Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Read an ISO 8601 moment; without an offset it is UTC.

    Raises:
        ValueError: The text is no date and time.
    """
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a moment is written as in 2026-03-02T09:00:00Z") from None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


class SandboxClock:
    """A clock with a speed.

    Speed 0 stands still until it is advanced. Infinite speed stands still too, but jumps ahead whenever something
    waits (`until`), so that a test waits for nothing and sees the same times in every run.
    """

    def __init__(
        self,
        start: datetime | None = None,
        *,
        speed: float = DEFAULT_SPEED,
        real: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock at `start` (the present time if not given); `real` counts real seconds."""
        self._real = real
        self._speed = checked_speed(speed)
        self._base = start or datetime.now(UTC)
        self._wall_base = self._base
        self._since = self._wall_since = real()
        self._fixed: datetime | None = None
        self._moved = anyio.Event()

    def now(self) -> datetime:
        """Return the time in the world, UTC. While an event runs it is the moment at which the event was due."""
        if self._fixed is not None:
            return self._fixed
        if math.isinf(self._speed):
            return self._base
        return self._base + timedelta(seconds=(self._real() - self._since) * self._speed)

    def wall(self) -> datetime:
        """Return the time by which tokens and codes expire: real time, plus what `set` and `advance` skipped."""
        return self._wall_base + timedelta(seconds=self._real() - self._wall_since)

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        self._rebase(self.now())
        self._speed = checked_speed(value)
        self._wake()

    def set(self, moment: datetime) -> None:
        """Put the clock to a moment, earlier or later."""
        self.advance((moment - self.now()).total_seconds())

    def restart(self, moment: datetime) -> None:
        """Begin again at a moment, the wall too."""
        self._rebase(moment)
        self._wall_base, self._wall_since = moment, self._since
        self._wake()

    def catch_up(self, moment: datetime, wall: datetime) -> None:
        """Let both times go on from later moments, at which they were left."""
        self._rebase(max(moment, self.now()))
        self._wall_base += max(wall - self.wall(), timedelta(0))
        self._wake()

    def advance(self, seconds: float) -> None:
        """Put the clock ahead (or, with a negative number, back)."""
        self._rebase(self.now() + timedelta(seconds=seconds))
        self._wall_base += timedelta(seconds=seconds)
        self._wake()

    async def until(self, moment: datetime) -> None:
        """Wait until the clock shows the moment, at whatever speed it runs and however it is put."""
        while (left := (moment - self.now()).total_seconds()) > 0:
            if math.isinf(self._speed):
                await checkpoint()
                self._rebase(max(moment, self._base))
                return
            await self.moved(left / self._speed if self._speed else None)

    async def moved(self, real_seconds: float | None = None) -> None:
        """Wait until somebody puts the clock or changes its speed, but at most so many real seconds."""
        with anyio.move_on_after(real_seconds):
            await self._moved.wait()

    @contextmanager
    def showing(self, moment: datetime) -> Generator[None]:
        """Let `now` stand at a moment for the length of a block that does not wait."""
        before, self._fixed = self._fixed, moment
        try:
            yield
        finally:
            self._fixed = before

    def _rebase(self, moment: datetime) -> None:
        self._base, self._since = moment, self._real()

    def _wake(self) -> None:
        waiting, self._moved = self._moved, anyio.Event()
        waiting.set()


def checked_speed(speed: float) -> float:
    """Return the speed.

    Raises:
        ValueError: It is negative, or no number.
    """
    if math.isnan(speed) or speed < 0:
        raise ValueError("speed must be 0 or more")
    return speed
