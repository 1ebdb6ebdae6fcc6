"""A person agrees to an act, or declines it: to one that was asked for elsewhere, or to the one that was just typed.

Only what is typed at the terminal decides; see `cli.person`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from rich.text import Text

from kallyai_mcp.cli import questions
from kallyai_mcp.cli.output import AGREE, DONE, UsageError, emit, print_json, say
from kallyai_mcp.cli.person import nobody, terminal
from kallyai_mcp.cli.running import within
from kallyai_mcp.cli.text import PROGRAM, visible
from kallyai_mcp.errors import ActRefused, ApprovalRequired
from kallyai_mcp.model import Consent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kallyai_mcp.cli.person import Terminal
    from kallyai_mcp.cli.program import App, Program
    from kallyai_mcp.model.records import Approval
    from kallyai_mcp.settings import Settings

T = TypeVar("T")

MOST_QUESTIONS = 3
"""Questions of one run: what is asked may change while a person thinks about it."""

_LIST = f"'{PROGRAM} approve --json' lists what is open, and decides nothing."


def approve(settings: Settings, program: Program, *, wanted: str | None, as_json: bool) -> int:
    """List the open questions; with one that is meant, show it in full and have the person decide."""
    if as_json:
        print_json({"open": within(program, settings, lambda app: _listed(app, wanted))})
        return DONE
    with terminal() as screen:
        if screen is None:
            raise nobody("An approval", _LIST)
        return within(program, settings, lambda app: _approve(app, wanted, screen))


async def _listed(app: App, wanted: str | None) -> list[dict[str, Any]]:
    pending = await (await app.parts()).journal.pending()
    meant = pending if wanted is None else [_find(pending, wanted)]
    return [questions.facts(approval, account) for account, approval in meant]


async def _approve(app: App, wanted: str | None, screen: Terminal) -> int:
    journal = (await app.parts()).journal
    pending = await journal.pending()
    if wanted is None and len(pending) != 1:
        _print_list([approval for _, approval in pending])
        return DONE
    account, approval = pending[0] if wanted is None else _find(pending, wanted)
    agreed = await decided(screen, approval)
    if agreed is None:
        say(f"Nothing was decided. It waits until {questions.clock(approval.expires)}.")
        return AGREE
    await journal.decide(account, approval.id, agreed=agreed, how=Consent.TERMINAL, shown=approval.question.text())
    if not agreed:
        say("Declined. It is not run, and the same is not asked again for some minutes.")
        return AGREE
    until = questions.clock(approval.expires)
    say(f"Agreed, for one run of exactly this, until {until}. Whoever asked can run the same again now.")
    return DONE


def _print_list(approvals: list[Approval]) -> None:
    if not approvals:
        say("Nothing waits for an answer.", sys.stdout)
        return
    emit(questions.listed(approvals), sys.stdout)
    sys.stdout.write("\n")
    say(f"See one and decide: {PROGRAM} approve ID")


def _find(pending: list[tuple[str, Approval]], wanted: str) -> tuple[str, Approval]:
    beginning = wanted.strip().lower()
    found = [pair for pair in pending if beginning and pair[1].id.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    shown = visible(wanted)[:40]
    fact = f"Several open questions begin with '{shown}'." if found else f"No open question begins with '{shown}'."
    remedy = "Give more of it." if found else "It may have been decided or have ended; run the act again to ask anew."
    raise UsageError(fact, next_step=f"{remedy} '{PROGRAM} approve' lists what is open.")


async def decided(screen: Terminal, approval: Approval) -> bool | None:
    """Show a question in full and return what the person says; None where they say nothing."""
    question = approval.question
    lines = screen.show(questions.asked(question, screen.width))
    if not screen.has_room_for(lines + 3):
        # What stood first has left the screen, and a long text must not push a warning out of sight.
        screen.show(questions.in_short(question))
    is_mandate = questions.command_of(approval.tool) == "mandate"
    screen.show(Text("It then needs no further question." if is_mandate else "It is done once, exactly as shown."))
    return await screen.agrees("Agree?")


@dataclass
class Consenting:
    """A run at whose terminal a person may have to agree first.

    Attributes:
        pause: Stops what moves on the screen.
        is_asking: Whether it waits for the person, so that nothing is under way.
    """

    pause: Callable[[], None] = lambda: None
    is_asking: bool = field(default=False, init=False)

    async def run(self, app: App, work: Callable[[], Awaitable[T]]) -> T:
        """Do something; where a person has to agree first, ask the one at this terminal and do it then.

        Raises:
            ApprovalRequired: There is nobody here, or they gave no answer.
            ActRefused: They declined, or the question has ended.
            KallyError: What the work itself raises.
        """
        for _ in range(MOST_QUESTIONS):
            try:
                return await work()
            except ApprovalRequired as needed:
                await self._ask(app, needed)
        return await work()

    async def _ask(self, app: App, needed: ApprovalRequired) -> None:
        needed.next_step = (
            f"Agree in a terminal: {PROGRAM} approve {needed.approval[: questions.SHORT]}. Then run the same again."
        )
        with terminal() as screen:
            consents = None if screen is None else (await app.parts()).consents
            approval = None if consents is None else await consents.find(needed.approval)
            if screen is None or consents is None or approval is None:
                raise needed
            self.pause()
            self.is_asking = True
            agreed = await decided(screen, approval)
            if agreed is None:
                raise needed
            try:
                await consents.decide(approval.id, agreed=agreed, how=Consent.TERMINAL, shown=approval.question.text())
            except ActRefused:
                now = await consents.find(approval.id)
                if now is None or now.decision is not None:
                    raise
                # It has changed, or its time was over: the run that follows has it asked anew.
            self.is_asking = False
        if not agreed:
            raise ActRefused(
                "You declined. Nothing was sent.",
                code="approval_declined",
                next_step="The same is not asked again for some minutes.",
                details={"outcome": "not_sent"},
            )
