"""What every way of signing in has in common: what a person is shown, and how it is carried on step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlsplit

from kallyai_mcp.settings import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

    from kallyai_mcp.auth.pair import TokenPair

LONGEST_ADDRESS = 2048
VENDOR_DOMAIN = "kallyai.com"


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that waits for a person. All of it may be shown; the device code is not in it.

    Attributes:
        flow: "device": an address and a code. "browser": an address that only works on this machine.
        verification_uri: What to open.
        verification_uri_complete: The same with the code filled in. Show it only together with the code.
        user_code: What to compare with, or enter on, the page.
        expires_in: Seconds left.
        message: All this in sentences for the person.
    """

    flow: Literal["device", "browser"]
    verification_uri: str
    verification_uri_complete: str | None
    user_code: str | None
    expires_in: int
    message: str


@dataclass(frozen=True, slots=True)
class Done:
    """A sign-in that succeeded.

    Attributes:
        expires_at: Unix seconds at which the access token ends.
        path: The token file; None where they are kept elsewhere.
        saved: Whether the tokens are in it; if not, only this process is signed in.
        message: This in a sentence for the person.
    """

    expires_at: float
    path: Path | None
    saved: bool
    message: str


class Prompter(Protocol):
    """Shows a sign-in to a person: in a terminal, or through the host."""

    async def show(self, pending: Pending) -> None:
        """Show where to go and which code to compare."""
        ...


class Flow(Protocol):
    """One sign-in under way."""

    @property
    def address(self) -> str:
        """What a browser would be sent to."""
        ...

    def pending(self) -> Pending:
        """How it stands, for a person."""
        ...

    def wait(self) -> float:
        """Seconds until the next step is due; 0 when it is."""
        ...

    async def step(self, limit: float = math.inf) -> TokenPair | None:
        """Do what is due now, in one short step; the tokens once they are there.

        Args:
            limit: Seconds that it may take at most; a step that is cancelled goes on for so long.

        Raises:
            SignInFailed: It ended without tokens.
        """
        ...

    async def close(self) -> None:
        """Release what it holds."""
        ...


def may_be_shown(address: object, origin: str) -> bool:
    """Whether an address is one that a person may be sent to for signing in at `origin`.

    https on the API's own host or on the vendor's domain; for an API on this machine also this machine.
    """
    if not isinstance(address, str) or not 0 < len(address) <= LONGEST_ADDRESS:
        return False
    if not address.isascii() or not address.isprintable() or set(address) & set(' "<>\\^`{|}'):
        return False
    try:
        parts, home = urlsplit(address), urlsplit(origin)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None:
        return False
    if is_loopback(home.hostname):
        return parts.scheme in {"http", "https"} and is_loopback(host)
    vendors = host == VENDOR_DOMAIN or host.endswith(f".{VENDOR_DOMAIN}")
    return parts.scheme == "https" and (host == home.hostname or vendors)


def minutes(seconds: float) -> str:
    """A duration for a sentence."""
    whole = max(1, round(seconds / 60))
    return "1 minute" if whole == 1 else f"{whole} minutes"
