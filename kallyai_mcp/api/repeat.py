"""Repeat a request that failed, where a repeat is allowed and may help. Loaded after the first failure only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenacity import AsyncRetrying, retry_if_exception

from kallyai_mcp.errors import ApiError, KallyError, TransportError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenacity import RetryCallState

    from kallyai_mcp.api.answer import Answer
    from kallyai_mcp.model import Command

ATTEMPTS = 3
"""Most attempts in all, the first one included."""

MAX_WAIT = 60
"""Seconds of a Retry-After that are waited for; more is reported at once."""

_FIRST_WAIT = 0.25
_STATUSES = {429, 502, 503, 504}
_FAILURES = {"connection_failed", "timeout", "connection_lost"}


def may_repeat(command: Command) -> bool:
    """Whether the command may be sent more than once within one run: a GET, or what carries an idempotency key."""
    return command.method == "GET" or command.idempotency_key


def may_pass(error: BaseException) -> bool:
    """Whether a failure is of the kind that a repeat can cure."""
    match error:
        case ApiError(http_status=status):
            return status in _STATUSES
        case TransportError(error_code=code):
            return code in _FAILURES
        case _:
            return False


async def go_on(
    attempt: Callable[[], Awaitable[Answer]],
    met: KallyError,
    *,
    remaining: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
    random: Callable[[], float],
) -> Answer:
    """Repeat after a first failure, waiting as the service asks or exponentially longer with jitter.

    Args:
        attempt: Sends the request once.
        met: The failure of the first attempt.
        remaining: Seconds until the deadline of the run; a wait that does not fit is not begun.
        sleep: Waits.
        random: A number of at least 0 and less than 1.

    Raises:
        KallyError: The last failure.
    """

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.details.get("retry_after_seconds") if isinstance(error, KallyError) else None
        backoff = _FIRST_WAIT * 2**state.attempt_number * (0.5 + random() / 2)
        return max(float(asked), backoff) if isinstance(asked, int) else backoff

    def gives_up(state: RetryCallState) -> bool:
        return state.attempt_number >= ATTEMPTS or state.upcoming_sleep > min(MAX_WAIT, remaining())

    first: KallyError | None = met

    async def once() -> Answer:
        nonlocal first
        if first is not None:  # the attempt that is made already counts as the first
            error, first = first, None
            raise error
        return await attempt()

    retrying = AsyncRetrying(
        retry=retry_if_exception(may_pass),
        stop=gives_up,
        wait=wait,
        sleep=sleep,
        reraise=True,
    )
    return await retrying(once)
