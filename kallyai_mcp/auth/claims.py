"""What an access token says about itself, for a person to read.

Nothing is verified, which only the service could do: what is read here is shown, marked as unverified, and decides
nothing.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, cast

from kallyai_mcp.auth.pair import is_showable

LONGEST = 254
"""Characters of a name that is shown; a mail address has no more (RFC 5321 section 4.5.3.1)."""


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What is known of a token without asking.

    Attributes:
        account: Claims that name the account, as far as there are any: "email", "sub".
        scopes: What the token allows; None where nobody says.
    """

    account: tuple[tuple[str, str], ...] = ()
    scopes: tuple[str, ...] | None = None


def read_facts(token: str, granted: str | None = None) -> TokenFacts:
    """Read a token.

    Args:
        token: An access token, of whatever form.
        granted: The scope in the answer that brought it, where there was one.
    """
    claims = _claims(token)
    account = tuple(
        (name, value)
        for name in ("email", "sub")
        if isinstance(value := claims.get(name), str) and is_showable(value, LONGEST)
    )
    scope = claims.get("scope") or granted
    if isinstance(scope, list):
        scope = " ".join(word for word in cast("list[Any]", scope) if isinstance(word, str))
    if not isinstance(scope, str) or not is_showable(scope):
        return TokenFacts(account)
    return TokenFacts(account, tuple(sorted(set(scope.split()))))


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:  # RFC 7519 section 3: header, claims and signature
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", claims) if isinstance(claims, dict) else {}
