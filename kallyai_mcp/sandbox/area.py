"""One subject of the API, such as calls: how its commands answer, what happens in it, what it begins with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kallyai_mcp.sandbox.world import World

    Answer = dict[str, Any] | list[Any] | "Reply" | None
    Handler = Callable[[World, Any], Answer | Awaitable[Answer]]
    Happening = Callable[[World, dict[str, Any]], None]
    Seed = Callable[[World], None]

HandlerT = TypeVar("HandlerT", bound="Handler")
HappeningT = TypeVar("HappeningT", bound="Happening")
SeedT = TypeVar("SeedT", bound="Seed")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not simply 200 with JSON.

    Attributes:
        body: JSON value, text, or None for an empty body.
        status: HTTP status.
        media_type: Content type of a text.
        headers: Further headers, such as `Location`.
    """

    body: Any = None
    status: int = 200
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Area:
    """Collects the functions of one subject by decorators."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.events: dict[str, Happening] = {}
        self.seeders: list[Seed] = []

    def answers(self, *commands: str) -> Callable[[HandlerT], HandlerT]:
        """Let a function answer commands, named by their words, such as `"calls transcript"`.

        A plain function's writes are kept together or, when it raises, not at all. An async one may wait; what it
        wrote before stays written.
        """

        def keep(handler: HandlerT) -> HandlerT:
            for command in commands:
                if command in self.handlers:
                    raise ValueError(f"{command} is answered already")
                self.handlers[command] = handler
            return handler

        return keep

    def event(self, name: str) -> Callable[[HappeningT], HappeningT]:
        """Let a function run when an event of this name is due. It must not wait."""

        def keep(happening: HappeningT) -> HappeningT:
            if name in self.events:
                raise ValueError(f"{name} is an event already")
            self.events[name] = happening
            return happening

        return keep

    def seeds(self, seed: SeedT) -> SeedT:
        """Let a function put into a new world what it begins with."""
        self.seeders.append(seed)
        return seed
