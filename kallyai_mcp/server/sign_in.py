"""A run that needs a sign-in asks the person for it, in the way the host can.

    host declares URL elicitation, 2026-07-28 ──► an input-required result; the retry waits, then runs
    host declares URL elicitation, 2025-11-25 ──► a request to the host; the call waits, then runs
    every other host ───────────────────────────► an error with address and code; the same tool again waits, then runs

Every run joins the account's one sign-in. No call waits longer than a host allows, and a run is sent once.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any, Literal

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, ElicitRequest, ElicitRequestURLParams, ElicitResult, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from kallyai_mcp.errors import SignInFailed, SignInRequired
from kallyai_mcp.server.prompts import Prompts
from kallyai_mcp.server.states import SIGN_IN, Outstanding, States

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server.context import ServerRequestContext
    from mcp_types import CallToolRequestParams

    from kallyai_mcp.auth.flow import Pending
    from kallyai_mcp.auth.sign_in import SignIn
    from kallyai_mcp.engine import Result
    from kallyai_mcp.server.states import Outstanding

LONGEST_WAIT = 38.0
"""Seconds of a call that may go by with waiting"""

LAST_STEP = 5.0
"""Seconds for which a call may outlast that, for an answer of the service that is on its way."""

SHORTEST = 1.0
"""Seconds that starting a sign-in gets even where the run itself has used the call's time up."""

URL_REQUESTS_SINCE = "2025-11-25"
"""First handshake version whose elicitation can send a person to an address."""

KEY = "sign_in"
"""Name of the one question in an input-required result."""

Way = Literal["result", "request", "error"]


def patience(within: float) -> float:
    """Return how many seconds of a call may go by with waiting for a person, so that it is answered in time."""
    return within - (45.0 - LONGEST_WAIT) if within >= 20 else within / 2


class SignInDesk:
    """Turns a missing sign-in into what a host can do about it.

    Args:
        sign_in: Gives the account's sign-in; called with the first run.
        longest: Seconds of a call that may go by with waiting; `LONGEST_WAIT` if not given.
        states: Those of the account that are outstanding; of this process alone by default.
    """

    def __init__(
        self,
        sign_in: Callable[[], Awaitable[SignIn]],
        *,
        longest: float | None = None,
        states: Outstanding | None = None,
    ) -> None:
        self._sign_in = sign_in
        self._longest = longest
        self._states: Outstanding = States() if states is None else states
        self._prompts = Prompts()
        self._told: set[str] = set()
        self._told_of: str | None = None

    async def run(
        self,
        ctx: ServerRequestContext[Any],
        params: CallToolRequestParams,
        run: Callable[[], Awaitable[Result]],
        deadline: float | None = None,
    ) -> Result | InputRequiredResult:
        """Run, and where a sign-in is missing have the person asked; then run, unless they are still to answer.

        Args:
            ctx: The call.
            params: What it asks for; a state in it is one of a sign-in.
            run: Runs the tool.
            deadline: Until when the call may wait, by the clock of the event loop.

        Raises:
            MCPError: The state that came with the request was used before, or belongs to another account.
            SignInRequired: The person was asked and has not approved, or cannot be asked.
            SignInFailed: No sign-in can be started, or it ended without tokens.
            KallyError: What the run itself raises.
        """
        if deadline is None:
            deadline = anyio.current_time() + (self._longest or LONGEST_WAIT)
        sign_in = await self._sign_in()
        returns = await self._returns(params, sign_in)
        since = sign_in.completed
        try:
            return await run()
        except SignInRequired as missing:
            # An earlier attempt of the run may have been carried out: it must not be sent again.
            if missing.details.get("outcome") == "unknown":
                raise
            if sign_in.has_fixed_token:
                raise _replace_token(missing) from None
        await sign_in.sync()
        visit = _Visit(ctx, params, sign_in, since, deadline)
        question = await self._attend(visit, returns=returns)
        return await run() if question is None else question

    async def _returns(self, params: CallToolRequestParams, sign_in: SignIn) -> bool:
        """Whether the request is the retry of a person who has agreed to open the page."""
        if params.request_state is None:
            return False
        if not params.request_state.startswith(_beginning(sign_in)):
            raise MCPError(INVALID_PARAMS, "Invalid or expired requestState", {"reason": "invalid_request_state"})
        if not await self._states.use(params.request_state):
            raise MCPError(
                INVALID_PARAMS,
                "This requestState was used already. Call the tool anew, without requestState and inputResponses.",
                {"reason": "request_state_used"},
            )
        answer = (params.input_responses or {}).get(KEY)
        if not isinstance(answer, ElicitResult):
            return False
        if answer.action != "accept":
            raise _declined(answer.action)
        return True

    async def _attend(self, visit: _Visit, *, returns: bool) -> InputRequiredResult | None:
        """Bring the account a sign-in: None once it has one, or the question that a person has to answer first."""
        way = _way(visit.ctx)
        is_known = visit.sign_in.pending is not None
        pending = await visit.begin(show=way == "error")
        if pending is None:
            return None
        told = self._tell(pending, visit.digest) or visit.sign_in.is_settled
        if is_known:
            patient = returns or (way == "error" and told)
            pending = await visit.wait(visit.left if patient else 0.0)
            if pending is None:
                await self._prompts.complete(visit.ctx)
                return None
        if way == "result":
            return await self._question(visit, pending, again=returns)
        if way == "request":
            action = await self._ask(visit, pending)
            if action in {"decline", "cancel"}:
                raise _declined(action)
            if action == "accept" and (pending := await visit.wait(visit.left)) is None:
                await self._prompts.complete(visit.ctx)
                return None
            told = action == "accept"
        assert pending is not None  # noqa: S101 - where there is none, the account is signed in
        raise _unapproved(pending, told=told)

    async def _question(self, visit: _Visit, pending: Pending, *, again: bool) -> InputRequiredResult:
        text = _message(visit, pending, again=again)
        url = ElicitRequestURLParams(message=text, url=_address(pending))
        state = await self._states.give(f"{_beginning(visit.sign_in)}{secrets.token_urlsafe(16)}")
        return InputRequiredResult(input_requests={KEY: ElicitRequest(params=url)}, request_state=state)

    async def _ask(self, visit: _Visit, pending: Pending) -> str | None:
        ctx, address, text = visit.ctx, _address(pending), _message(visit, pending, again=False)
        return await self._prompts.ask(
            ctx,
            address,
            visit.left,
            lambda name: ctx.session.elicit_url(text, address, name, ctx.request_id),
            completes=True,
        )

    def _tell(self, pending: Pending, digest: str) -> bool:
        """Note that a run is told of a sign-in. Whether it was before.

        Runs side by side must all answer at once: a host may show none of their answers before it has them all.
        """
        if self._told_of != _address(pending):
            self._told_of = _address(pending)
            self._told.clear()
        before = digest in self._told
        self._told.add(digest)
        return before


