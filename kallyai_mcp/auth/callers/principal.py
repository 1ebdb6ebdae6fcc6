"""A person as the identity provider knows them, and what an access token says about their request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property


class TokenRefused(Exception):
    """An access token that is not good for this server. Its text is for our log: it holds nothing of the token."""


@dataclass(frozen=True)
class Principal:
    """One person. A subject is unique within its issuer only (OpenID Connect Core, 2), so the two go together.

    Attributes:
        issuer: The identity provider.
        subject: The person, as that provider names them.
    """

    issuer: str
    subject: str

    @cached_property
    def key(self) -> str:
        """The key of the person's account: stable, of fixed length, and telling nothing."""
        # With the length in front no two pairs are written alike.
        text = f"{len(self.issuer)}:{self.issuer}{self.subject}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Caller:
    """What a verified access token says.

    Attributes:
        principal: Whose it is.
        scopes: What it allows.
        expires: Unix seconds at which it ends.
        client: The OAuth client that got it; empty where the token does not say.
        name: What the person is called, for pages that they themselves see; empty where nobody says.
    """

    principal: Principal
    scopes: frozenset[str]
    expires: float
    client: str = ""
    name: str = field(default="", repr=False)
