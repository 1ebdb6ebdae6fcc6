"""Acts as the journal has them: what became of one, and what it brought, for whoever lost its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.api import Answer
from kallyai_mcp.catalog import by_tool
from kallyai_mcp.engine import outcome
from kallyai_mcp.engine.naming import everything, found_out, named
from kallyai_mcp.engine.result import Body, shape_data
from kallyai_mcp.model import State

if TYPE_CHECKING:
    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.engine.naming import Allows
    from kallyai_mcp.engine.reading import Reading
    from kallyai_mcp.engine.result import Result
    from kallyai_mcp.engine.settling import Settler
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model.records import Act

_UNSURE = frozenset({State.PREPARED, State.SENT, State.UNKNOWN, State.NOT_FOUND})
"""States of what may have been done."""


class Past:
    """Looks up the acts of one account.

    Args:
        journal: Where they are recorded.
        owner: Whose they are.
        settler: Looks at the service for those whose answer was lost.
        reading: Admits answers with strangers' words.
        approval_mode: Stands in receipts.
        zone: IANA zone of the user.
        allows: Whether the caller may run a tool.
    """

    def __init__(
        self,
        journal: Journal,
        owner: Owner,
        settler: Settler,
        reading: Reading,
        approval_mode: str,
        zone: str,
        allows: Allows = everything,
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._settler = settler
        self._reading = reading
        self._mode = approval_mode
        self._zone = zone
        self._allows = allows

    async def act(self, identifier: str) -> Act | None:
        """Return an act as it stands now, after looking at the service where that may tell; None if there is none.

        Raises:
            KallyError: The journal cannot be used.
        """
        account = self._owner.key
        await self._settler.owed.try_to_write()
        if (act := await self._journal.act(account, identifier)) is None:
            return None
        if act.state in {State.PREPARED, State.SENT}:
            await self._journal.recover(account, self._mode)  # its process may have died
            act = await self._journal.act(account, identifier) or act
        is_open = act.state in {State.UNKNOWN, State.NOT_FOUND} or self._settler.is_going_on(act)
        return await self._settler.look(act) if is_open else act

    def may_change(self, act: Act) -> bool:
        """Whether more can be known of an act in a while without anybody's doing."""
        return self._settler.may_change(act)

    async def result(self, act: Act) -> Result:
        """Return what an act brought, or what is known of it."""
        command = by_tool().get(act.draft.tool)
        # What a hidden tool has brought is as little for this caller as the tool is.
        if command is None or act.state is not State.DONE or act.answer is None or not self._allows(command.tool):
            return self._state(act)
        kept = Answer(200, dict(act.answer), None, None, "application/json", sandbox=False)
        await self._reading.recall(command, act)
        admitted = await self._reading.admit(command, act.draft.arguments, kept)
        shaped = shape_data(command, admitted.data, admitted.withheld, self._zone)
        return outcome.with_act(shaped, command, act, self._allows)

    def _state(self, act: Act) -> Result:
        """Return what is known of an act without an answer: for good, where nothing more can be known of it here."""
        facts: dict[str, Any] = {
            "id": act.id,
            "outcome": str(act.state),
            "tool": named(act.draft.tool, self._allows),
        }
        why = ""
        if act.error:
            facts["error"] = act.error
            why = f" (code {act.error})"
        sentences = [f"Act {act.id}, {facts['tool']}, {_KNOWN[act.state]}{why}."]
        if act.state in _UNSURE:
            facts["retry_safe"] = False
            if not self._settler.may_change(act):
                facts["find_out"] = found_out(by_tool().get(act.draft.tool), act.id, self._allows)
                sentences.append(facts["find_out"])
        return Body(data={}, facts={outcome.ACT: facts}, notes=tuple(sentences)).result()


_KNOWN = {
    State.PREPARED: "is about to be sent",
    State.SENT: "was sent, and its answer is not here yet",
    State.DONE: "is done; what it brought is not to be had here",
    State.FAILED: "has failed",
    State.NOT_SENT: "was not sent; it can be run again",
    State.UNKNOWN: "was sent and its answer was lost; nobody knows yet whether it was done",
    State.NOT_FOUND: "was sent and its answer was lost; the service shows no trace of it",
}
