"""Run a command: check the arguments, build the request, send it with a token, shape the answer."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from kallyai_mcp.catalog import find
from kallyai_mcp.engine.more import TOOL as MORE_TOOL
from kallyai_mcp.engine.more import Continued, Source
from kallyai_mcp.engine.options import Options, take_options
from kallyai_mcp.engine.outcome import ACT, unshown
from kallyai_mcp.engine.result import Result, shape, shape_data
from kallyai_mcp.engine.underway import Run, Underway
from kallyai_mcp.engine.waiting import Waiting
from kallyai_mcp.errors import KallyError, UnknownCommand
from kallyai_mcp.examples import example_value
from kallyai_mcp.model import Effect, build_request, parse
from kallyai_mcp.model.tidy import tidy

if TYPE_CHECKING:
    from kallyai_mcp.api import Answer, ApiClient, Tokens
    from kallyai_mcp.engine.acts import Acts
    from kallyai_mcp.engine.past import Past
    from kallyai_mcp.engine.reading import Reading
    from kallyai_mcp.engine.underway import Start
    from kallyai_mcp.model import Args, Command, Defaults

LocalCommand = Callable[[Any], Awaitable[dict[str, Any]]]
"""A command that runs on this machine, given its arguments."""

Progress = Callable[[float, str], Awaitable[None]]
"""Told, while a run lasts, the seconds since its start and a sentence for people."""


class Engine:
    """Runs commands for one account.

    Args:
        api: Client of the API.
        tokens: Where access tokens come from.
        defaults: What requests take from the settings.
        local: Commands that run on this machine, by name.
        acts: Runs what is recorded.
        reading: Admits answers with strangers' words.
        past: Looks up acts; without it only what this process runs can be waited for.
        start: Runs something for as long as the program lives; without it every run is waited for.
        continued: Cuts what is too large; without it, for good.
    """

    def __init__(
        self,
        api: ApiClient,
        tokens: Tokens,
        defaults: Defaults,
        local: Mapping[str, LocalCommand],
        acts: Callable[[], Acts],
        reading: Callable[[], Reading],
        *,
        past: Callable[[], Past] | None = None,
        start: Start | None = None,
        continued: Continued | None = None,
        allows: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._api = api
        self._tokens = tokens
        self._defaults = defaults
        self._local = local
        self._acts = acts
        self._reading = reading
        self._past = past
        self._continued = continued if continued and allows(MORE_TOOL) else Continued(None, lambda: "")
        self._underway = Underway(start, allows)
        self._allows = allows
        self._waiting = Waiting(self._read, self._underway, past, self._mark, allows)

    @property
    def is_busy(self) -> bool:
        """Whether something that was sent goes on, whoever waits for it."""
        return self._underway.is_busy

    async def run(
        self,
        command: Command,
        arguments: Mapping[str, Any],
        *,
        progress: Progress | None = None,
        until: float | None = None,
        whole: bool = False,
    ) -> Result:
        """Run a command once.

        Args:
            command: What to run.
            arguments: As the caller gave them.
            progress: Told now and then that the run goes on.
            until: When the answer is due, by the clock of the event loop: what is not over by then goes on, and the
                answer says how to wait for it. Without it the run is waited for.
            whole: Answer with all there is, however large: a terminal has no limit.

        Raises:
            KallyError: The arguments were refused, nobody is signed in, a person has to agree first, a rule is against
                it, the API said no, or there was no answer.
        """
        options, given = take_options(command, tidy(command, arguments))
        args = parse(command, given, example_value)
        if command.name == "wait":
            return await self._waiting.wait(given["id"], until, progress, _all if whole else self._continued.finish)

        async def work(run: Run) -> Result:
            if command.name == "more":
                return await self._more(given["cursor"], run)
            if whole:
                result = await self._whole(command, args, given, options, run)
                return _all(result, Source(command, given))
            return await self._finished(command, args, given, options, run)

        return await self._underway.run(command, work, until, progress)

    async def _finished(
        self, command: Command, args: Args, given: Mapping[str, Any], options: Options, run: Run
    ) -> Result:
        result = await self._whole(command, args, given, options, run)
        return self._continued.finish(result, Source(command, given, result.structured.get(ACT, {}).get("id")))

    async def _whole(
        self, command: Command, args: Args, given: Mapping[str, Any], options: Options, run: Run
    ) -> Result:
        zone = self._defaults.timezone
        if command.method is None:
            if command.effect is not Effect.READ:
                self._underway.keep(run)
            return shape_data(command, await self._local[command.name](args), zone=zone)
        if command.is_recorded:
            args, given = _addressed(command, args, given)
        request = build_request(command, args, self._defaults)
        if command.is_recorded:

            async def report(act: str, sending: Awaitable[Answer]) -> Answer:
                self._underway.keep(run, act)
                return await sending

            return await self._acts().run(command, args, given, request, options, report)
        tokens = None if command.public else self._tokens
        is_tainted = command.introduces and await self._reading().expect(command, given)
        if command.effect is not Effect.READ:
            self._underway.keep(run)
        answer = await self._api.send(command, request, tokens, run_id=str(uuid.uuid4()))
        if command.introduces:
            await self._reading().wrote(command, given, answer.data, is_tainted=is_tainted)
        if command.third_party_text:
            try:
                answer = await self._reading().admit(command, given, answer)
            except KallyError as error:
                raise error if command.effect is Effect.READ else unshown(error, command) from None
        return shape(command, request, answer, zone)

    async def _mark(self, command: Command) -> None:
        await self._reading().mark(command)

    async def _more(self, token: str, run: Run) -> Result:
        """Return the next piece of an answer: of what an act brought, or of what is read again."""
        cursor = self._continued.open(token)
        if not self._allows(cursor.tool):
            raise UnknownCommand(cursor.tool)
        command = find(cursor.tool)
        source = Source(command, cursor.arguments, cursor.act)
        if cursor.act is None:
            args = parse(command, cursor.arguments, example_value)
            whole = await self._whole(command, args, cursor.arguments, Options(), run)
        else:
            past = None if self._past is None else self._past()
            act = None if past is None else await past.act(cursor.act)
            if past is None or act is None:
                raise UnknownCommand(cursor.tool)
            whole = await past.result(act)
        return self._continued.finish(whole, source, cursor)

    async def look(self, command: Command, arguments: Mapping[str, Any]) -> Any:
        """Return the data of a free read that is for the program alone: its words must be shown to nobody.

        So it neither marks the account as one that has read strangers' words, nor is anything withheld.

        Raises:
            ValueError: The command is no free read.
            KallyError: Nobody is signed in, the API said no, or there was no answer.
        """
        if command.effect is not Effect.READ or command.is_recorded:
            raise ValueError(f"{command.name} is no free read")
        args = parse(command, arguments)
        if command.method is None:
            return await self._local[command.name](args)
        tokens = None if command.public else self._tokens
        request = build_request(command, args, self._defaults)
        return (await self._api.send(command, request, tokens, run_id=str(uuid.uuid4()))).data

    async def _read(self, command: Command, arguments: Mapping[str, Any]) -> Result:
        args = parse(command, arguments, example_value)
        return await self._whole(command, args, arguments, Options(), Run(command))


def _addressed(command: Command, args: Args, given: Mapping[str, Any]) -> tuple[Args, Mapping[str, Any]]:
    """Have an act go to the very number or address that is judged and that people are shown."""
    from kallyai_mcp.policy import as_judged

    if (changed := as_judged(command, given)) is given:
        return args, given
    return parse(command, changed, example_value), changed


def _all(result: Result, _: Source) -> Result:
    return result if result.body is None else result.body.all(result.file)
