"""This server's pages as a client of the identity provider: authorization code with PKCE (OpenID Connect Core, 3.1).

Who comes back is told by the identity token alone: signed by the provider, for this client, for this one sign-in.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from kallyai_mcp.auth.callers.policy import Policy
from kallyai_mcp.auth.callers.principal import Caller, TokenRefused
from kallyai_mcp.auth.callers.signed import SignedTokens
from kallyai_mcp.auth.code import authorization_address
from kallyai_mcp.errors import InvalidSettings, SignInFailed
from kallyai_mcp.privacy import hide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.auth.callers.provider import Provider

SCOPES = ("openid", "profile")


class PagesClient:
    """Signs people in at the provider, for the pages.

    Args:
        provider: The identity provider.
        client: Our identifier and secret there.
        redirect_uri: Where it sends people back to.
        clock: Unix seconds.
    """

    def __init__(
        self,
        provider: Provider,
        client: tuple[str, str],
        redirect_uri: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        hide(client[1], lasting=True)
        self._provider = provider
        self._client = client
        self._redirect_uri = redirect_uri
        # An identity token is for the client, which no access token for the server is.
        self._tokens = SignedTokens(
            provider, Policy(provider.issuer, frozenset({client[0]})), plain=True, clock=clock, identity=True
        )

    async def address(self, *, state: str, nonce: str, verifier: str, again: bool) -> str:
        """Return where a person signs in.

        Args:
            state: Comes back with them.
            nonce: Comes back in their identity token.
            verifier: Proves that who began is who ends (RFC 7636).
            again: Whether they are asked who they are even if the provider knows.

        Raises:
            KallyError: The provider cannot be reached, or has no such page.
        """
        metadata = await self._provider.metadata()
        if metadata.authorization_endpoint is None or metadata.token_endpoint is None:
            raise InvalidSettings(
                "The identity provider signs nobody in on web pages.",
                next_step="Remove KALLYAI_PAGES_CLIENT_ID, or check KALLYAI_ISSUER.",
            )
        address = authorization_address(
            metadata.authorization_endpoint,
            client_id=self._client[0],
            redirect_uri=self._redirect_uri,
            state=state,
            verifier=verifier,
            scopes=SCOPES,
        )
        return f"{address}&nonce={quote_plus(nonce)}{'&prompt=login' if again else ''}"

    async def finish(self, answer: Mapping[str, str], *, state: str, nonce: str, verifier: str) -> Caller:
        """Return who has come back.

        Args:
            answer: The query with which they came.
            state: As it was given.
            nonce: As it was given.
            verifier: As it was given.

        Raises:
            SignInFailed: It is no answer to this sign-in, the person declined, or the provider is in error.
            KallyError: The provider cannot be reached.
        """
        metadata = await self._provider.metadata()
        named = answer.get("iss")
        # RFC 9207, 2.4: an answer of another provider is not even read.
        if answer.get("state") != state or (named is None and metadata.iss_in_answers):
            raise _failed("This is no answer to a sign-in that was begun in this browser.")
        if named is not None and named != self._provider.issuer:
            raise _failed("This is the answer of another identity provider.")
        code = answer.get("code")
        if not code:
            raise _failed("The identity provider has not signed you in.")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        basic = quote_plus(self._client[0]), quote_plus(self._client[1])  # RFC 6749, 2.3.1
        assert metadata.token_endpoint is not None  # noqa: S101 - `address` has seen to that
        told = await self._provider.http.exchange("POST", metadata.token_endpoint, form=form, basic=basic)
        token: Any = None if told.fields is None else told.fields.get("id_token")
        if told.status != 200 or not isinstance(token, str):
            raise _failed("The identity provider has not said who you are.")
        try:
            return await self._tokens.caller(token, nonce=nonce)
        except TokenRefused:
            raise _failed("What the identity provider said of you cannot be used.") from None


def _failed(why: str) -> SignInFailed:
    return SignInFailed(why, next_step="Open the address again, as your assistant has shown it.")
