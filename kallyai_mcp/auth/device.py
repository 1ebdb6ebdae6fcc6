"""Device flow (RFC 8628): show an address and a code, then ask politely until a person has decided.

Token requests go through Authlib. The device code leaves this module in those requests only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.auth.flow import Pending, may_be_shown, minutes
from kallyai_mcp.auth.http import oauth_error
from kallyai_mcp.auth.pair import TokenPair, as_number, is_token, pair_from_answer
from kallyai_mcp.auth.token_request import oauth_client, request_token
from kallyai_mcp.errors import SignInFailed
from kallyai_mcp.privacy import hide

if TYPE_CHECKING:
    from kallyai_mcp.auth.clock import Clock
    from kallyai_mcp.auth.discovery import Endpoints
    from kallyai_mcp.auth.http import Answer, Http

CLIENT_ID = "kallyai-mcp"
PUBLIC_CLIENT = "none"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_INTERVAL = 5.0
ABSURD_INTERVAL, LONGEST_INTERVAL = 60.0, 300.0
SLOW_DOWN = 5.0
DEFAULT_LIFETIME, LONGEST_LIFETIME = 600.0, 1800.0
LONGEST_BACKOFF = 60.0
POLL_DEADLINE = 20.0
LONGEST_CODE = 32
START_AGAIN = "Start the sign-in again: kallyai_login from here, or kallyai-mcp login in a terminal."
OAUTH_ERRORS = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
}


class NoDeviceFlow(Exception):
    """The service has no device endpoint where we looked; another way of signing in is tried."""


class DeviceFlow:
    """One device authorization, from the code to the tokens."""

    def __init__(self, http: Http, clock: Clock, endpoints: Endpoints, origin: str, answer: dict[str, Any]) -> None:
        self._http = http
        self._clock = clock
        self._endpoints = endpoints
        self._origin = origin
        self._device_code: str = answer["device_code"]
        hide(self._device_code)
        self._user_code: str = answer["user_code"]
        self._uri: str = answer["verification_uri"]
        complete = answer.get("verification_uri_complete")
        self._complete: str | None = complete if may_be_shown(complete, origin) else None
        self._interval = _interval(answer.get("interval"))
        self._failures = 0
        started = clock.monotonic()
        self._ends = started + _within(answer.get("expires_in"), DEFAULT_LIFETIME, LONGEST_LIFETIME)
        self._next_poll = started + self._interval

    @property
    def interval(self) -> float:
        """Seconds that must lie between two requests for the tokens."""
        return self._interval

    def facts(self) -> dict[str, Any]:
        """What a flow is made of anew, elsewhere; a secret, since the device code is in it."""
        return {
            "device_code": self._device_code,
            "user_code": self._user_code,
            "verification_uri": self._uri,
            "verification_uri_complete": self._complete,
            "interval": self._interval,
        }

    def left(self) -> float:
        """Seconds until the code ends."""
        return max(0.0, self._ends - self._clock.monotonic())

    def ask_at_once(self) -> None:
        """Let the next request be made now: whoever calls this keeps the interval."""
        self._next_poll = self._clock.monotonic()

    def postpone(self, seconds: float) -> None:
        """Make the next request so many seconds from now."""
        self._next_poll = self._clock.monotonic() + seconds

    @property
    def address(self) -> str:
        """What a browser is sent to: with the code filled in, where the service offers that."""
        return self._complete or self._uri

    def pending(self) -> Pending:
        """How it stands, for a person."""
        left = self.left()
        message = (
            f"To sign in, open {self._uri} and enter the code {self._user_code}. kallyai-mcp on this machine then acts "
            f"for that KallyAI account: it can phone people, send mail and spend credits. Approve only if you started "
            f"this yourself. The code is good for {minutes(left)}."
        )
        if self._complete:
            message += f" {self._complete} has the code filled in; check that the page shows {self._user_code}."
        return Pending("device", self._uri, self._complete, self._user_code, int(left), message)

    def wait(self) -> float:
        """Seconds until the next request may be made, or the code ends."""
        return max(0.0, min(self._next_poll, self._ends) - self._clock.monotonic())

    async def step(self, limit: float = math.inf) -> TokenPair | None:
        """Ask once for the tokens, if that may be done now (RFC 8628 sections 3.4 and 3.5).

        Raises:
            SignInFailed: Refused, expired, or an error after which the standard forbids to go on.
        """
        now = self._clock.monotonic()
        if now >= self._ends:
            raise self._expired()
        if now < self._next_poll:
            return None
        asked_at = self._clock.now()
        # A grant is given once: a run that is cancelled now must not lose it. The deadline is that of the request.
        answer: tuple[int, Any] | None = None
        with anyio.CancelScope(shield=True):
            answer = await self._ask(min(POLL_DEADLINE, limit, max(1.0, self._ends - now)))
        pair = self._read(answer, asked_at)
        # The interval counts from the answer, not from the request.
        self._next_poll = self._clock.monotonic() + self._pause()
        return pair

    async def close(self) -> None:
        """Nothing is held."""

    def _pause(self) -> float:
        """Seconds to the next request: doubled with each failure, and always longer than without one (section 3.5)."""
        if not self._failures:
            return self._interval
        longest = max(LONGEST_BACKOFF, 2 * self._interval)
        return min(longest, self._interval * 2 ** min(self._failures, 10))

    async def _ask(self, deadline: float) -> tuple[int, Any] | None:
        """Status and body of the token endpoint's answer; None where there was none."""
        client = oauth_client(self._http, CLIENT_ID, token_endpoint_auth_method=PUBLIC_CLIENT)
        return await request_token(
            client, self._endpoints.token, deadline, grant_type=GRANT_TYPE, device_code=self._device_code
        )

    def _read(self, answer: tuple[int, Any] | None, asked_at: float) -> TokenPair | None:
        status, body = answer or (0, None)
        error = oauth_error(body)
        if status == 429 and error not in {"authorization_pending", "slow_down"}:
            error = None  # the API's own limit, in its own envelope, says nothing about the sign-in
        if error is None:
            if status == 200:
                try:
                    return pair_from_answer(body, asked_at=asked_at)
                except ValueError:
                    pass  # as good as no answer: asked again, later
            self._failures += 1
            return None
        self._failures = 0
        match error:
            case "authorization_pending":
                return None
            case "slow_down":
                self._interval += SLOW_DOWN
                return None
            case "access_denied":
                raise SignInFailed(
                    "The sign-in was refused on the page.",
                    code="sign_in_denied",
                    next_step="Ask the user before starting it again.",
                )
            case "expired_token":
                raise self._expired()
            case _:
                raise _unusable(error)

    def _expired(self) -> SignInFailed:
        fact = "The code has ended before anybody approved it."
        if self._failures:
            fact = "The code has ended; the service's last answers could not be used."
        return SignInFailed(fact, code="sign_in_expired", next_step=START_AGAIN, retryable=True)


