"""Questions sent to a host of a handshake version while its calls wait for the person's answer."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server.context import ServerRequestContext
    from mcp_types import ElicitResult

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Prompt:
    """One question that a person sees.

    Attributes:
        host: The connection, told apart by what the host said at its start.
        subject: What it is about: an address to open, or an approval.
        id: The protocol's name for the question, where it has one.
        action: What the person did; None while they have not answered, and where they never will.
        is_over: Whether the host has done with it. Otherwise whoever asked has stopped waiting.
    """

    host: object
    subject: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    action: str | None = None
    is_over: bool = False
    left: anyio.Event = field(default_factory=anyio.Event)


class Prompts:
    """Asks a person once about one thing, however many calls wait for it."""

    def __init__(self) -> None:
        self._open: list[_Prompt] = []
        self._accepted: list[_Prompt] = []

    async def ask(
        self,
        ctx: ServerRequestContext[Any],
        subject: str,
        seconds: float,
        send: Callable[[str], Awaitable[ElicitResult]],
        *,
        completes: bool = False,
    ) -> str | None:
        """Have the host ask, or wait for the answer to the same question of another call.

        Args:
            ctx: The call.
            subject: What the question is about.
            seconds: How long the call may wait.
            send: Sends it, given its name; as part of the call, which on HTTP decides the stream that it takes.
            completes: Whether the host is to be told later that what its person agreed to is done.

        Returns:
            `accept`, `decline` or `cancel`; None where there was no answer in time, or the host cannot ask.
        """
        host = ctx.session.client_params
        with anyio.move_on_after(seconds):
            while (prompt := self._about(host, subject)) is not None:
                await prompt.left.wait()
                if prompt.is_over:
                    return prompt.action
            return await self._send(_Prompt(host, subject), send, completes=completes)
        return None

    async def complete(self, ctx: ServerRequestContext[Any]) -> None:
        """Tell the host that what its person agreed to is done, so that it need not show it any longer."""
        host = ctx.session.client_params
        done = [prompt for prompt in self._accepted if prompt.host is host]
        self._accepted = [prompt for prompt in self._accepted if prompt.host is not host]
        for prompt in done:
            await ctx.session.send_elicit_complete(prompt.id)

    def _about(self, host: object, subject: str) -> _Prompt | None:
        return next((prompt for prompt in self._open if prompt.host is host and prompt.subject == subject), None)

    async def _send(
        self, prompt: _Prompt, send: Callable[[str], Awaitable[ElicitResult]], *, completes: bool
    ) -> str | None:
        self._open.append(prompt)
        try:
            answer = await send(prompt.id)
        except (MCPError, ValidationError) as error:
            logger.info("The host did not ask its person: %s", type(error).__name__)
            prompt.is_over = True
        else:
            prompt.action, prompt.is_over = answer.action, True
            if completes and answer.action == "accept":
                self._accepted.append(prompt)
        finally:
            self._open.remove(prompt)
            prompt.left.set()
        return prompt.action
