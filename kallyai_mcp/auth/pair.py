"""An access token with what renews it: read from the service's answers and from the token file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard, cast

from kallyai_mcp.privacy import hide

DEFAULT_LIFETIME = 3600
ABSURD_LIFETIME = 300
SHORTEST_LIFETIME = 60
LONGEST_LIFETIME = 30 * 24 * 3600
MARGIN = 60
LONGEST_TOKEN = 16 * 1024


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a sign-in or a refresh brings.

    Attributes:
        access_token: Goes into the `Authorization` header.
        refresh_token: Good for one refresh; None where the service gave none.
        expires_at: Unix seconds from which the access token is no longer used. The safety margin is already taken off.
        written_at: Unix seconds at which the pair was stored, as far as known. Tells how long it was meant to live.
        scope: What the service said that it allows (RFC 6749 section 5.1), words apart by blanks; it is not stored.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: float
    written_at: float = 0.0
    scope: str | None = None

    def __post_init__(self) -> None:
        """Keep both tokens out of the log and out of error texts from now on."""
        hide(self.access_token)
        if self.refresh_token:
            hide(self.refresh_token)

    def usable(self, now: float) -> bool:
        """Whether the access token may still be used."""
        return self.expires_at > now


def is_token(value: object) -> TypeGuard[str]:
    """Whether a value can stand in a header: visible ASCII of a reasonable length."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TOKEN:
        return False
    return value.isascii() and value.isprintable() and " " not in value


def is_showable(text: str, longest: int = 1024) -> bool:
    """Whether a text of the service can be shown as it is: printable, and not too long."""
    return 0 < len(text) <= longest and text.isprintable()


def as_number(value: object) -> float | None:
    """A finite number out of JSON or a query, also where it is written as text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def lifetime(value: object) -> int:
    """Seconds that an access token lives, from `expires_in`.

    Missing means the documented hour. What cannot be true counts as five minutes: short enough to do no harm. Less than
    a minute counts as a minute, else everybody who waits for a refresh would find its token due and refresh again; a
    token that ends earlier is refused by the API, which costs the one refresh.
    """
    if value is None:
        return DEFAULT_LIFETIME
    number = as_number(value)
    if number is None or not 0 < number <= LONGEST_LIFETIME:
        return ABSURD_LIFETIME
    return max(SHORTEST_LIFETIME, int(number))


def pair_from_answer(answer: object, *, asked_at: float, previous_refresh_token: str | None = None) -> TokenPair:
    """Read a token answer (RFC 6749 section 5.1, and the query of the browser flow).

    `expires_at` is counted from the moment of asking, less a margin of a minute, as a whole number. An answer without a
    refresh token leaves the previous one in force.

    Raises:
        ValueError: There is no usable access token in it. The text holds nothing of the answer.
    """
    if not isinstance(answer, Mapping):
        raise ValueError("the answer is not an object")  # noqa: TRY004 - what a service sends is a value, not a type
    fields = cast("Mapping[str, Any]", answer)
    access_token = fields.get("access_token")
    if not is_token(access_token):
        raise ValueError("the answer has no usable access_token")
    refresh_token, scope = fields.get("refresh_token"), fields.get("scope")
    seconds = lifetime(fields.get("expires_in"))
    return TokenPair(
        access_token=access_token,
        refresh_token=refresh_token if is_token(refresh_token) else previous_refresh_token,
        expires_at=int(asked_at + seconds - min(MARGIN, seconds // 2)),
        written_at=asked_at,
        scope=scope if isinstance(scope, str) and is_showable(scope) else None,
    )
