"""Access tokens that are JSON Web Tokens (RFC 9068), checked against the keys of the provider by joserfc.

Which algorithm is used says our list, never the token alone: a key is good only for the algorithm of its kind, so that
a public key can never be taken for a shared secret.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.auth.callers.principal import TokenRefused
from kallyai_mcp.auth.pair import LONGEST_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from joserfc.jwk import Key

    from kallyai_mcp.auth.callers.policy import Policy
    from kallyai_mcp.auth.callers.principal import Caller
    from kallyai_mcp.auth.callers.provider import Provider

KEY_KINDS: Mapping[str, Mapping[str, str]] = {
    "RS256": {"kty": "RSA"},
    "PS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
"""Algorithms that are accepted, each with what its keys say of themselves."""

ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
"""`typ` of an access token (RFC 9068, 4)."""

PLAIN_TYPES = frozenset({"", "jwt", "application/jwt"})
"""`typ` of a token that does not say what it is for."""

SMALLEST_RSA = 2048
MOST_TRIES = 4
"""Keys that are tried where the token names none."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


class SignedTokens:
    """Checks tokens by their signatures.

    Args:
        provider: Whose keys they are signed with.
        policy: What they must say.
        plain: Whether a token that does not call itself an access token is one all the same.
        identity: Whether identity tokens are meant, and no others.
        clock: Unix seconds.
    """

    def __init__(
        self,
        provider: Provider,
        policy: Policy,
        *,
        plain: bool = False,
        identity: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = provider
        self._policy = policy
        self._types = ACCESS_TOKEN_TYPES | PLAIN_TYPES if plain else ACCESS_TOKEN_TYPES
        if identity:
            self._types = PLAIN_TYPES
        self._clock = clock

    async def caller(self, token: str, *, nonce: str | None = None) -> Caller:
        """Return whose the token is.

        Args:
            token: The token.
            nonce: What must stand in it.

        Raises:
            TokenRefused: It is not good for this server.
            TransportError: The provider's keys cannot be had.
            InvalidSettings: The provider is not the one of the settings.
        """
        header = _header(token)
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
        if not isinstance(algorithm, str) or algorithm not in KEY_KINDS:
            raise TokenRefused("its algorithm is not accepted")
        if not isinstance(kind, str) or kind.lower() not in self._types:
            raise TokenRefused("it does not say that it is an access token")
        if kid is not None and not isinstance(kid, str):
            raise TokenRefused("its key has no name")

        def fitting(keys: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
            return [key for key in keys if _fits(key, algorithm, kid)]

        keys = fitting(await self._provider.keys(lambda keys: bool(fitting(keys))))
        if not keys:
            raise TokenRefused("it is signed with a key that the provider does not publish")
        claims = _open(token, keys[:MOST_TRIES], algorithm)
        if nonce is not None and claims.get("nonce") != nonce:
            raise TokenRefused("it belongs to another sign-in")
        return self._policy.caller(claims, self._clock())


def _header(token: str) -> Mapping[str, Any]:
    from joserfc.errors import JoseError
    from joserfc.jws import extract_compact

    if len(token) > LONGEST_TOKEN or not _COMPACT.fullmatch(token):
        raise TokenRefused("it is no JSON Web Token")
    try:
        return extract_compact(token.encode()).protected
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise TokenRefused("it is no JSON Web Token") from None


def _fits(key: Mapping[str, Any], algorithm: str, kid: str | None) -> bool:
    if kid is not None and key.get("kid") != kid:
        return False
    if any(key.get(name) != value for name, value in KEY_KINDS[algorithm].items()):
        return False
    operations = key.get("key_ops")
    if isinstance(operations, list) and "verify" not in cast("list[object]", operations):
        return False
    return key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm


def _open(token: str, keys: list[dict[str, Any]], algorithm: str) -> Mapping[str, Any]:
    import warnings

    from joserfc import jwt
    from joserfc.errors import JoseError, SecurityWarning

    for key in keys:
        # Only what makes the public key is taken: a provider that publishes more has made a mistake of its own.
        public = tuple((name, str(key[name])) for name in ("kty", "n", "e", "crv", "x", "y") if name in key)
        if ("kty", "RSA") in public and _bits(key) < SMALLEST_RSA:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # what is deprecated is still common
                return jwt.decode(token, _imported(public), algorithms=[algorithm]).claims
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            continue
    raise TokenRefused("its signature is wrong")


@lru_cache(maxsize=64)
def _imported(public: tuple[tuple[str, str], ...]) -> Key:
    """Return a key. Making it takes as long as using it."""
    from joserfc.jwk import import_key

    return import_key(dict(public))


def _bits(key: Mapping[str, Any]) -> int:
    """Return about how many bits the modulus has."""
    return len(str(key.get("n", ""))) * 6
