"""The seal on the state of a run that waits for a person (MCP 2026-07-28, multi round-trip requests).

All processes of a state folder seal with one key, so that an answer is good after a restart and in another process.
Where the key cannot be kept, this process makes one for itself: then its states end with it, and nothing else changes.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any

from mcp.server.request_state import (
    AESGCMRequestStateCodec,
    InvalidRequestState,
    RequestStateBoundary,
    RequestStateSecurity,
)

from kallyai_mcp.server.identity import NAME
from kallyai_mcp.server.secret_file import shared_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcp.server.context import ServerRequestContext
    from mcp.server.request_state import RequestStateCodec

logger = logging.getLogger(__name__)

FILE = "request-state.key"
LENGTH = 32
"""Bytes of the key."""

LIFETIME = 3600.0
"""Seconds after which a state is refused whatever it is for; what it waits for ends earlier by rules of its own."""

_CURSOR = b"cursor:"


def boundary(
    account: Callable[[ServerRequestContext[Any]], str], codec: RequestStateCodec | None
) -> RequestStateBoundary:
    """Return what seals the state of a run and opens it again, bound to the tool, the arguments and the account.

    Args:
        account: Gives the key of the caller's account at this moment.
        codec: Seals; without one with a key of this object's own.
    """
    security = RequestStateSecurity(
        codec=codec or SharedCodec(None), ttl=LIFETIME, bind_principal=account, audience=NAME
    )
    return RequestStateBoundary(security, default_audience=NAME)


class SharedCodec:
    """Seals with the key of the state folder, which is read or made with the first state.

    Args:
        folder: Gives the state folder, with the first state; without one the key is this object's own.
    """

    def __init__(self, folder: Callable[[], Path] | None) -> None:
        self._folder = folder
        self._made: AESGCMRequestStateCodec | None = None

    def seal(self, payload: bytes) -> str:
        """Return a token that only this key opens."""
        return self._codec().seal(payload)

    def unseal(self, token: str) -> bytes:
        """Open what `seal` made.

        Raises:
            InvalidRequestState: It did not make the token.
        """
        return self._codec().unseal(token)

    def _codec(self) -> AESGCMRequestStateCodec:
        if self._made is None:
            self._made = AESGCMRequestStateCodec([self._key()])
        return self._made

    def _key(self) -> bytes:
        if self._folder is None:
            return secrets.token_bytes(LENGTH)
        try:
            return shared_key(self._folder())
        except OSError as error:
            why = error.strerror or str(error)
            logger.warning("The key %s cannot be used (%s): what waits for a person ends with this process.", FILE, why)
            return secrets.token_bytes(LENGTH)


class CursorSeal:
    """Seals cursors with the key of the state folder, as other states are; none of the two passes for the other.

    Args:
        codec: Seals.
    """

    def __init__(self, codec: RequestStateCodec) -> None:
        self._codec = codec

    def seal(self, payload: bytes) -> str:
        """Return a token that only this key opens."""
        return self._codec.seal(_CURSOR + payload)

    def open(self, token: str) -> bytes | None:
        """Return what was sealed; None where it is no cursor of this key."""
        try:
            payload = self._codec.unseal(token)
        except InvalidRequestState:
            return None
        return payload.removeprefix(_CURSOR) if payload.startswith(_CURSOR) else None


def shared_key(folder: Path) -> bytes:
    """Return the key in a folder; whoever is first makes it.

    Raises:
        OSError: It cannot be read or made, or what stands there is not the user's own plain file, closed to others.
    """
    return shared_secret(folder / FILE, lambda: secrets.token_bytes(LENGTH), LENGTH)
