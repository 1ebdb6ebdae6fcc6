"""Whose acts these are: the key under which an account's journal is kept on this machine.

It is made of the service and of where the tokens are kept, so that it is known without network and before anybody has
signed in, and stays the same when tokens are renewed. A digest: it tells nobody anything.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kallyai_mcp.auth.session import Session
    from kallyai_mcp.settings import Settings


@dataclass(frozen=True)
class Owner:
    """One account.

    Args:
        settings: As they were given, before an embedded sandbox has an address.
        session: The tokens at hand.
    """

    settings: Settings
    session: Session

    @cached_property
    def key(self) -> str:
        """The account's key: the same in every process with the same settings."""
        settings = self.settings
        service = "sandbox" if settings.sandbox else settings.api_url
        if settings.sandbox and settings.sandbox_data is None:
            holder = f"profile {settings.profile}"  # its tokens are kept in a folder of this process alone
        elif settings.access_token is not None:
            holder = f"person {self.subject}" if self.subject else f"token {settings.access_token}"
        else:
            holder = f"place {self.session.file.place}"
        return hashlib.sha256(f"{service}\n{holder}".encode()).hexdigest()[:32]

    @cached_property
    def world(self) -> str:
        """What an act is done to: an act in one world is none in another, such as that of another embedded sandbox."""
        if not self.settings.sandbox:
            return self.settings.api_url
        return str(self.settings.sandbox_data or uuid.uuid4())

    @property
    def subject(self) -> str:
        """Who the token says it belongs to; somebody else's approvals do not count. Empty where it says nothing."""
        return "\n".join(f"{name} {value}" for name, value in self.session.facts().account)
