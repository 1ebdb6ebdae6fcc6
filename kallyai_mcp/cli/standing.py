"""How acts stand: who agrees to them, whether they are stopped, what of the limits is used, what waits for a person."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from kallyai_mcp.cli.questions import clock, command_of
from kallyai_mcp.cli.text import PROGRAM
from kallyai_mcp.errors import KallyError

if TYPE_CHECKING:
    from kallyai_mcp.cli.program import App
    from kallyai_mcp.settings import Settings

_AGREES = {
    "ask": "a person is asked",
    "host": "left to the host (approval: host)",
    "off": "nobody (approval: off)",
}
_LIMITS = (
    ("credits in an hour", "credits_hour", "max_credits_per_hour"),
    ("credits in a day", "credits_day", "max_credits_per_day"),
    ("calls in an hour", "calls_hour", "max_calls_per_hour"),
    ("new recipients in a day", "new_recipients_day", "max_new_recipients_per_day"),
    ("acts under way", "in_flight", "max_acts_in_flight"),
)
"""For each limit its words, its name among what is used, and its setting."""


async def standing(app: App, settings: Settings) -> dict[str, Any]:
    """Return how acts stand; where the journal cannot be used, the settings and why."""
    safety = settings.safety
    facts: dict[str, Any] = {"approval": safety.approval}
    facts |= {name: True for name in ("dry_run", "lockdown") if getattr(safety, name)}
    try:
        parts = await app.parts()
        known = await parts.control.standing()
        waiting = await parts.journal.pending()
    except KallyError as problem:
        told = {"code": problem.error_code, "message": problem.message, "next_step": problem.next_step}
        return facts | {"problem": told}
    mine = [approval for account, approval in waiting if account == parts.owner.key]
    facts |= known | {"stopped": known.get("stopped"), "open_questions": len(mine)}
    return facts | ({"open_questions_of_others": len(waiting) - len(mine)} if len(waiting) > len(mine) else {})


def shown_standing(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the same for people."""
    shown: dict[str, Any] = {"who_agrees_to_acts": _AGREES[facts["approval"]]}
    if facts.get("dry_run"):
        shown["dry_run"] = "every act is checked and none is sent"
    if facts.get("lockdown"):
        shown["lockdown"] = "strangers' words are withheld"
    if problem := facts.get("problem"):
        return shown | {"acts": f"none can be run. {problem['message']} {problem['next_step']}"}
    stop = facts["stopped"]
    shown["stopped"] = f"since {_clock(stop['since'])}, by {stop['by']}; to go on: {PROGRAM} resume" if stop else "no"
    used, allowed = facts["limits"]["used"], facts["limits"]["allowed"]
    shown |= {words: f"{used[mine]:g} of {allowed[setting]:g}" for words, mine, setting in _LIMITS}
    shown["credits_for_an_act"] = f"at most {allowed['max_credits_per_act']:g}"
    open_questions = facts["open_questions"]
    shown["open_questions"] = f"{open_questions}; see them: {PROGRAM} approve" if open_questions else "none"
    if others := facts.get("open_questions_of_others"):
        shown["open_questions_of_other_accounts"] = f"{others}; see them: {PROGRAM} approve"
    shown["mandates"] = [_mandate(mandate) for mandate in facts["mandates"]] or "none"
    return shown


def _mandate(mandate: dict[str, Any]) -> dict[str, Any]:
    left = f"{mandate['acts_left']} acts, {mandate['credits_left']:g} credits"
    tools = [command_of(str(tool)) for tool in mandate["tools"]]
    return {key: mandate[key] for key in ("id", "purpose")} | {"tools": tools, "left": left, "until": mandate["until"]}


def _clock(text: str) -> str:
    return clock(datetime.fromisoformat(text).timestamp())
