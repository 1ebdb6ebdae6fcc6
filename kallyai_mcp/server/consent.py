"""A run that needs a person's consent asks for it, in the way the host can; what the person said is kept elsewhere.

    host declares form elicitation, 2026-07-28 ────────► an input-required result; the retry decides, then runs
    host declares elicitation, 2025-06-18 and later ───► a request to the host; the call waits, decides, then runs
    every other host, a long question, no answer ──────► an error with the address of a page; the same tool again runs

Only the host's answer to the question, a form of the page, or a person at a terminal decides. Arguments, metadata,
states and answers under other names decide nothing; and an approval is good for one act, whoever sends what again.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from kallyai_mcp.errors import ActRefused, ApprovalRequired
from kallyai_mcp.server.prompts import Prompts
from kallyai_mcp.server.sign_in import LONGEST_WAIT
from kallyai_mcp.server.states import CONSENT, SIGN_IN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from mcp.server.context import ServerRequestContext
    from mcp_types import CallToolRequestParams

    from kallyai_mcp.engine import Result
    from kallyai_mcp.model.acts import Consent
    from kallyai_mcp.model.records import Approval
    from kallyai_mcp.server.reports import Reports

    Run = Callable[[CallToolRequestParams, float | None], Awaitable[Result | InputRequiredResult]]

KEY = "consent"
"""Name of the one question in an input-required result."""

LONGEST_QUESTION = 8_000
"""Characters of a question that a host is asked to show; a longer one goes to the page, which shows all of it."""

REPORTS_EVERY = 10.0
"""Seconds between two reports that a call still waits for its person."""

FORM_REQUESTS_SINCE = "2025-06-18"
"""First handshake version with elicitation; it knows forms only."""

MOST_QUESTIONS = 3
"""Questions of one call: what is asked may change while a person thinks about it."""

NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
"""Schema of an answer that consists of accepting or declining."""

_PAGE = "kallyai_mcp.server.approval_page"

Way = Literal["result", "request", "page"]


class Pages(Protocol):
    """Where a person answers what a host cannot ask."""

    async def address(self, approval: str) -> str | None:
        """Return the address of the page of an approval; None where there is none."""
        ...

    def advice(self, address: str | None) -> str | None:
        """Return what is to be done next; None where the approval itself says it."""
        ...

    async def close(self) -> None:
        """End them. A later `address` begins anew."""
        ...


class Consents(Protocol):
    """What is asked of the account's people, and what they said. It is shared by all processes of the account."""

    async def find(self, approval: str) -> Approval | None:
        """Return an approval of this account."""
        ...

    async def decide(self, approval: str, *, agreed: bool, how: Consent, shown: str) -> Approval:
        """Keep what a person said. The first decision counts; the same once more changes nothing.

        A yes to a text that is not the question's any more is not kept.

        Raises:
            ActRefused: There is no such approval, it was decided otherwise, was used, has changed since it was shown,
                or has ended ("approval_used").
        """
        ...


@dataclass(frozen=True, slots=True)
class _Question:
    """What a host shows.

    Attributes:
        approval: Identifier of the approval that it is about.
        text: All of it.
    """

    approval: str
    text: str

    @property
    def state(self) -> str:
        """The state of the run that waits for its answer: what is approved is what was shown, nothing else."""
        return f"{CONSENT}{self.approval}:{hashlib.sha256(self.text.encode()).hexdigest()}"