async def start_device_flow(http: Http, clock: Clock, endpoints: Endpoints, origin: str) -> DeviceFlow:
    """Ask for a device code and a user code (RFC 8628 section 3.1).

    Raises:
        NoDeviceFlow: There is no such endpoint.
        SignInFailed: There is one, and it does not give what it should.
        TransportError: No answer.
    """
    answer = await http.exchange("POST", endpoints.device_authorization, form={"client_id": CLIENT_ID})
    if _is_absent(answer, guessed=endpoints.source == "guess"):
        raise NoDeviceFlow
    error = oauth_error(answer.body)
    fields = answer.fields
    if answer.status != 200 or fields is None:
        if answer.status == 429 or answer.status >= 500:
            raise SignInFailed(
                f"The service cannot start a sign-in at the moment (status {answer.status}).",
                next_step="Try again in a minute.",
                retryable=True,
            )
        raise _unusable(error or f"status {answer.status}")
    fields.setdefault("verification_uri", fields.get("verification_url"))  # its name before the RFC was final
    code = fields.get("user_code")
    if not is_token(fields.get("device_code")) or not isinstance(code, str) or not _is_showable(code):
        raise _unusable("no usable codes")
    if not may_be_shown(fields.get("verification_uri"), origin):
        raise SignInFailed(
            "The service named a sign-in page which is not its own; it is not shown.",
            next_step="Check the address of the API. If it is right, report this to KallyAI.",
        )
    return DeviceFlow(http, clock, endpoints, origin, fields)


def _is_absent(answer: Answer, *, guessed: bool) -> bool:
    if answer.status in {404, 405}:
        return True
    # At a guessed path also a page, or the API's "not signed in", means that nothing is there.
    if not guessed or answer.status == 429 or answer.status >= 500:
        return False
    if answer.status == 200:
        return "device_code" not in (answer.fields or {})
    return oauth_error(answer.body) not in OAUTH_ERRORS | {"access_denied", "slow_down"}


def _is_showable(code: str) -> bool:
    return 0 < len(code) <= LONGEST_CODE and code.isascii() and code.isprintable() and bool(code.strip())


def _interval(value: object) -> float:
    """The interval asked for is kept, unless it cannot be meant: then nobody would be signed in."""
    seconds = _within(value, DEFAULT_INTERVAL, math.inf)
    return seconds if seconds <= LONGEST_INTERVAL else ABSURD_INTERVAL


def _within(value: object, default: float, longest: float) -> float:
    number = as_number(value)
    if number is None or number <= 0:
        return default
    return min(longest, max(1.0, number))


def _unusable(what: str) -> SignInFailed:
    shown = what if what in OAUTH_ERRORS or what.startswith(("status ", "no ")) else "an unknown error"
    return SignInFailed(f"The service does not allow this sign-in ({shown}).", next_step=START_AGAIN)
