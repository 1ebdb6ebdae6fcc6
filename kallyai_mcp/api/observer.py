"""Who watches the requests to the API, where somebody does: with no word of what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kallyai_mcp.model import Command


class Exchanged(Protocol):
    """One request under way."""

    def answered(self, status: int) -> None:
        """The service answered."""
        ...


class Observer(Protocol):
    """Is told of every request, each attempt of a run on its own."""

    def request(self, command: Command, /) -> AbstractContextManager[Exchanged]:
        """Return a block around one request; an error that leaves it is how the request failed."""
        ...
