"""Acts as the journal has them: what became of one, and what it brought, for whoever lost its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.api import Answer
from kallyai_mcp.catalog import by_tool
from kallyai_mcp.engine import outcome
from kallyai_mcp.engine.result import Body, shape_data
from kallyai_mcp.model import State

if TYPE_CHECKING:
    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.engine.reading import Reading
    from kallyai_mcp.engine.result import Result
    from kallyai_mcp.engine.settling import Settler
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model.records import Act

OPEN = frozenset({State.PREPARED, State.SENT, State.UNKNOWN})
"""States that may still change by themselves."""


class Past:
    """Looks up the acts of one account.

    Args:
        journal: Where they are recorded.
        owner: Whose they are.
        settler: Looks at the service for those whose answer was lost.
        reading: Admits answers with strangers' words.
        approval_mode: Stands in receipts.
        zone: IANA zone of the user.
    """

    def __init__(
        self, journal: Journal, owner: Owner, settler: Settler, reading: Reading, approval_mode: str, zone: str
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._settler = settler
        self._reading = reading
        self._mode = approval_mode
        self._zone = zone

    async def act(self, identifier: str) -> Act | None:
        """Return an act as it stands now, after looking at the service where that may tell; None if there is none.

        Raises:
            KallyError: The journal cannot be used.
        """
        account = self._owner.key
        if (act := await self._journal.act(account, identifier)) is None:
            return None
        if act.state in {State.PREPARED, State.SENT}:
            await self._journal.recover(account, self._mode)  # its process may have died
            act = await self._journal.act(account, identifier) or act
        return await self._settler.look(act) if act.state in {State.UNKNOWN, State.NOT_FOUND} else act

    async def result(self, act: Act) -> Result:
        """Return what an act brought, or what is known of it."""
        command = by_tool().get(act.draft.tool)
        if command is None or act.state is not State.DONE or act.answer is None:
            return _state(act)
        kept = Answer(200, dict(act.answer), None, None, "application/json", sandbox=False)
        admitted = await self._reading.admit(command, act.draft.arguments, kept)
        shaped = shape_data(command, admitted.data, admitted.withheld, self._zone)
        return outcome.with_act(shaped, command, act)


_KNOWN = {
    State.PREPARED: "is about to be sent",
    State.SENT: "was sent, and its answer is not here yet",
    State.DONE: "is done; what it brought is not kept any more",
    State.FAILED: "has failed",
    State.NOT_SENT: "was not sent",
    State.UNKNOWN: "was sent and its answer was lost; nobody knows yet whether it was done",
    State.NOT_FOUND: "was sent and its answer was lost; the service shows no trace of it",
}


def _state(act: Act) -> Result:
    facts: dict[str, Any] = {"id": act.id, "outcome": str(act.state), "tool": act.draft.tool}
    why = ""
    if act.error:
        facts["error"] = act.error
        why = f" (code {act.error})"
    sentence = f"Act {act.id}, {act.draft.tool}, {_KNOWN[act.state]}{why}."
    return Body(data={}, facts={outcome.ACT: facts}, notes=(sentence,)).result()
