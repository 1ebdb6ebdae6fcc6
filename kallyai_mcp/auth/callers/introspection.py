"""Access tokens that only the provider understands: it is asked about each (RFC 7662), and its answer kept for a while.

What is kept is kept by a digest, never the token. A token that was revoked is good here for at most half a minute more.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import anyio

from kallyai_mcp.auth.callers.principal import TokenRefused
from kallyai_mcp.auth.pair import is_token
from kallyai_mcp.errors import InvalidSettings, TransportError
from kallyai_mcp.privacy import hide

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.auth.callers.policy import Policy
    from kallyai_mcp.auth.callers.principal import Caller
    from kallyai_mcp.auth.callers.provider import Provider

KEPT = 30.0
"""Seconds for which a good answer is kept, never beyond the end of the token."""

REFUSED = 5.0
"""Seconds for which a token that was not good is not asked about again."""

MOST = 10_000
AT_ONCE = 16
"""Questions at once, however many requests come in."""


class IntrospectedTokens:
    """Checks tokens by asking the provider.

    Args:
        provider: Who is asked.
        policy: What the answer must say. One that names no issuer is the provider's own.
        client: Our identifier and secret at the provider.
        clock: Unix seconds.
    """

    def __init__(
        self,
        provider: Provider,
        policy: Policy,
        client: tuple[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        hide(client[1], lasting=True)
        self._provider = provider
        self._policy = policy
        # RFC 6749, 2.3.1: both are form-encoded before they are put together.
        self._client = quote_plus(client[0]), quote_plus(client[1])
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, Caller | TokenRefused]] = OrderedDict()
        self._limiter = anyio.CapacityLimiter(AT_ONCE)

    async def caller(self, token: str) -> Caller:
        """Return whose the token is.

        Raises:
            TokenRefused: It is not good for this server.
            TransportError: The provider does not answer.
            InvalidSettings: It does not know us, or introspects nothing.
        """
        if not is_token(token):
            raise TokenRefused("it is no token")
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known(digest)
        if known is None:
            async with self._limiter:
                known = self._known(digest) or await self._ask(token, digest)
        if isinstance(known, TokenRefused):
            raise TokenRefused(*known.args)
        return known

    def _known(self, digest: bytes) -> Caller | TokenRefused | None:
        until, known = self._kept.get(digest, (0.0, None))
        return known if self._clock() < until else None

    async def _ask(self, token: str, digest: bytes) -> Caller | TokenRefused:
        endpoint = (await self._provider.metadata()).introspection_endpoint
        if endpoint is None:
            raise InvalidSettings(
                "The identity provider has no introspection endpoint.",
                next_step="Remove KALLYAI_INTROSPECTION_CLIENT_ID; tokens are then checked by their signatures.",
            )
        hide(token)
        form = {"token": token, "token_type_hint": "access_token"}
        answer = await self._provider.http.exchange("POST", endpoint, form=form, basic=self._client)
        if answer.status in {401, 403}:
            raise InvalidSettings(
                "The identity provider does not let this server ask about tokens.",
                next_step="Check KALLYAI_INTROSPECTION_CLIENT_ID and KALLYAI_INTROSPECTION_CLIENT_SECRET.",
            )
        fields = answer.fields
        if answer.status != 200 or fields is None or not isinstance(fields.get("active"), bool):
            raise TransportError(
                f"The identity provider could not say whether a token is good (status {answer.status}).",
                code="unexpected_answer",
                next_step="Try again in a minute.",
                retryable=True,
            )
        now = self._clock()
        found: Caller | TokenRefused = TokenRefused("the provider says that it is not good")
        until = now + REFUSED
        if fields["active"]:
            try:
                found = self._policy.caller({"iss": self._policy.issuer} | fields, now, endless=now + KEPT)
                until = min(now + KEPT, found.expires)
            except TokenRefused as refusal:
                found = refusal
        self._kept[digest] = until, found
        self._kept.move_to_end(digest)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return found