class _Visit:
    """One call that needs a sign-in, and what is left of its time."""

    def __init__(
        self,
        ctx: ServerRequestContext[Any],
        params: CallToolRequestParams,
        sign_in: SignIn,
        since: int,
        deadline: float,
    ) -> None:
        self.ctx = ctx
        self.tool = params.name
        self.sign_in = sign_in
        self._since = since
        self._before = sign_in.standing()
        self._deadline = deadline
        text = json.dumps([params.name, params.arguments or {}], sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    @property
    def left(self) -> float:
        return max(0.0, self._deadline - anyio.current_time())

    async def begin(self, *, show: bool) -> Pending | None:
        """Start or join the sign-in; None where one was completed since the token was missing."""
        if self.sign_in.completed != self._since:
            return None
        with anyio.move_on_after(max(self.left, SHORTEST)):
            return await self.sign_in.begin(show=show)
        raise _slow()

    async def wait(self, seconds: float) -> Pending | None:
        """Wait for the person; None once there is a token."""
        end = self.left + LAST_STEP
        with anyio.move_on_after(end):
            return await self.sign_in.wait(seconds, since=self._since, before=self._before, slack=end - seconds)
        # Another call's step took all the time.
        if (pending := self.sign_in.pending) is None:
            raise _slow()
        return pending


def _way(ctx: ServerRequestContext[Any]) -> Way:
    capabilities = ctx.session.client_capabilities
    elicitation = None if capabilities is None else capabilities.elicitation
    if elicitation is None or elicitation.url is None:
        return "error"
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return "result"
    can_be_asked = ctx.protocol_version >= URL_REQUESTS_SINCE and ctx.session.can_send_request
    return "request" if can_be_asked else "error"


def _beginning(sign_in: SignIn) -> str:
    """Begin the state of a run of this account."""
    return f"{SIGN_IN}{hashlib.sha256(sign_in.account.encode()).hexdigest()[:16]}:"


def _address(pending: Pending) -> str:
    return pending.verification_uri_complete or pending.verification_uri


def _message(visit: _Visit, pending: Pending, *, again: bool) -> str:
    """Say what the page is for, without its address: the host shows that, and lets the person check it."""
    start = "Nobody has approved the sign-in yet. " if again else ""
    if pending.user_code is None:
        check = f"Open the page in a browser {visit.sign_in.where}."
    elif pending.verification_uri_complete is None:
        check = f"Enter the code {pending.user_code} on the page."
    else:
        check = f"Check that the page shows the code {pending.user_code}."
    minutes = max(1, round(pending.expires_in / 60))
    return (
        f"{start}{visit.tool} needs a sign-in to KallyAI. {check} kallyai-mcp {visit.sign_in.where} then acts for that "
        f"account: it can phone people, send mail and spend credits. Approve only if you started this yourself. It "
        f"waits for {minutes} {'minute' if minutes == 1 else 'minutes'}."
    )


def _unapproved(pending: Pending, *, told: bool) -> SignInRequired:
    facts = {
        "verification_uri": pending.verification_uri,
        "verification_uri_complete": pending.verification_uri_complete,
        "user_code": pending.user_code,
        "expires_in": pending.expires_in,
        "show": pending.message,
    }
    return SignInRequired(
        "Nobody has approved the sign-in yet; the tool was not run."
        if told
        else "Nobody is signed in; the tool was not run.",
        code="sign_in_pending" if told else None,
        next_step=f"Show the user this, word for word: “{pending.message}” Once they have approved, run the same tool "
        "again with the same arguments: it goes on from here.",
        retryable=True,
        details={name: value for name, value in facts.items() if value is not None},
    )


def _declined(action: str) -> SignInRequired:
    said = "declined the sign-in" if action == "decline" else "closed the request for a sign-in"
    return SignInRequired(
        f"The user {said}; the tool was not run.",
        next_step="Ask the user before running a tool again that needs a sign-in.",
        details={"action": action},
    )


def _replace_token(missing: SignInRequired) -> SignInRequired:
    return SignInRequired(
        "KallyAI does not accept the token in KALLYAI_ACCESS_TOKEN. No sign-in is started while it is set.",
        next_step="Have the user replace the token in the server's environment, or remove it to sign in, and start the "
        "server anew.",
        http_status=missing.http_status,
    )


def _slow() -> SignInFailed:
    return SignInFailed(
        "The service did not answer in time for a sign-in; the tool was not run.",
        next_step="Run it again in a minute.",
        retryable=True,
    )
