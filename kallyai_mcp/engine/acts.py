"""Run what is recorded: judge it, have a person agree, write it down, send it once, and settle what came of it.

    order ─► where it goes ─► signed in? ─► stopped? ─► done before? ─► whom it is about ─► must a person agree?
          ─► recorded, in one transaction ─► sent ─► settled, with a receipt ─► the answer

Whatever ends the run between "sent" and "settled" leaves it unknown: it is then looked up, and never sent again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.api import Answer
from kallyai_mcp.engine import outcome, refusals
from kallyai_mcp.engine.asking import Asking, recipients
from kallyai_mcp.engine.beside import watched
from kallyai_mcp.engine.gate import Order
from kallyai_mcp.engine.one_person import OnePersonsTokens
from kallyai_mcp.engine.rehearsal import rehearse
from kallyai_mcp.engine.result import as_object, shape, shape_data
from kallyai_mcp.errors import ActRefused, KallyError
from kallyai_mcp.journal.beginning import not_equal
from kallyai_mcp.journal.stops import refusal
from kallyai_mcp.model import State
from kallyai_mcp.model.records import Draft, Earlier, Note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.api import ApiClient, Tokens
    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.engine.gate import Gate, Seen
    from kallyai_mcp.engine.options import Options
    from kallyai_mcp.engine.reader import Reader
    from kallyai_mcp.engine.reading import Reading
    from kallyai_mcp.engine.result import Result
    from kallyai_mcp.engine.settling import Settler
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model import ApiRequest, Args, Command
    from kallyai_mcp.model.records import Act, Stopped

STOP_LOOKS_EVERY = 0.25
"""Seconds between two looks, while an act is under way, whether everything was stopped."""

LAST_WRITE = 5.0
"""Seconds that writing down the end of a cancelled act may take."""

Report = Callable[[str, Awaitable[Answer]], Awaitable[Answer]]
"""Told the identifier of an act, awaits its request."""

_LOST = frozenset({State.UNKNOWN, State.NOT_FOUND})
"""States of acts of which nobody knows what became of them."""

_log = logging.getLogger(__name__)


class Acts:
    """Runs the recorded commands of one account.

    Args:
        api: Client of the API.
        tokens: Where access tokens come from.
        reader: Reads what the engine itself wants to know.
        journal: Where acts are recorded.
        owner: Whose acts they are.
        gate: Judges them.
        settler: Looks up those whose answer was lost.
        reading: Admits answers with strangers' words.
    """

    def __init__(
        self,
        api: ApiClient,
        tokens: Tokens,
        reader: Reader,
        journal: Journal,
        owner: Owner,
        gate: Gate,
        settler: Settler,
        reading: Reading,
    ) -> None:
        self._api = api
        self._tokens = tokens
        self._reader = reader
        self._journal = journal
        self._owner = owner
        self._gate = gate
        self._settler = settler
        self._reading = reading
        self._safety = gate.safety
        self._asking = Asking(journal, owner, gate)
        self._is_recovered = False

    async def run(
        self,
        command: Command,
        args: Args,
        given: Mapping[str, Any],
        request: ApiRequest,
        options: Options,
        report: Report,
    ) -> Result:
        """Run a recorded command once, or answer why not.

        Args:
            command: What to run.
            args: Its arguments, checked.
            given: The same as they were given.
            request: Its request.
            options: How it is wanted.
            report: Told the identifier of the act, awaits the request.

        Raises:
            ApprovalRequired: A person has to agree first.
            ActRefused: A rule, a limit, a stop or a person is against it.
            KallyError: Whatever else keeps it from being run, or became of it.
        """
        order = Order(command, args, given)
        digest = self._digest(command, request)  # of whoever is signed in, as far as that is known by now
        repeated = await self._repeated(command, options)
        if options.dry_run or self._safety.dry_run:
            return await rehearse(order, request, self._gate, self._journal, self._owner, digest, repeated)
        try:
            seen = await self._admitted(order)
            digest = self._digest(command, request)
            if repeated is not None and repeated.draft.digest != digest:
                raise not_equal(command.tool)
            act = await self._begin(order, seen, digest, repeated)
        except ActRefused as against:
            await self._note(order, digest, against)
            raise
        if isinstance(act, Earlier):
            return await self._earlier(order, act.act)
        answer, act = await self._carry_out(order, request, act, report)
        await self._reading.wrote(command, given, answer.data, act=act.id)
        try:
            answer = await self._reading.admit(command, given, answer)
        except KallyError as error:
            raise outcome.unshown(error, command, act.id) from None
        return outcome.with_act(shape(command, request, answer, self._gate.zone), command, act, self._gate.allows)

    async def _repeated(self, command: Command, options: Options) -> Act | None:
        """Return the act that is wanted once more; whether it is equal can be told once the person is known."""
        if options.repeat_of is None:
            return None
        act = await self._journal.act(self._owner.key, options.repeat_of)
        if act is None or act.draft.tool != command.tool:
            raise not_equal(command.tool)
        return act

    async def _admitted(self, order: Order) -> Seen:
        seen = self._gate.reached(order)
        # Before the journal is asked: runs side by side miss a sign-in together, so that the person is asked once.
        if not order.command.public and await self._tokens.token() is None:
            raise refusals.nobody()
        await self._recover()
        await self._reading.catch_up()
        if (stop := await self._journal.stopped(self._owner.key)) is not None:
            raise refusal(stop)
        return seen

    async def _begin(self, order: Order, seen: Seen, digest: str, repeated: Act | None) -> Act | Earlier:
        account, journal, command = self._owner.key, self._journal, order.command
        repeat_of = None if repeated is None else repeated.id
        before = await journal.earlier(account, digest, repeat_of, harmless=_is_harmless(command))
        if before is not None:
            return Earlier(before)
        if repeated is not None and repeated.state in _LOST:
            repeated = await self._settler.look(repeated)
            if repeated.state is State.DONE:  # whoever wants another one did not know
                return Earlier(repeated)
        seen = await self._gate.resolved(order, seen)
        consent, approval, mandate = await self._asking.consent(order, digest, seen, repeated)
        draft = Draft(
            tool=command.tool,
            digest=digest,
            arguments=dict(order.given),
            credits=outcome.credits_of(command, self._safety.max_credits_per_act),
            places_call=command.places_call,
            recipients=recipients(command, seen),
            masked=seen.masked,
            consent=consent,
            approval=None if approval is None else approval.id,
            mandate=None if mandate is None else mandate.id,
            repeat_of=repeat_of,
            is_harmless_twice=_is_harmless(command),
            before=seen.before,
        )
        return await journal.begin(account, draft, self._safety, mandate=mandate)

    async def _carry_out(self, order: Order, request: ApiRequest, act: Act, report: Report) -> tuple[Answer, Act]:
        command, account = order.command, self._owner.key
        was_sent = False

        def require_same() -> None:
            if self._digest(command, request) != act.draft.digest:
                raise refusals.somebody_else()

        async def sending() -> None:
            nonlocal was_sent
            require_same()
            await self._reading.expect(command, order.given, act.id)
            await self._journal.sending(account, act.id)
            was_sent = True

        tokens = None if command.public else OnePersonsTokens(self._tokens, require_same)
        send = self._api.send(command, request, tokens, run_id=act.id, before=sending)
        try:
            answer = await self._unless_stopped(report(act.id, send))
        except KallyError as error:
            state = outcome.state_after(error) if was_sent else State.NOT_SENT
            if not was_sent and "outcome" in error.details:
                error.details["outcome"] = "not_sent"
            settled = await self._settle(act, state, error=error)
            if state is State.UNKNOWN:
                outcome.mark_unknown(error, settled)
                self._settler.watch(settled)
            raise
        except BaseException:
            # Cancelled, or something unforeseen: what has left may have been obeyed.
            with anyio.move_on_after(LAST_WRITE, shield=True):
                state = State.UNKNOWN if was_sent else State.NOT_SENT
                settled = await self._settle(act, state, note="the run was cut off before its answer came")
                if was_sent:
                    self._settler.watch(settled)
            raise
        data = None if answer.data is None else as_object(answer.data)
        charged = outcome.charge_of(command, data)
        try:
            charged = await self._charged(command, order.given, data, charged)
        finally:
            with anyio.CancelScope(shield=True):
                act = await self._settle(act, State.DONE, answer=data, charged=charged)
        return answer, act

    async def _unless_stopped(self, work: Awaitable[Answer]) -> Answer:
        """Await the request, but not longer than nobody has stopped all acts."""
        stop: Stopped | None = None

        async def watch() -> bool:
            nonlocal stop
            while stop is None:
                await self._journal.await_stop(self._owner.key, STOP_LOOKS_EVERY)
                try:
                    stop = await self._journal.stopped(self._owner.key)
                except KallyError as problem:
                    # What has left is not called back by giving up on its answer; what comes next needs the journal.
                    _log.warning("Whether acts are stopped could not be seen: %s", problem.message)
            return True

        answer = await watched(work, watch)
        if answer is None:
            assert stop is not None  # noqa: S101 - nothing else has the request given up
            raise refusal(stop, outcome="unknown")
        return answer

    async def _settle(
        self,
        act: Act,
        state: State,
        *,
        answer: Mapping[str, Any] | None = None,
        charged: float | None = None,
        error: KallyError | None = None,
        note: str | None = None,
    ) -> Act:
        end = partial(
            self._journal.settle,
            self._owner.key,
            act.id,
            state,
            answer=answer,
            charged=charged,
            error=None if error is None else error.error_code,
            correlation_id=None if error is None else error.correlation_id,
            note=note,
            approval_mode=self._safety.approval,
        )
        try:
            return await end()
        except KallyError as problem:
            # What has happened is told, whether or not it could be written down; that is tried again.
            self._settler.owed.add(act.id, end)
            _log.error("The end of act %s could not be written down: %s", act.id, problem.message)
            return replace(act, state=state, answer=answer, charged=charged, note="its end is not yet written down")
        except BaseException:
            self._settler.owed.add(act.id, end)
            raise

    async def _charged(
        self, command: Command, given: Mapping[str, Any], data: Mapping[str, Any] | None, charged: float | None
    ) -> float | None:
        """Add to what the answer says was charged what the goal behind it is expected to cost."""
        if not command.costs_credits or command.price is not None:
            return charged
        goal_id = (data or {}).get("goal_id") or given.get("goal_id")
        if (
            not isinstance(goal_id, str)
            or (goal := await self._reader.read("coord goal", {"goal_id": goal_id})) is None
        ):
            return charged
        expected = outcome.charge_of_goal(goal)
        return max((amount for amount in (charged, expected) if amount is not None), default=None)

    async def _earlier(self, order: Order, act: Act) -> Result:
        command = order.command
        if act.state in _LOST or self._settler.is_going_on(act):
            act = await self._settler.look(act)
            if act.state is not State.DONE:
                raise outcome.still_unknown(command, act)
        kept = Answer(200, act.answer, None, None, "application/json", sandbox=False)
        await self._reading.recall(command, act)
        admitted = await self._reading.admit(command, order.given, kept)
        shaped = shape_data(command, admitted.data, admitted.withheld, self._gate.zone)
        return outcome.earlier(command, act, shaped, self._gate.allows)

    async def _recover(self) -> None:
        """Settle, once per process, what those that have died left behind, and always what this one still owes."""
        await self._settler.owed.write()
        if self._is_recovered:
            return
        for act in await self._journal.recover(self._owner.key, self._safety.approval):
            if act.state is State.UNKNOWN:
                self._settler.watch(act)
        self._is_recovered = True

    async def _note(self, order: Order, digest: str, against: ActRefused) -> None:
        note = Note(
            tool=order.command.tool,
            digest=digest,
            outcome="refused",
            approval_mode=self._safety.approval,
            error=against.error_code,
        )
        try:
            await self._journal.note(self._owner.key, note)
        except KallyError as problem:
            _log.warning("A refusal could not be written down: %s", problem.message)

    def _digest(self, command: Command, request: ApiRequest) -> str:
        whole = [
            command.tool,
            self._owner.world,
            self._owner.subject,
            request.method,
            request.path,
            request.query,
            request.body,
        ]
        text = json.dumps(whole, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _is_harmless(command: Command) -> bool:
    """Whether an equal run before stands in no way: it does no more than once, or only reads once more."""
    return command.idempotent or not command.is_act
