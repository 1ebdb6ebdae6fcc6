"""Those who take part in the demo, and what they have found out so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.to_thread import run_sync

from kallyai_mcp.cli.demo.checks import Failed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kallyai_mcp.cli.demo.host import Host
    from kallyai_mcp.cli.demo.person import Person
    from kallyai_mcp.cli.demo.screen import Screen

Seen = TypeVar("Seen")

PATIENCE = 60.0
"""Seconds within which something that takes its time must have happened."""
_LOOKS_EVERY = 0.5


@dataclass(slots=True)
class Stage:
    """Those who take part, and what they have found out so far."""

    host: Host
    person: Person
    screen: Screen
    sandbox: str = ""
    credits: float = 0.0
    charged: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    agrees: bool = True
    has_read: bool = False

    def check(self, holds: object, claim: str, came: object) -> None:
        """Show that a claim holds.

        Raises:
            Failed: It does not.
        """
        if not holds:
            raise Failed(claim, came)
        self.screen.passed(claim)

    async def run(self, tool: str, *, progress: Callable[[str], None] | None = None, **arguments: Any) -> Any:
        """Show and run a tool."""
        self.screen.runs(tool, arguments)
        return await self.host.run(tool, progress=progress, **arguments)

    async def until(self, claim: str, look: Callable[[], Awaitable[tuple[Any, object]]]) -> Any:
        """Look again and again until there is what is looked for, and return it.

        Raises:
            Failed: It took too long; with the last thing seen.
        """
        seen: object = None
        with anyio.move_on_after(PATIENCE):
            while True:
                found, seen = await look()
                if found:
                    return found
                await anyio.sleep(_LOOKS_EVERY)
        raise Failed(claim, seen)

    async def asked(self, question: str) -> bool:
        """Show what the host asks the person, the first time in full, and what they say."""
        first, *rest = question.splitlines()
        self.screen.person(f"The host asks: {first}")
        if not self.has_read:
            self.has_read = True
            for line in rest:
                self.screen.item(line.strip())
        await self.screen.pause()
        self.screen.person("The user agrees." if self.agrees else "The user declines.")
        return self.agrees

    async def control(self, path: str, order: Mapping[str, Any] | None = None) -> Any:
        """Use one of the sandbox's controls."""
        return await browse(partial(self.person.control, f"{self.sandbox}{path}", order))

    async def received(self) -> list[str]:
        """Return the commands that the sandbox was sent to change or spend something, in their order."""
        return [str(request["command"]) for request in (await self.control("/sandbox/ledger"))["requests"]]


async def browse(action: Callable[[], Seen]) -> Seen:
    """Do what blocks: the standard library's client is left to its timeout when the demo is interrupted."""
    return await run_sync(action, abandon_on_cancel=True)
