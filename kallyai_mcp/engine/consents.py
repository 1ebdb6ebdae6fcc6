"""What people decide about acts, however they were asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model import Consent
    from kallyai_mcp.model.records import Approval


class Consents:
    """The questions of one account.

    Args:
        journal: Where they are kept.
        owner: Whose they are.
    """

    def __init__(self, journal: Journal, owner: Owner) -> None:
        self._journal = journal
        self._owner = owner

    async def find(self, approval: str) -> Approval | None:
        """Return a question; None where this account has none of this identifier."""
        return await self._journal.approval(self._owner.key, approval)

    async def decide(self, approval: str, *, agreed: bool, how: Consent, shown: str) -> Approval:
        """Note what a person has decided who was shown this text. The first decision counts.

        Raises:
            ActRefused: The question is not open any more, is another one by now, or there is none.
        """
        return await self._journal.decide(self._owner.key, approval, agreed=agreed, how=how, shown=shown)
