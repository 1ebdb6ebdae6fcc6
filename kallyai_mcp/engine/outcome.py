"""What became of an act: its state from the failure, its charge from the answer, and what the caller is told of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kallyai_mcp.commands.calls import ENDED
from kallyai_mcp.engine.naming import undo_of, undone_sentence
from kallyai_mcp.errors import ActRefused, ApiError, SignInRequired, TransportError
from kallyai_mcp.model import State
from kallyai_mcp.model.acts import LONGEST_CALL, price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.engine.naming import Allows
    from kallyai_mcp.engine.result import Result
    from kallyai_mcp.errors import KallyError
    from kallyai_mcp.model import Command
    from kallyai_mcp.model.records import Act

ACT = "_act"
"""Field of a result that tells about the act."""

LOOK_AT = "kallyai_acts"


def state_after(error: KallyError) -> State:
    """Return the state of an act whose sending failed."""
    outcome = error.details.get("outcome")
    if outcome == "unknown":
        return State.UNKNOWN
    if outcome == "not_sent" or isinstance(error, SignInRequired | ActRefused):
        return State.NOT_SENT
    if isinstance(error, TransportError):
        return State.UNKNOWN
    return State.FAILED if isinstance(error, ApiError) else State.NOT_SENT


def credits_of(command: Command, most: float) -> float:
    """Return the credits to set aside: the documented price at its highest, or all that one act may cost."""
    if not command.costs_credits:
        return 0.0
    return most if command.price is None else price(command.price, minutes=LONGEST_CALL)


def charge_of(command: Command, answer: Mapping[str, Any] | None) -> float | None:
    """Return what the answer says was charged; else the documented price, if that is one; else None.

    A call that is not over yet will cost more than it says.
    """
    if not command.costs_credits:
        return 0.0
    if answer is not None and is_over(command, answer) and (told := _number(answer.get("credits_used"))) is not None:
        return told
    if command.price is None or command.price == "call":
        return None
    return price(command.price, minutes=0)


def is_over(command: Command, answer: Mapping[str, Any]) -> bool:
    """Whether what an answer shows of an act is its end; of a call, that may take a while."""
    return command.price != "call" or answer.get("status") in (None, *ENDED)


def charge_of_goal(goal: Mapping[str, Any]) -> float | None:
    """Return what a goal has cost or is expected to cost in all, whichever is more."""
    told = [_number(goal.get(name)) for name in ("credits_used", "credits_estimated")]
    known = [amount for amount in told if amount is not None]
    return max(known) if known else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None


def told(command: Command, act: Act, allows: Allows) -> dict[str, Any]:
    """Return what a result says about its act, to somebody who may run some tools."""
    facts: dict[str, Any] = {
        "id": act.id,
        "outcome": str(act.state),
        "agreed": str(act.draft.consent),
        "at": _moment(act.sent or act.created),
        "undo": undo_of(command, act, allows) if act.state is State.DONE else {"possible": False},
    }
    if act.charged is not None:
        facts["charged_credits"] = act.charged
    if act.note:
        facts["note"] = act.note
    if act.draft.mandate:
        facts["mandate"] = act.draft.mandate
    return facts


def with_act(result: Result, command: Command, act: Act, allows: Allows) -> Result:
    """Add what is to be known of the act to its result."""
    facts = told(command, act, allows)
    sentence = f"Act {facts['id']}: {facts['outcome']}. {undone_sentence(facts['undo'])}"
    return result.with_facts({ACT: facts}, after=(sentence,))


def earlier(command: Command, act: Act, result: Result, allows: Allows) -> Result:
    """Answer a request for an act that was done just before with what came of it, and ask whether another is wanted."""
    question = (
        f"Not done again: exactly this was done at {_moment(act.sent or act.created)}, and this is what came of it. Is "
        f"another one wanted? Ask the user; if so, run it again with repeat_of set to {act.id}."
    )
    again = {"act": act.id, "question": question, "repeat_of": act.id}
    return result.with_facts({ACT: told(command, act, allows), "_earlier": again}, before=(f"{question}\n",))


def still_unknown(command: Command, act: Act) -> ActRefused:
    """Make the error of a request for an act of which nobody knows whether it was done."""
    found = act.state is State.NOT_FOUND
    return ActRefused(
        f"Not sent again: the same act was sent at {_moment(act.sent or act.created)}, its answer was lost, and "
        + ("the service shows no trace of it." if found else "nobody knows yet whether it was done."),
        code="outcome_unknown",
        next_step=f"See with {LOOK_AT} how it stands. Ask the user whether another one is wanted; if so, run it again "
        f"with repeat_of set to {act.id}.",
        details={"outcome": str(act.state), "retry_safe": False, "act": act.id, "repeat_of": act.id},
    )


def mark_unknown(error: KallyError, act: Act) -> None:
    """Say in the error of an act with unknown outcome that it must not be repeated, and how it is found out."""
    error.retryable = False
    error.details |= {"outcome": "unknown", "retry_safe": False, "act": act.id}
    error.next_step = f"{error.next_step} This server looks it up by itself; {LOOK_AT} tells what it found."


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def unshown(error: KallyError, command: Command, act: str | None = None) -> KallyError:
    """Return the error of something that was done and whose answer must not be shown at this moment."""
    error.message = f"{command.tool} was done, but its answer cannot be shown now. {error.message}"
    error.next_step = f"Do not run {command.tool} again for it." + (
        "" if act is None else f" Its answer comes with kallyai_wait, id {act}."
    )
    error.retryable = False
    error.details |= {"outcome": "done"} | ({} if act is None else {"act": act})
    return error
