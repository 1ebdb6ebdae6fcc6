"""The identity provider: where its endpoints are, and the keys with which it signs.

Its metadata is looked for where OpenID Connect Discovery 1.0 and RFC 8414 put it, and is used only if it names exactly
the issuer of the settings. Both are kept for an hour. What was kept stays in use for a day while the provider is away,
so that a short absence of it locks nobody out.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

import anyio

from kallyai_mcp.errors import InvalidSettings, TransportError
from kallyai_mcp.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.auth.http import Http

FRESH = 3600.0
"""Seconds for which metadata and keys are kept before they are asked for again."""

STALE = 86_400.0
"""Seconds for which they are used while the provider does not answer."""

ASKS_EVERY = 60.0
"""Seconds between two looks for a key that was unknown, and between two tries of what has failed."""

MOST_KEYS = 64

Value = TypeVar("Value")

OIDC = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What of a provider's metadata is used (RFC 8414, 2). An endpoint that it does not name is None."""

    issuer: str
    jwks_uri: str | None
    introspection_endpoint: str | None
    authorization_endpoint: str | None
    token_endpoint: str | None
    iss_in_answers: bool
    """Whether it names itself in the answers of its authorization endpoint (RFC 9207)."""


@dataclass(slots=True)
class _Kept(Generic[Value]):
    value: Value
    since: float


class Provider:
    """The identity provider of the settings.

    Args:
        issuer: Its issuer identifier, exactly as its tokens name it.
        http: How it is reached.
        clock: Monotonic seconds.
    """

    def __init__(self, issuer: str, http: Http, clock: Callable[[], float] = time.monotonic) -> None:
        self.issuer = issuer
        self.http = http
        self._clock = clock
        self._looking = anyio.Lock()
        self._metadata: _Kept[Metadata] | None = None
        self._keys: _Kept[tuple[dict[str, Any], ...]] | None = None
        self._failed: _Kept[TransportError | InvalidSettings] | None = None
        self._asked = float("-inf")

    async def metadata(self) -> Metadata:
        """Return where its endpoints are.

        Raises:
            TransportError: It cannot be reached, and was not within a day.
            InvalidSettings: What is at the address is not the provider of this name.
        """
        kept = self._metadata
        if kept is not None and self._clock() - kept.since < FRESH:
            return kept.value
        async with self._looking:
            return await self._metadata_in_turn()

    async def keys(self, known: Callable[[tuple[dict[str, Any], ...]], bool]) -> tuple[dict[str, Any], ...]:
        """Return its public keys as JSON Web Keys.

        Args:
            known: Whether the key that is looked for is among these; if not, they are asked for anew, at most once a
                minute.

        Raises:
            TransportError: They cannot be had.
            InvalidSettings: As `metadata`.
        """
        kept = self._keys
        if kept is not None and self._clock() - kept.since < FRESH and known(kept.value):
            return kept.value
        async with self._looking:
            kept, now = self._keys, self._clock()
            if kept is not None and now - kept.since < FRESH and known(kept.value):
                return kept.value
            if kept is not None and now - self._asked < ASKS_EVERY:
                return kept.value if now - kept.since < STALE else ()
            self._asked = now
            try:
                keys = await self._ask_for_keys()
            except (TransportError, InvalidSettings) as error:
                if kept is None or now - kept.since >= STALE:
                    self._asked = float("-inf")
                    raise
                _log.warning("The keys of the identity provider cannot be renewed: %s", error.message)
                return kept.value
            self._keys = _Kept(keys, self._clock())
            return keys

    async def _metadata_in_turn(self) -> Metadata:
        kept, now = self._metadata, self._clock()
        if kept is not None and now - kept.since < FRESH:
            return kept.value
        failed = self._failed
        if failed is not None and now - failed.since < 1.0:
            raise failed.value  # of many who wait for their turn, one asks
        try:
            found = await self._discover()
        except (TransportError, InvalidSettings) as error:
            if kept is not None and now - kept.since < STALE:
                _log.warning("The metadata of the identity provider cannot be renewed: %s", error.message)
                return kept.value
            self._failed = _Kept(error, self._clock())
            raise
        self._failed = None
        self._metadata = _Kept(found, self._clock())
        return found

    async def _discover(self) -> Metadata:
        failure: TransportError | None = None
        named = False
        for address in addresses(self.issuer):
            try:
                answer = await self.http.exchange("GET", address)
            except TransportError as error:
                failure = error
                continue
            fields = answer.fields
            if answer.status >= 500 or answer.status == 429:
                failure = TransportError(
                    f"The identity provider cannot serve at the moment (status {answer.status}).",
                    code="http_error",
                    next_step="Try again in a minute.",
                    retryable=True,
                )
            if answer.status != 200 or fields is None or "issuer" not in fields:
                continue
            if fields["issuer"] == self.issuer:  # RFC 8414, 3.3: else it must not be used
                return _read(fields, self.issuer)
            named = True
        if failure is not None and not named:
            raise failure
        what = "names another issuer" if named else "is no metadata of an OAuth or OpenID provider"
        raise InvalidSettings(
            f"What KALLYAI_ISSUER leads to {what}.",
            next_step="Set KALLYAI_ISSUER to the issuer exactly as the provider's own metadata and tokens name it, a "
            "slash at its end included or not.",
        )

    async def _ask_for_keys(self) -> tuple[dict[str, Any], ...]:
        metadata = await self._metadata_in_turn()
        if metadata.jwks_uri is None:
            raise InvalidSettings(
                "The identity provider publishes no keys for its tokens.",
                next_step="Have tokens checked by introspection: set KALLYAI_INTROSPECTION_CLIENT_ID and its secret.",
            )
        answer = await self.http.exchange("GET", metadata.jwks_uri)
        listed = None if answer.status != 200 or answer.fields is None else answer.fields.get("keys")
        if not isinstance(listed, list):
            raise TransportError(
                f"The identity provider gave no keys (status {answer.status}).",
                code="unexpected_answer",
                next_step="Try again in a minute.",
                retryable=True,
            )
        entries = cast("list[object]", listed)
        return tuple(cast("dict[str, Any]", key) for key in entries if isinstance(key, dict))[:MOST_KEYS]


def addresses(issuer: str) -> tuple[str, ...]:
    """Return where an issuer's metadata may be: OpenID Connect Discovery 1.0, 4; RFC 8414, 3.1 and 5."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    found = [f"{origin}{path}{OIDC}", f"{origin}{OAUTH}{path}"]
    if path:
        found.append(f"{origin}{OIDC}{path}")
    return tuple(found)


def _read(fields: dict[str, Any], issuer: str) -> Metadata:
    def endpoint(name: str) -> str | None:
        value = fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not _may_be_used(value, issuer):
            raise InvalidSettings(
                f"The identity provider names a {name} that is not used: it must be an https address.",
                next_step="Check KALLYAI_ISSUER, and the provider's configuration.",
            )
        return value

    return Metadata(
        issuer,
        endpoint("jwks_uri"),
        endpoint("introspection_endpoint"),
        endpoint("authorization_endpoint"),
        endpoint("token_endpoint"),
        fields.get("authorization_response_iss_parameter_supported") is True,
    )


def _may_be_used(address: str, issuer: str) -> bool:
    """Whether an endpoint is https, or on this machine where the provider is too."""
    if not address.isascii() or not address.isprintable() or " " in address:
        return False
    try:
        parts, home = urlsplit(address), urlsplit(issuer)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    if is_loopback(home.hostname):
        return parts.scheme in {"http", "https"} and is_loopback(host)
    return parts.scheme == "https" and not is_loopback(host)
