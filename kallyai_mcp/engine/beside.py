"""Awaiting something while something else watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


async def watched(work: Awaitable[T], watch: Callable[[], Awaitable[bool]]) -> T | None:
    """Await work with a watcher beside it, which ends with it.

    Args:
        work: What is awaited. What it raises comes out as it is, not in a group of errors.
        watch: Runs meanwhile; raises nothing. Where it returns true, the work is given up.

    Returns:
        What the work brought; None where it was given up.
    """
    brought: T | None = None
    failure: Exception | None = None

    async def watching() -> None:
        if await watch():
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watching)
        try:
            brought = await work
        except Exception as error:  # noqa: BLE001 - carried out of the group as it is, which would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return brought
