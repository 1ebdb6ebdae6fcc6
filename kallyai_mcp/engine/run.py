"""Run a command: check the arguments, build the request, send it with a token, shape the answer."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.engine.options import take_options
from kallyai_mcp.engine.result import Result, shape, shape_data
from kallyai_mcp.examples import example_value
from kallyai_mcp.model import build_request, parse

if TYPE_CHECKING:
    from kallyai_mcp.api import ApiClient, Tokens
    from kallyai_mcp.engine.acts import Acts
    from kallyai_mcp.engine.reading import Reading
    from kallyai_mcp.model import Command, Defaults

_log = logging.getLogger(__name__)

LocalCommand = Callable[[Any], Awaitable[dict[str, Any]]]
"""A command that runs on this machine, given its arguments."""

Progress = Callable[[float, str], Awaitable[None]]
"""Told, while a run lasts, the seconds since its start and a sentence for people."""

FIRST_REPORT = 1.0
NEXT_REPORTS = 5.0
"""Seconds until the first report of progress, and between later ones."""


class Engine:
    """Runs commands for one account.

    Args:
        api: Client of the API.
        tokens: Where access tokens come from.
        defaults: What requests take from the settings.
        local: Commands that run on this machine, by name.
        acts: Runs what is recorded.
        reading: Admits answers with strangers' words.
    """

    def __init__(
        self,
        api: ApiClient,
        tokens: Tokens,
        defaults: Defaults,
        local: Mapping[str, LocalCommand],
        acts: Callable[[], Acts],
        reading: Callable[[], Reading],
    ) -> None:
        self._api = api
        self._tokens = tokens
        self._defaults = defaults
        self._local = local
        self._acts = acts
        self._reading = reading

    async def run(self, command: Command, arguments: Mapping[str, Any], *, progress: Progress | None = None) -> Result:
        """Run a command once.

        Args:
            command: What to run.
            arguments: As the caller gave them.
            progress: Told now and then that the run goes on.

        Raises:
            KallyError: The arguments were refused, nobody is signed in, a person has to agree first, a rule is against
                it, the API said no, or there was no answer.
        """
        options, given = take_options(command, arguments)
        args = parse(command, given, example_value)
        if command.method is None:
            return shape_data(command, await self._local[command.name](args))
        request = build_request(command, args, self._defaults)
        report = partial(_reporting, progress=progress, command=command)
        if command.is_recorded:
            return await self._acts().run(command, args, given, request, options, report)
        tokens = None if command.public else self._tokens
        if command.introduces:
            await self._reading().expect(command, given)
        answer = await report(self._api.send(command, request, tokens, run_id=str(uuid.uuid4())))
        if command.third_party_text or command.introduces:
            answer = await self._reading().admit(command, given, answer)
        return shape(command, request, answer)


async def _reporting(work: Awaitable[Any], progress: Progress | None, command: Command) -> Any:
    if progress is None:
        return await work
    started = anyio.current_time()

    async def report() -> None:
        await anyio.sleep(FIRST_REPORT)
        while True:
            seconds = anyio.current_time() - started
            try:
                await progress(round(seconds, 1), f"{command.name} is under way, {seconds:.0f} s so far")
            except Exception as error:  # noqa: BLE001 - whatever it is, the run it tells of must not be cut for it
                _log.info("Progress is no longer reported: %s", type(error).__name__)
                return
            await anyio.sleep(NEXT_REPORTS)

    failure: Exception | None = None
    answer: Any = None
    async with anyio.create_task_group() as group:
        group.start_soon(report)
        try:
            answer = await work
        except Exception as error:  # noqa: BLE001 - carried out of the group as it is, which would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return answer
