"""Reads that the engine makes for itself: they decide and explain, and are shown to no model."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.catalog import by_words
from kallyai_mcp.engine.result import as_object
from kallyai_mcp.errors import KallyError
from kallyai_mcp.model import Effect, build_request, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.api import ApiClient, Tokens
    from kallyai_mcp.model import Defaults

LONGEST = 15.0
"""Seconds that such a read may take: a person or a model waits for it."""

_log = logging.getLogger(__name__)


class Reader:
    """Runs commands that read and cost nothing.

    Args:
        api: Client of the API.
        tokens: Where access tokens come from.
        defaults: What requests take from the settings.
    """

    def __init__(self, api: ApiClient, tokens: Tokens, defaults: Defaults) -> None:
        self._api = api
        self._tokens = tokens
        self._defaults = defaults

    async def read(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the answer of a command such as `calls history`; None where there is none to be had."""
        command = by_words()[tuple(name.split())]
        if command.effect is not Effect.READ or command.is_recorded:
            raise ValueError(f"{name} is no free read")
        try:
            with anyio.fail_after(LONGEST):
                request = build_request(command, parse(command, arguments), self._defaults)
                tokens = None if command.public else self._tokens
                answer = await self._api.send(command, request, tokens, run_id=str(uuid.uuid4()))
        except (KallyError, TimeoutError) as error:
            _log.info("%s could not be read: %s", name, type(error).__name__)
            return None
        return as_object(answer.data) if answer.data is not None else {}
