"""Requests to open an address, sent to a host of the 2025-11-25 version while its calls wait."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Prompt:
    """One request that a person sees.

    Attributes:
        host: The connection, told apart by what the host said at its start.
        address: What is to be opened.
        id: The protocol's name for the request.
        action: What the person did; None while they have not answered, and where they never will.
    """

    host: object
    address: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    action: str | None = None
    answered: anyio.Event = field(default_factory=anyio.Event)


class Prompts:
    """Asks a person once for an address, however many calls wait for it."""

    def __init__(self) -> None:
        self._open: list[_Prompt] = []
        self._accepted: list[_Prompt] = []

    async def ask(self, ctx: ServerRequestContext[Any], address: str, message: str, seconds: float) -> str | None:
        """Have the host ask, or wait for the answer to the same request of another call.

        Returns:
            `accept`, `decline` or `cancel`; None where there was no answer in time, or the host cannot ask.
        """
        host = ctx.session.client_params
        with anyio.move_on_after(seconds):
            for prompt in self._open:
                if prompt.host is host and prompt.address == address:
                    await prompt.answered.wait()
                    return prompt.action
            return await self._send(ctx, _Prompt(host, address), message)
        return None

    async def complete(self, ctx: ServerRequestContext[Any]) -> None:
        """Tell the host that what its person agreed to is done, so that it need not show it any longer."""
        host = ctx.session.client_params
        done = [prompt for prompt in self._accepted if prompt.host is host]
        self._accepted = [prompt for prompt in self._accepted if prompt.host is not host]
        for prompt in done:
            await ctx.session.send_elicit_complete(prompt.id)

    async def _send(self, ctx: ServerRequestContext[Any], prompt: _Prompt, message: str) -> str | None:
        self._open.append(prompt)
        try:
            # Sent as part of the call it belongs to, which on HTTP decides the stream it takes.
            answer = await ctx.session.elicit_url(message, prompt.address, prompt.id, ctx.request_id)
        except (MCPError, ValidationError) as error:
            logger.info("The host did not ask for the sign-in: %s", type(error).__name__)
        else:
            prompt.action = answer.action
            if answer.action == "accept":
                self._accepted.append(prompt)
        finally:
            self._open.remove(prompt)
            prompt.answered.set()
        return prompt.action
