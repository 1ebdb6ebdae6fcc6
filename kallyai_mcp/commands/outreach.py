"""Reaching somebody on whichever channel works, with repeated attempts."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from kallyai_mcp.model import Args, Cli, Domain, Effect, Look, Source, Subject, Undo, arg, each, optional
from kallyai_mcp.model.types import Limit, Offset, Segment, Text

outreach = Domain("outreach", "Have people contacted on whichever channel works.")

TaskId = Annotated[Segment, Field(description="Task id from kallyai_outreach_tasks.")]

STATES = ("pending", "in_progress", "completed", "failed", "cancelled")


def _states(value: str) -> str:
    if all(part in STATES for part in value.split(",")):
        return value
    rule = f"must be one or more of {', '.join(STATES)}, separated by commas without blanks."
    raise PydanticCustomError("rule", "{rule}", {"rule": rule})


States = Annotated[str, AfterValidator(_states)]

LISTED_TASK = {
    "id": "Identifier, for the other outreach tools.",
    "goal": "What to ask or tell the person, complete in itself.",
    "recipient_identifier": "Number, address or handle of the person.",
    "recipient_name": "The person's name.",
    "status": "pending, in_progress, completed, failed or cancelled.",
    "urgency": "How pressing it is.",
    "selected_channel": "Channel chosen.",
    "completed_via_channel": "Channel on which the person was reached.",
    "completion_summary": "What came of it.",
    "created_at": "When it was ordered.",
    "updated_at": "When it last changed.",
    "completed_at": "When it ended.",
}
TASK = LISTED_TASK | {
    "attempts": each(
        "The attempts, in order.",
        {
            "channel": "Channel used.",
            "status": "How it ended.",
            "started_at": "When it began.",
            "completed_at": "When it ended.",
        },
    )
}


_ENDED = ("completed", "failed", "cancelled")
_BY_ID = {"task_id": "task_id"}
_ORDERED = Look(
    command="outreach tasks",
    fixed={"limit": 100},
    entries=("tasks",),
    match={"recipient_identifier": "target", "goal": "description"},
    since="created_at",
)
_TASK_MEANT = Subject(
    look=Look(command="outreach task", given=_BY_ID),
    shows=("recipient_identifier", "recipient_name", "selected_channel", "goal", "status", "completion_summary"),
)


@outreach.command(
    "tasks",
    "GET /v1/outreach/tasks",
    Effect.READ,
    idempotent=True,
    text_from=Source.REPLY,
    answer={
        "tasks": each("The tasks.", LISTED_TASK),
        "total": "How many there are in all.",
        "has_more": "Whether more follow; go on with offset.",
    },
)
class ListOutreachTasks(Args):
    """List outreach tasks with their states and results."""

    status: States = optional("pending, in_progress, completed, failed, cancelled; several joined by commas.")
    limit: Annotated[Limit, Field(le=100)] = optional()
    offset: Offset = optional()


@outreach.command(
    "task",
    "GET /v1/outreach/tasks/{task_id}",
    Effect.READ,
    idempotent=True,
    text_from=Source.REPLY,
    answer=TASK,
)
class ShowOutreachTask(Args):
    """Show one outreach task with each attempt and its result."""

    task_id: TaskId


@outreach.command(
    "create",
    "POST /v1/outreach/tasks",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    text_from=Source.REPLY,
    answer=TASK,
    places_call=True,
    delegates=True,
    trace=_ORDERED,
    undo=Undo(
        command="outreach cancel",
        arguments={"task_id": "answer.id|entry.id"},
        until="while it is pending or in progress",
        stops=True,
        restores=False,
        look=_ORDERED,
        unless={"entry.status|answer.status": _ENDED},
    ),
)
class ContactSomebody(Args):
    """Have a person contacted by phone, email or messenger until reached.

    Spends credits and contacts a real person. Follow it with kallyai_outreach_task.
    """

    description: Text = arg("What to ask or tell the person, complete in itself.", wire="goal", cli=Cli.WORDS)
    target: Text = arg(
        "The person's phone number (E.164), mail address or messenger handle.",
        wire="recipient_identifier",
        reaches="contact",
    )
    channel: Literal["call", "email", "whatsapp", "telegram"] = optional("Omit to let the service choose.")
    recipient_name: str = optional("The person's name.")
    urgency: str = optional("How pressing, e.g. high.")
    auto_execute: bool = optional("Whether to start at once; false only prepares it.")
    coordination_message_id: str = optional("message_id from kallyai_ask this belongs to.")


@outreach.command(
    "retry",
    "POST /v1/outreach/tasks/{task_id}/retry",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    text_from=Source.REPLY,
    places_call=True,
    subject=replace(_TASK_MEANT, reaches=("recipient_identifier",)),
    trace=Look(
        command="outreach tasks", fixed={"limit": 100}, entries=("tasks",), match={"id": "task_id"}, since="updated_at"
    ),
    undo=Undo(
        command="outreach cancel",
        arguments={"task_id": "args.task_id"},
        until="while it is pending or in progress",
        stops=True,
        restores=False,
        unless={"entry.status|answer.status": _ENDED},
    ),
)
class RetryOutreach(Args):
    """Try a failed or waiting outreach task again now. Contacts the person and spends credits."""

    task_id: TaskId


@outreach.command(
    "cancel",
    "POST /v1/outreach/tasks/{task_id}/cancel",
    Effect.DESTROY,
    idempotent=True,
    subject=_TASK_MEANT,
    trace=Look(command="outreach task", given=_BY_ID, states={"status": ("cancelled",)}),
)
class CancelOutreach(Args):
    """Call an outreach task off; no further attempts are made."""

    task_id: TaskId
