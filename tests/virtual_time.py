"""An event loop whose time passes at once: every sleep and every deadline holds, and none is waited for."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from auth_world import NOW


class _Selector(selectors.DefaultSelector):
    """Never waits: the time for which it was to wait has passed."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing is left that could happen"
            self.elapsed += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs by its own clock, which starts at 0."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.elapsed


class LoopClock:
    """The time of the loop, as `auth` sees it."""

    def now(self) -> float:
        return NOW + self.monotonic()

    def monotonic(self) -> float:
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        await anyio.sleep(seconds)


T = TypeVar("T")


def run_virtually(function: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function to its end, in no time."""
    return anyio.run(function, backend_options={"loop_factory": VirtualLoop})
