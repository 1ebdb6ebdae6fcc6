"""The journal as the engine and the terminal use it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.journal import (
    acts,
    approvals,
    beginning,
    limits,
    mandates,
    receipts,
    settling,
    stops,
    taint,
    verification,
)
from kallyai_mcp.journal.amounts import to_parts
from kallyai_mcp.journal.approvals import LIFETIME
from kallyai_mcp.journal.keeping import APPROVALS, STOP, Keeping
from kallyai_mcp.journal.storage import CommitUnknown
from kallyai_mcp.model.records import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kallyai_mcp.journal.storage import Transaction
    from kallyai_mcp.model.acts import Consent, State
    from kallyai_mcp.model.records import (
        Act,
        Approval,
        Draft,
        Earlier,
        Mandate,
        Note,
        Question,
        Receipt,
        Stopped,
        Taint,
        Usage,
        Verification,
    )
    from kallyai_mcp.safety import Safety


class Journal(Keeping):
    """What was done, on this machine. Nothing is touched before the first use; close it when the program ends.

    Every method raises InvalidSettings where the database cannot be used: then nothing was recorded. Its code is
    "journal_unusable", or "storage_away" where it may be tried again in a moment (`StorageAway`). Then it may have been
    recorded after all (`CommitUnknown`), and the same method once more does no harm.

    Args:
        folder: Where the database is; made if it is missing. Or a database that others use, too.
        clock: Seconds since the epoch.
        busy: Seconds to wait for another process that is writing.
        changes: Who is told of what changes, and tells what others have changed.
    """

    # Acts

    async def begin(
        self, account: str, draft: Draft, safety: Safety, *, mandate: Mandate | None = None
    ) -> Act | Earlier:
        """Record an act as prepared, and use up its approval; or return the equal one that was before it.

        Raises:
            ActRefused: All is stopped ("stopped"), the same act is under way ("act_under_way"), the approval is not
                good for it ("approval_used"), or there is no room ("limit_reached"). Nothing is recorded then.
            InvalidArguments: `repeat_of` names no equal act of the account.
        """
        await self._forget_at_times()
        identifier = acts.new_id()
        try:
            return await self._write(
                account,
                lambda tx: beginning.begin(tx, account, draft, safety, mandate, identifier),
                # On this machine what a power failure takes away was never sent: `sending` puts both on the disk. A
                # database elsewhere may lose it while this program lives on.
                durable=self.is_shared,
            )
        except CommitUnknown:
            self._unbegun[identifier] = account  # not to be sent, whether or not it is there
            raise

    async def earlier(self, account: str, digest: str, repeat_of: str | None = None, *, harmless: bool) -> Act | None:
        """Return the equal act that `begin` would answer with, if there is one.

        Raises:
            ActRefused: It is under way at this moment ("act_under_way").
        """
        return await self._write(
            account, lambda tx: beginning.earlier(tx, account, digest, repeat_of, harmless=harmless)
        )

    async def would_fit(
        self,
        account: str,
        credits: float,  # noqa: A002 - the word is the unit
        safety: Safety,
        *,
        places_call: bool = False,
        recipients: Iterable[str] = (),
        mandate: str | None = None,
    ) -> None:
        """Check, without recording anything, that an act would fit into the limits.

        Raises:
            ActRefused: It would not ("limit_reached").
        """
        wish = limits.Wish(credits=credits, places_call=places_call, recipients=tuple(recipients), mandate=mandate)
        await self._write(account, lambda tx: limits.require_room(tx, account, wish, safety))

    async def sending(self, account: str, act_id: str) -> Act:
        """Note that the first byte of a prepared act may leave, on the disk, before it does.

        Raises:
            ActRefused: Everything was stopped meanwhile ("stopped"); the act is then settled as not sent. It was sent
                before ("act_under_way"), or has been settled by somebody else ("journal_unusable").
        """
        act, refusal = await self._write(account, lambda tx: settling.mark_sent(tx, account, act_id))
        if refusal is not None:
            raise refusal
        return act

    async def settle(
        self,
        account: str,
        act_id: str,
        state: State,
        *,
        answer: Mapping[str, Any] | None = None,
        charged: float | None = None,
        error: str | None = None,
        correlation_id: str | None = None,
        note: str | None = None,
        approval_mode: str = "",
        unless: Callable[[Act], bool] | None = None,
    ) -> Act:
        """Write down what became of an act, with a receipt, and return the act as it is now.

        A state that is never left, or that cannot follow, leaves everything as it is.

        Args:
            account: Whose act it is.
            act_id: Which.
            state: A final one, or unknown.
            answer: What the service answered.
            charged: What it charged, in credits; without it what was set aside counts.
            error: Code of the failure.
            correlation_id: The service's identifier.
            note: How it became known, for people.
            approval_mode: The setting, for the receipt; the one at its begin unless given.
            unless: Whether an act that was done keeps this one from being settled so, such as by owning what was found.

        Raises:
            ActRefused: There is no such act ("journal_unusable").
        """
        return await self._write(
            account,
            partial(
                settling.settle,
                account=account,
                identifier=act_id,
                state=state,
                answer=answer,
                charged=charged,
                error=error,
                correlation_id=correlation_id,
                note=note,
                approval_mode=approval_mode,
                unless=unless,
            ),
        )

    async def charge(
        self, account: str, act_id: str, *, answer: Mapping[str, Any], charged: float | None, approval_mode: str = ""
    ) -> Act:
        """Write down what a done act has brought and cost in the end, with a receipt, and return it as it is now.

        One whose charge is known, or that is not done, is left as it is.

        Raises:
            ActRefused: There is no such act ("journal_unusable").
        """
        end = partial(settling.charge, answer=answer, charged=charged, approval_mode=approval_mode)
        return await self._write(account, lambda tx: end(tx, account, act_id))

    async def recover(self, account: str, approval_mode: str) -> list[Act]:
        """Settle the acts of processes that have died, as not sent or unknown, with receipts; return these acts."""
        return await self._write(account, lambda tx: settling.recover(tx, account, approval_mode))

    async def act(self, account: str, act_id: str) -> Act | None:
        """Return an act; None where the account has none of this identifier."""

        def find(tx: Transaction) -> Act | None:
            row = acts.find(tx, account, act_id)
            return None if row is None else acts.act_of(row, tx.path)

        return await self._database.read(find)

    async def acts(
        self, account: str, *, states: Iterable[State] | None = None, since: float | None = None, limit: int | None = 50
    ) -> list[Act]:
        """Return acts, the newest first: in these states, recorded from then on, so many at most."""
        wanted = None if states is None else frozenset(states)
        return await self._database.read(lambda tx: acts.listed(tx, account, wanted, since, limit))

    async def usage(self, account: str) -> Usage:
        """Return what of the limits is in use."""
        return await self._write(account, lambda tx: limits.usage(tx, account))

    # Approvals

    async def ask(
        self, account: str, tool: str, digest: str, question: Question, *, lifetime: float = LIFETIME
    ) -> Approval:
        """Put a question to a person, for so many seconds; or return the one about the same act that is not over yet.

        Of one that is open the text is renewed, its end is not.

        Raises:
            ActRefused: A person has declined the act just before ("approval_declined").
        """
        return await self._write(account, lambda tx: approvals.ask(tx, account, tool, digest, question, lifetime))

    async def decide(self, account: str, approval_id: str, *, agreed: bool, how: Consent, shown: str) -> Approval:
        """Note what a person has decided, with a receipt where they declined. The first decision counts.

        Args:
            account: Whose question it is.
            approval_id: Which.
            agreed: What they said.
            how: How they did.
            shown: The text of the question as they saw it; a yes to another text does not count.

        Raises:
            ActRefused: There is no such question, it was decided otherwise, was used, has changed since it was shown,
                or has ended ("approval_used").
        """
        decided = await self._write(
            account, lambda tx: approvals.decide(tx, account, approval_id, agreed=agreed, how=how, shown=shown)
        )
        await self._tell(account, APPROVALS)
        return decided

    async def approval(self, account: str, approval_id: str) -> Approval | None:
        """Return a question in whatever state; None where the account has none of this identifier."""
        return await self._database.read(lambda tx: approvals.find(tx, account, approval_id))

    async def approval_by_prefix(self, account: str, prefix: str) -> Approval | None:
        """Return the one question whose identifier begins so; of several, the one that is open; else None."""
        return await self._database.read(lambda tx: approvals.find_by_prefix(tx, account, prefix))

    async def approvals(self, account: str) -> list[Approval]:
        """Return the questions that wait for a decision, the oldest first."""
        return await self._database.read(lambda tx: approvals.open_ones(tx, account))

    async def pending(self) -> list[tuple[str, Approval]]:
        """Return the questions of all accounts that wait, for a person at a terminal, each with its account."""
        return await self._database.read(approvals.pending)

    async def agreed(self, account: str, tool: str, digest: str) -> Approval | None:
        """Return the consent to an act that is given, unused and not over."""
        return await self._database.read(lambda tx: approvals.agreed(tx, account, tool, digest))

    async def use(self, account: str, approval_id: str, tool: str, digest: str) -> Approval:
        """Use a consent up for something that is no act, such as a mandate.

        Raises:
            ActRefused: It is not good for this ("approval_used").
        """
        return await self._write(account, lambda tx: approvals.use(tx, account, approval_id, tool, digest))

    # The stop

    async def stop(self, account: str, by: str) -> Stopped:
        """Freeze all acts of the account, or with ALL of every account, in every process, with a receipt.

        An earlier stop holds as it is.
        """
        stopped = await self._write(account, lambda tx: stops.stop(tx, account, by))
        await self._tell(account, STOP)
        return stopped

    async def resume(self, account: str) -> bool:
        """Allow acts again, with a receipt. Whether they were stopped."""
        resumed = await self._write(account, lambda tx: stops.resume(tx, account))
        await self._tell(account, STOP)
        return resumed

    async def stopped(self, account: str) -> Stopped | None:
        """Return the stop that holds, if one does. It may be asked often, and never waits for a write."""
        return await self._database.read(lambda tx: stops.find(tx, account))

    async def await_stop(self, account: str, longest: float) -> None:
        """Wait so many seconds, or less where the stop may have changed; then `stopped` tells what holds."""
        if self._changes is None:
            await anyio.sleep(longest)
        else:
            await self._changes.wait(account, STOP, longest)

    # Mandates

    async def add_mandate(self, account: str, mandate: Mandate) -> None:
        """Put a mandate in force, with a receipt.

        Raises:
            ValueError: The account has one of this identifier.
        """
        await self._write(account, lambda tx: mandates.add(tx, account, mandate))

    async def mandates(self, account: str, *, active_at: float | None = None) -> list[Mandate]:
        """Return mandates, the newest first: those in force at a time, or all."""
        return await self._database.read(lambda tx: mandates.listed(tx, account, active_at))

    async def open_mandates(self, account: str) -> list[Mandate]:
        """Return the mandates that are in force now, the newest first."""
        return await self._database.read(lambda tx: mandates.listed(tx, account, tx.now))

    async def revoke(self, account: str, mandate_id: str) -> Mandate | None:
        """Take a mandate back, with a receipt the first time; None where there is none."""
        return await self._write(account, lambda tx: mandates.revoke(tx, account, mandate_id))

    async def standing(
        self,
        account: str,
        person: str,
        tool: str,
        credits: float,  # noqa: A002 - the word is the unit
    ) -> Standing:
        """Return how the account stands towards an act, all of it at one moment.

        Args:
            account: Whose act it would be.
            person: Digest of who is signed in: a mandate of somebody else covers nothing.
            tool: What would be run.
            credits: Most that it may cost; beyond a mandate's room a person is asked again.
        """

        def find(tx: Transaction) -> Standing:
            roomy = mandates.roomy(tx, account, person, tool, to_parts(credits))
            return Standing(taint.tainted(tx, account), taint.distrusted(tx, account), roomy)

        return await self._database.read(find)

    async def mandate_usage(self, account: str, mandate_id: str) -> tuple[int, float]:
        """Return how many acts fell under a mandate, and the credits that they cost or may cost."""
        return mandates.in_credits(await self._database.read(lambda tx: mandates.usage(tx, account, mandate_id)))

    # Strangers' words

    async def taint(self, account: str, source: str, until: float) -> None:
        """Note that strangers' words were read. The later end holds. A power failure may undo it, a crash does not."""
        await self._write(account, lambda tx: taint.taint(tx, account, source, until), durable=False)

    async def tainted(self, account: str) -> Taint | None:
        """Return what was read last, for as long as that matters."""
        return await self._database.read(lambda tx: taint.tainted(tx, account))

    async def distrust(self, account: str, kind: str, keys: Iterable[str]) -> None:
        """Remember that strangers may have had a hand in these."""
        given = tuple(keys)
        await self._write(account, lambda tx: taint.distrust(tx, account, kind, given))

    async def trust(self, account: str, kind: str, keys: Iterable[str]) -> None:
        """Forget that again."""
        given = tuple(keys)
        await self._write(account, lambda tx: taint.trust(tx, account, kind, given))

    async def distrusted(self, account: str) -> frozenset[tuple[str, str]]:
        """Return kind and key of all that is not trusted."""
        return await self._database.read(lambda tx: taint.distrusted(tx, account))

    # Receipts

    async def note(self, account: str, note: Note) -> Receipt:
        """Add a line to the log for what is no act, such as a refusal or a dry run."""
        return await self._write(account, lambda tx: receipts.append(tx, account, note))

    async def receipts(self, account: str | None, *, after: int = 0, limit: int | None = None) -> list[Receipt]:
        """Return lines of the log in their order: of one account or of all, after a number, so many at most."""
        return await self._database.read(lambda tx: receipts.listed(tx, account, after, limit))

    async def verify(self) -> Verification:
        """Check the log of all accounts, line by line."""
        return await self._database.read(verification.verify)
