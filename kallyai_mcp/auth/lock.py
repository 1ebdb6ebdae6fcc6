"""The lock that all our processes take before they change tokens."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kallyai_mcp.auth.store import UnreadableTokenFile
from kallyai_mcp.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from kallyai_mcp.auth.clock import Clock

LOCK_WAIT = 30.0
LOCK_POLL = 0.05


@asynccontextmanager
async def locked(path: Path, clock: Clock, wait: float, *, remedy: str) -> AsyncGenerator[None]:
    """Hold the lock at `path`. It is polled for, so that a waiting task can be cancelled.

    The kernel frees it when its holder dies; its file is never removed, else two could hold "the" lock.

    Raises:
        TransportError: Somebody else held it all the time ("token_file_busy").
        UnreadableTokenFile: It cannot be made, or this file system has no locks; `remedy` is the next step.
    """
    from filelock import FileLock, Timeout  # here, for a run with a fresh token needs no lock

    deadline = clock.monotonic() + wait
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(
            path, mode=0o600, thread_local=False, fallback_to_soft=False, preserve_lock_file=True, timeout=0
        )
        while True:
            try:
                lock.acquire(blocking=False)
                break
            except Timeout:
                if clock.monotonic() >= deadline:
                    raise TransportError(
                        f"Another program has held {path} for {wait:.0f} seconds.",
                        code="token_file_busy",
                        next_step="Try again; if it stays so, end the program that holds the lock.",
                        retryable=True,
                    ) from None
            await clock.sleep(LOCK_POLL)
    except (OSError, NotImplementedError) as error:
        raise UnreadableTokenFile(
            f"The lock {path} cannot be taken ({reason(error)}), so the tokens were not changed.", next_step=remedy
        ) from None
    try:
        yield
    finally:
        lock.release()


def reason(error: Exception) -> str:
    """Why the system refused, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
