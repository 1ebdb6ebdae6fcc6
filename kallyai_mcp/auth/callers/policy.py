"""What a token must say to be good for this server, wherever its claims come from: a JWT, or introspection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.auth.callers.principal import Caller, Principal, TokenRefused
from kallyai_mcp.auth.pair import as_number, is_showable

if TYPE_CHECKING:
    from collections.abc import Mapping

LEEWAY = 30.0
"""Seconds by which the provider's clock may differ from ours."""

LONGEST_SUBJECT = 255
"""Characters of a subject (OpenID Connect Core, 2)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked of a token.

    Attributes:
        issuer: Who must have issued it; compared character by character.
        audiences: For whom it must have been issued: this server's resource identifier, or another name of it.
    """

    issuer: str
    audiences: frozenset[str]

    def caller(self, claims: Mapping[str, Any], now: float, *, endless: float | None = None) -> Caller:
        """Return whose the token is.

        Args:
            claims: What it says, or what the provider says about it.
            now: Unix seconds.
            endless: When a token ends that does not say so itself; without it, such a token is refused.

        Raises:
            TokenRefused: It was issued by another, for another, is over or not yet good, or is bound to a key, which a
                bearer token cannot prove (RFC 9449, 7.2; RFC 8705, 3).
        """
        if claims.get("iss") != self.issuer:
            raise TokenRefused("it was issued by another provider")
        if not self.audiences & frozenset(_words(claims.get("aud"), split=False)):
            raise TokenRefused("it was issued for another resource")
        if "cnf" in claims:
            raise TokenRefused("it is bound to a key, and came without a proof of it")
        expires = _moment(claims, "exp")
        if expires is None:
            expires = endless
        if expires is None:
            raise TokenRefused("it does not say when it ends")
        if now >= expires + LEEWAY:
            raise TokenRefused("it has ended")
        for name in ("nbf", "iat"):
            begins = _moment(claims, name)
            if begins is not None and begins > now + LEEWAY:
                raise TokenRefused("it is not good yet")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not is_showable(subject, LONGEST_SUBJECT):
            raise TokenRefused("it names nobody")
        scopes = (*_words(claims.get("scope"), split=True), *_words(claims.get("scp"), split=True))
        client = claims.get("client_id", claims.get("azp"))
        return Caller(
            Principal(self.issuer, subject),
            frozenset(scopes),
            expires,
            client if isinstance(client, str) and is_showable(client, LONGEST_SUBJECT) else "",
            _name(claims),
        )


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a NumericDate (RFC 7519, 2); None where there is none. What is no number cannot be checked: refused."""
    if name not in claims:
        return None
    value = claims[name]
    number = None if isinstance(value, str) else as_number(value)
    if number is None:
        raise TokenRefused(f"its {name} is no number")
    return number


def _words(value: object, *, split: bool) -> list[str]:
    if isinstance(value, str):
        return value.split() if split else [value]
    if isinstance(value, list):
        return [part for part in cast("list[object]", value) if isinstance(part, str)]
    return []


def _name(claims: Mapping[str, Any]) -> str:
    for claim in ("name", "preferred_username", "email"):
        value = claims.get(claim)
        if isinstance(value, str) and is_showable(value, 120):
            return value
    return ""
