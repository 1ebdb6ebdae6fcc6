"""What this server keeps about acts: what was done, what may be done, and the brake. Nothing of it goes to the API."""

from typing import Annotated

from pydantic import Field

from kallyai_mcp.model import Args, Domain, Effect, arg, each, group, optional
from kallyai_mcp.model.types import Count, DateTime, Limit, Text

acts = Domain("acts", "See, bound and stop what is done in the user's name.", prefix=())

_ACT = {
    "id": "Identifier; repeat_of takes it.",
    "tool": "What was run.",
    "outcome": "prepared, sent, done, failed, not_sent, unknown or not_found.",
    "at": "When.",
    "to": "Whom it reached, masked.",
    "agreed": "Who agreed to it.",
    "charged_credits": "What it cost.",
    "undo": "Whether it can be reversed, how and until when.",
}
_MANDATE = {
    "id": "Identifier.",
    "purpose": "What it is for.",
    "tools": "What may be run.",
    "recipients": "Who may be reached; empty for anyone.",
    "acts_left": "How many acts are left.",
    "credits_left": "How many credits are left.",
    "until": "When it ends.",
}


@acts.command(
    "stop",
    None,
    Effect.WRITE,
    idempotent=True,
    answer={
        "stopped": "Whether all acts are stopped.",
        "cancelled": each("What was under way and is cancelled.", {"act": "The act.", "with": "How."}),
        "not_stopped": each("What goes on all the same.", {"act": "The act.", "why": "Why."}),
        "message": "All this in a sentence.",
    },
)
class StopActs(Args):
    """Stop at once everything that is being done in the user's name, and all acts to come.

    Use it when the user wants an end to it, or when something goes wrong. Only a person can go on, in a terminal.
    """


@acts.command(
    "acts",
    None,
    Effect.READ,
    idempotent=True,
    answer={
        "acts": each("The acts, newest first.", _ACT),
        "approval": "Who agrees to acts: ask, host or off.",
        "stopped": "Since when and by whom all acts are stopped, if they are.",
        "limits": "What is used and what is allowed.",
        "mandates": each("What the user has agreed to in advance.", _MANDATE),
    },
)
class ListActs(Args):
    """List what this server has done for the user, with outcomes; looks up first what became of unknown ones."""

    limit: Annotated[Limit, Field(le=100)] = optional(default=20)


@acts.command(
    "mandate",
    None,
    Effect.WRITE,
    answer={"mandate": group("The mandate.", _MANDATE), "message": "What it allows, in a sentence."},
)
class ProposeMandate(Args):
    """Have the user agree once to a bounded errand, such as calling up to three plumbers before 18:00.

    A person is asked. Acts within the bounds then need no further question.
    """

    purpose: Text = arg("What it is for, in words.", max_length=300)
    tools: Annotated[list[Text], Field(min_length=1, max_length=10)] = arg("Names of the tools to be run.")
    recipients: Annotated[list[Text], Field(max_length=50)] = optional(
        "Numbers (+12025550143, or +1202* for all that begin so), mail addresses or @domains; omit for anyone."
    )
    acts: Annotated[Count, Field(le=100)] = arg("Most acts.")
    credits: Annotated[float, Field(ge=0, le=10_000)] = arg("Most credits in all.")
    until: DateTime = arg("When it ends, YYYY-MM-DDTHH:MM, at most a week ahead; the user's zone unless it has one.")


@acts.command(
    "mandate-revoke", None, Effect.WRITE, idempotent=True, answer={"revoked": "Whether it is no longer in force."}
)
class RevokeMandate(Args):
    """Take a mandate back; what falls under it is asked for again."""

    mandate_id: Text = arg("Mandate id from kallyai_acts.")
