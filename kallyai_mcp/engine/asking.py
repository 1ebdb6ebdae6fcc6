"""Who agrees to an act: nobody has to, a mandate does, or a person who was asked, if what they saw is still so."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from kallyai_mcp.engine import outcome
from kallyai_mcp.errors import ApprovalRequired
from kallyai_mcp.model import Consent
from kallyai_mcp.policy import Ask

if TYPE_CHECKING:
    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.engine.gate import Gate, Order, Seen
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model import Command
    from kallyai_mcp.model.records import Act, Approval, Mandate


class Asking:
    """Finds the consent to acts of one account, or has a person asked for it.

    Args:
        journal: Where questions, decisions and mandates are kept.
        owner: Whose acts they are.
        gate: Judges them.
    """

    def __init__(self, journal: Journal, owner: Owner, gate: Gate) -> None:
        self._journal = journal
        self._owner = owner
        self._gate = gate
        self._safety = gate.safety

    async def consent(
        self, order: Order, digest: str, seen: Seen, repeated: Act | None
    ) -> tuple[Consent, Approval | None, Mandate | None]:
        """Return who agrees, with the approval to be used up, or the mandate that covers the act.

        Args:
            order: What is wanted.
            digest: Of the whole request.
            seen: What it is about.
            repeated: The equal act that is wanted once more.

        Raises:
            ApprovalRequired: A person has to agree first.
            ActRefused: A person has declined it, or a limit is against it.
        """
        account, journal, command = self._owner.key, self._journal, order.command
        credits_ = outcome.credits_of(command, self._safety.max_credits_per_act)
        standing = await journal.standing(account, digest_of(self._owner), command.tool, credits_)
        verdict, mandate = await self._gate.decision(order, seen, standing)
        if not isinstance(verdict, Ask):
            return verdict.consent, None, mandate if verdict.consent is Consent.MANDATE else None
        approval = await journal.agreed(account, command.tool, digest)
        if approval is not None and not await self._gate.holds(approval.question, seen, repeated):
            # What they were shown is otherwise by now, or cannot be seen any more: nobody has agreed to that.
            await journal.use(account, approval.id, command.tool, digest)
            approval = None
        if approval is None:
            # Nobody is asked for what a limit is against anyway.
            await journal.would_fit(
                account,
                credits_,
                self._safety,
                places_call=command.places_call,
                recipients=recipients(command, seen),
            )
            question = await self._gate.question(order, seen, verdict.reasons, repeated)
            asked = await journal.ask(account, command.tool, digest, question)
            why = " ".join(verdict.reasons) or "A person has to agree to this first."
            raise ApprovalRequired(asked.id, question.text(), why=why, expires=asked.expires)
        return approval.consent, approval, None


async def own_mandates(journal: Journal, owner: Owner) -> list[Mandate]:
    """Return the mandates in force of whoever is signed in: another one, in the same place, has agreed to nothing."""
    person = digest_of(owner)
    return [mandate for mandate in await journal.open_mandates(owner.key) if mandate.person == person]


def digest_of(owner: Owner) -> str:
    """Return what stands for whoever is signed in; empty where the token does not say."""
    return hashlib.sha256(owner.subject.encode()).hexdigest()[:32] if owner.subject else ""


def recipients(command: Command, seen: Seen) -> tuple[str, ...]:
    """Return who counts as contacted: not where calls are diverted to. A draft counts as what it is written for."""
    return () if command.diverts else seen.contacted
