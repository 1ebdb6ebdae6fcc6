"""The emergency stop: freeze all acts, cancel what the service can cancel, and tell what could not be stopped."""

from __future__ import annotations

import logging
import time
import uuid
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.catalog import by_tool
from kallyai_mcp.engine.naming import everything, named
from kallyai_mcp.engine.settling import ids_of, moment_of
from kallyai_mcp.errors import ApiError, KallyError
from kallyai_mcp.model import State, build_request, parse
from kallyai_mcp.model.looking import entries, given, matches
from kallyai_mcp.model.records import Note
from kallyai_mcp.model.undoing import chain, ways

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.api import ApiClient, Tokens
    from kallyai_mcp.engine.naming import Allows
    from kallyai_mcp.engine.reader import Reader
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model import Command, Defaults
    from kallyai_mcp.model.records import Act

PROCESSES_SEE_IT = 0.6
"""Seconds after which every process with an act under way has seen the stop and cut it."""

RECENT = 86_400.0
"""Seconds for which what an act set going may still be under way."""

TAKEN_BACK_WITHIN = 900.0
"""Seconds after which what is done and over is no longer taken back by a stop; what is still under way is ended."""

MOST = 50
"""Acts that are looked at, the newest first."""

AT_ONCE = 8

_RUNNING = frozenset({State.PREPARED, State.SENT, State.UNKNOWN})

_log = logging.getLogger(__name__)


class Brake:
    """Stops the acts of one account.

    Args:
        api: Client of the API.
        tokens: Where access tokens come from.
        defaults: What requests take from the settings.
        reader: Finds what acts have set going.
        journal: Where the stop is written, for all processes.
        approval_mode: Stands in the receipts.
        clock: Seconds since the epoch.
        allows: Whether the caller may run a tool; a stop uses all that help.
    """

    def __init__(
        self,
        api: ApiClient,
        tokens: Tokens,
        defaults: Defaults,
        reader: Reader,
        journal: Journal,
        *,
        approval_mode: str,
        clock: Callable[[], float] = time.time,
        allows: Allows = everything,
    ) -> None:
        self._api = api
        self._tokens = tokens
        self._defaults = defaults
        self._reader = reader
        self._journal = journal
        self._mode = approval_mode
        self._clock = clock
        self._allows = allows

    async def stop(self, account: str, by: str, *, frozen: str | None = None) -> dict[str, Any]:
        """Freeze all acts, then cancel what they have set going.

        Args:
            account: Whose acts are cancelled, with the tokens at hand.
            by: Who stops, for the receipts.
            frozen: Whose acts are frozen; the same account's unless given.

        Raises:
            KallyError: The stop could not be written down.
        """
        await self._journal.stop(frozen or account, by)
        before = await self._journal.acts(account, states=_RUNNING, limit=MOST)
        if any(act.state in {State.PREPARED, State.SENT} for act in before):
            await anyio.sleep(PROCESSES_SEE_IT)
        acts = await self._journal.acts(account, since=self._clock() - RECENT, limit=MOST)
        cancelled: list[dict[str, Any]] = []
        left: list[dict[str, Any]] = []
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def end(act: Act) -> None:
            async with limiter:
                with_what, why = await self._end(account, act)
            facts = {"act": act.id, "tool": named(act.draft.tool, self._allows)}
            if with_what is not None:
                cancelled.append(facts | {"with": named(with_what, self._allows)})
            elif why is not None:
                left.append(facts | {"why": why})

        async with anyio.create_task_group() as group:
            for act in acts:
                if act.state in _RUNNING or act.state is State.DONE:
                    group.start_soon(end, act)
        return {
            "stopped": True,
            "cancelled": cancelled,
            "not_stopped": left,
            "message": f"All acts are stopped. {len(cancelled)} cancelled, {len(left)} could not be stopped. Only a "
            "person can go on, in a terminal: kallyai-mcp resume.",
        }

    async def _end(self, account: str, act: Act) -> tuple[str | None, str | None]:
        """Cancel what an act has set going: the tool that did, or why it goes on; neither where it was over already."""
        command = by_tool().get(act.draft.tool)
        is_running = act.state in _RUNNING
        if command is None or not any(undo.stops for undo in chain(command.undo)):
            return None, "it was under way, and the service has no way to cancel it" if is_running else None
        is_fresh = is_running or self._clock() - (act.sent or act.created) <= TAKEN_BACK_WITHIN
        why: str | None = "the service does not show it, or not how to cancel it" if is_running else None
        entry = await self._entry(command, act)
        for way in ways(command, act.draft.arguments, act.answer or entry or {}, entry, act.draft.before):
            if not way.undo.stops or way.arguments is None or (way.undo.restores and not is_fresh):
                continue
            try:
                await self._send(way.tool, way.arguments)
            except ApiError as error:
                why = None if error.http_status in {404, 409} else error.message
            except KallyError as error:
                why = error.message
            else:
                await self._note(account, act, way.tool)
                return way.tool, None
        return None, why

    async def _entry(self, command: Command, act: Act) -> Mapping[str, Any] | None:
        """Find what the service shows of an act, where its undo looks or where the act leaves its trace."""
        look = next((undo.look for undo in chain(command.undo) if undo.look is not None), command.trace)
        if look is None or (answer := await self._reader.read(look.command, given(look, act.draft.arguments))) is None:
            return None
        since = None if self._api.is_sandbox else moment_of(act)
        known = ids_of(act.answer or {})
        found = [entry for entry in entries(look, answer) if matches(look, entry, act.draft.arguments, since)]
        return next((entry for entry in found if known & ids_of(entry)), next(iter(found), None))

    async def _send(self, tool: str, arguments: Mapping[str, Any]) -> None:
        command = by_tool()[tool]
        request = build_request(command, parse(command, arguments), self._defaults)
        await self._api.send(command, request, self._tokens, run_id=str(uuid.uuid4()))

    async def _note(self, account: str, act: Act, tool: str) -> None:
        note = Note(tool=tool, digest=act.draft.digest, outcome="stopped", act=act.id, approval_mode=self._mode)
        try:
            await self._journal.note(account, note)
        except KallyError as problem:
            _log.warning("A cancelled act could not be written down: %s", problem.message)
