"""Whether something happened is never passed over: a repeat that was refused, or could not be made, proves nothing."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from api_world import MAKE, POST_CALL, POST_MAIL, RUN, SEND_MAIL, FakeTokens, reply, scripted

from kallyai_mcp.errors import ApiError, SignInRequired, TransportError

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "last",
    [reply(429), httpx2.ConnectError("x"), reply(401), reply(402), reply(409), reply(422)],
    ids=["429", "connect", "401", "402", "409", "422"],
)
async def test_a_harmless_last_failure_does_not_hide_an_attempt_that_may_have_acted(last: Any) -> None:
    client, _ = scripted(httpx2.ReadError("x"), last)
    with pytest.raises((ApiError, TransportError, SignInRequired)) as caught:
        await client.send(MAKE, POST_CALL, FakeTokens(), run_id=RUN)
    assert (caught.value.details["outcome"], caught.value.retryable) == ("unknown", False)
    assert "kallyai_calls_history" in caught.value.next_step


async def test_a_failed_refresh_does_not_hide_an_attempt_that_may_have_acted() -> None:
    class Unlucky(FakeTokens):
        async def renew(self, refused: str) -> str | None:
            raise TransportError("No refresh.", code="refresh_failed", next_step="Try again.", retryable=True)

    client, _ = scripted(httpx2.ReadError("x"), reply(401))
    with pytest.raises(TransportError) as caught:
        await client.send(MAKE, POST_CALL, Unlucky(), run_id=RUN)
    assert (caught.value.details["outcome"], caught.value.retryable) == ("unknown", False)
    assert "kallyai_calls_history" in caught.value.next_step


async def test_a_refusal_at_the_first_attempt_is_no_unknown_outcome() -> None:
    client, _ = scripted(reply(402))
    with pytest.raises(ApiError) as caught:
        await client.send(MAKE, POST_CALL, FakeTokens(), run_id=RUN)
    assert "outcome" not in caught.value.details


async def test_a_request_timeout_told_by_a_gateway_leaves_the_outcome_open() -> None:
    client, script = scripted(reply(408))
    with pytest.raises(ApiError) as caught:
        await client.send(SEND_MAIL, POST_MAIL, FakeTokens(), run_id=RUN)
    assert (caught.value.details["outcome"], caught.value.retryable, len(script.requests)) == ("unknown", False, 1)