class ConsentDesk:
    """Turns a missing consent into what a host can do about it.

    Args:
        consents: Gives what is asked of the account's people; called when there is something to ask.
        clock: Seconds since the epoch.
        longest: Seconds of a call that may go by with waiting; `LONGEST_WAIT` if not given.
        pages: Where people answer what a host cannot ask; without it, on a page of this machine.
    """

    def __init__(
        self,
        consents: Callable[[], Awaitable[Consents]],
        clock: Callable[[], float] = time.time,
        *,
        longest: float | None = None,
        pages: Pages | None = None,
    ) -> None:
        self._consents = consents
        self._longest = longest
        self._clock = clock
        self._prompts = Prompts()
        self._making = anyio.Lock()
        self._pages = pages
        self._users = 0

    @asynccontextmanager
    async def living(self, _: Any = None) -> AsyncGenerator[dict[str, Any]]:
        """Keep the pages for as long as somebody is served; the lifespan of the server."""
        self._users += 1
        try:
            yield {}
        finally:
            self._users -= 1
            if not self._users and self._pages is not None:
                with anyio.CancelScope(shield=True):
                    await self._pages.close()

    async def run(
        self, ctx: ServerRequestContext[Any], params: CallToolRequestParams, run: Run, reports: Reports | None = None
    ) -> Result | InputRequiredResult:
        """Run, and where consent is missing have the person asked; then run, unless they are still to answer.

        Args:
            ctx: The call.
            params: What it asks for.
            run: Runs it with these parameters, waiting for other things until that moment of the event loop's clock.
            reports: Tells the host that the call goes on, where it wants to know.

        Raises:
            MCPError: A state came with the request that nothing here has given.
            ApprovalRequired: The person has to answer elsewhere.
            ActRefused: They declined, or the approval cannot be used any more.
            KallyError: What the run itself raises.
        """
        deadline = anyio.current_time() + (self._longest or LONGEST_WAIT)
        until: float | None = None
        state = _state(params)
        if state is not None:
            await self._take(state, params)
            params = _bare(params)
        questions = 0
        while True:
            try:
                return await run(params, until)
            except ApprovalRequired as missing:
                needed = missing
            if state is not None:
                await self._require_unused(state)
            question = await self._question(needed)
            way = _way(ctx, question)
            if way == "result":
                return _result(question)
            questions += 1
            action = None
            if way == "request" and questions <= MOST_QUESTIONS:
                action = await self._ask(ctx, question, deadline, reports)
            if action is None:
                raise await self._shown(needed)
            state = question.state
            await self._record(state, agreed=action == "accept")
            params = _bare(params)
            until = deadline

    async def _question(self, needed: ApprovalRequired) -> _Question:
        found = await (await self._consents()).find(needed.approval)
        return _Question(needed.approval, needed.question if found is None else found.question.text())

    async def _take(self, state: str, params: CallToolRequestParams) -> None:
        """Take the answer that a retry brings. Without one the run says whether it is still missing."""
        answer = (params.input_responses or {}).get(KEY)
        if isinstance(answer, ElicitResult):
            await self._record(state, agreed=answer.action == "accept")
            return
        found = await (await self._consents()).find(_approval_of(state))
        if found is not None and found.used is not None:
            raise _used()
        if found is not None and found.decision is False:
            raise _declined()

    async def _record(self, state: str, *, agreed: bool) -> None:
        """Keep what the person said. What changed or ended since it was shown is asked anew by the run that follows.

        Raises:
            ActRefused: The answer was no, or the approval was used.
        """
        from kallyai_mcp.model import Consent

        consents, approval = await self._consents(), _approval_of(state)
        found = await consents.find(approval)
        shown = "" if found is None else found.question.text()
        if agreed and (found is None or (found.decision is None and _Question(approval, shown).state != state)):
            return
        try:
            found = await consents.decide(approval, agreed=agreed, how=Consent.ELICITATION, shown=shown)
        except ActRefused:
            # Another call, process or page may have been faster, or has changed the question.
            found = await consents.find(approval)
            if found is None or (found.decision is True and not agreed):
                raise
        if found.used is not None:
            raise _used()
        if not agreed or found.decision is False:
            raise _declined()

    async def _require_unused(self, state: str) -> None:
        found = await (await self._consents()).find(_approval_of(state))
        if found is not None and found.used is not None:
            raise _used()

    async def _ask(
        self,
        ctx: ServerRequestContext[Any],
        question: _Question,
        deadline: float,
        reports: Reports | None,
    ) -> str | None:
        seconds = max(0.0, deadline - anyio.current_time())
        if reports is None:
            return await self._prompt(ctx, question, seconds)
        reports.go_on()
        action = None
        async with anyio.create_task_group() as group:
            group.start_soon(reports.tell, REPORTS_EVERY, "Waiting for the user to approve this")
            action = await self._prompt(ctx, question, seconds)
            group.cancel_scope.cancel()
        reports.go_on()
        return action

    async def _prompt(self, ctx: ServerRequestContext[Any], question: _Question, seconds: float) -> str | None:
        return await self._prompts.ask(
            ctx, question.state, seconds, lambda _: ctx.session.elicit_form(question.text, NOTHING, ctx.request_id)
        )

    async def _shown(self, needed: ApprovalRequired) -> ApprovalRequired:
        """Add to the error where a person can answer."""
        async with self._making:
            if self._pages is None:
                if _PAGE not in sys.modules:
                    await anyio.to_thread.run_sync(importlib.import_module, _PAGE)  # it takes a while
                from kallyai_mcp.server.approval_page import ApprovalPages

                self._pages = ApprovalPages(self._consents, self._clock)
        address = await self._pages.address(needed.approval)
        if address is not None:
            needed.details["approve_at"] = address
        needed.next_step = self._pages.advice(address) or needed.next_step
        return needed


def _state(params: CallToolRequestParams) -> str | None:
    """Return the state of a retry of ours; None where the request is none."""
    state = params.request_state
    if state is None or state.startswith(SIGN_IN):
        return None
    if not state.startswith(CONSENT):
        raise MCPError(INVALID_PARAMS, "Invalid or expired requestState", {"reason": "invalid_request_state"})
    return state


def _approval_of(state: str) -> str:
    return state.removeprefix(CONSENT).partition(":")[0]


def _bare(params: CallToolRequestParams) -> CallToolRequestParams:
    """Return the parameters of the first request: what a retry brings has been taken."""
    return params.model_copy(update={"request_state": None, "input_responses": None})


def _way(ctx: ServerRequestContext[Any], question: _Question) -> Way:
    capabilities = ctx.session.client_capabilities
    elicitation = None if capabilities is None else capabilities.elicitation
    # One without any mode means forms (MCP, elicitation, capabilities).
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return "page"
    if len(question.text) > LONGEST_QUESTION:
        return "page"
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return "result"
    can_be_asked = ctx.protocol_version >= FORM_REQUESTS_SINCE and ctx.session.can_send_request
    return "request" if can_be_asked else "page"


def _result(question: _Question) -> InputRequiredResult:
    form = ElicitRequestFormParams(message=question.text, requested_schema=NOTHING)
    return InputRequiredResult(input_requests={KEY: ElicitRequest(params=form)}, request_state=question.state)


def _declined() -> ActRefused:
    return ActRefused(
        "The user declined; the tool was not run.",
        code="approval_declined",
        next_step="Do not run it again, nor something else to the same end, unless the user asks for it.",
        details={"outcome": "not_sent"},
    )


def _used() -> ActRefused:
    return ActRefused(
        "This approval was used already: it is good for one run. Nothing was sent now.",
        code="approval_used",
        next_step="What came of that run stands in its own answer. For another one call the tool anew, without "
        "requestState and inputResponses; the user is asked again.",
    )
