"""Phone calls that the assistant places."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from kallyai_mcp.model import Args, Domain, Effect, Look, Source, Subject, Undo, arg, each, group, optional
from kallyai_mcp.model.types import Count, Date, Limit, Offset, PhoneNumber, Segment, Time, TimeZone

calls = Domain("calls", "Place phone calls and read what came of them.")

CallId = Annotated[Segment, Field(description="Call id from kallyai_calls_make or kallyai_calls_history.")]
Language = Literal["en", "es"]

CALL = {
    "call_id": "Identifier of the call, for the other calls tools.",
    "status": "How it ended: success, no_answer, busy, failed, voicemail or cancelled.",
    "highlights": "What was found out or settled.",
    "next_steps": "What is left to do.",
    "duration_seconds": "Length of the conversation in seconds.",
    "credits_used": "Credits charged.",
    "metadata": group("Times of the call.", {"created_at": "When it was ordered.", "ended_at": "When it ended."}),
    "submission": "The order as the service understood it.",
    "to": "Number dialled.",
    "business_name": "Who was called.",
    "result_summary": "Outcome in a sentence.",
    "created_at": "When it was ordered.",
}


ENDED = ("success", "no_answer", "busy", "failed", "voicemail", "cancelled")
"""States of a call that is over, as the API documents them."""

_NUMBER = "to|submission.respondent_phone"
_PLACED = Look(
    command="calls history",
    fixed={"limit": 100},
    entries=("items",),
    match={_NUMBER: "phone", "submission.task_description": "task"},
    loose=("submission.task_description",),
    where_shown=("submission.task_description",),  # in the list, as the API documents it, there is none
    since="created_at|metadata.created_at",
)
_CALL = Look(command="calls info", given={"call_id": "call_id"})
_CALL_MEANT = Subject(
    look=_CALL,
    shows=(_NUMBER, "business_name", "submission.task_description", "status", "scheduled_for", "result_summary"),
)


@calls.command(
    "make",
    "POST /v1/calls",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    slow=True,
    idempotency_key=True,
    text_from=Source.CALL,
    answer=CALL,
    price="call",
    places_call=True,
    trace=_PLACED,
    undo=Undo(
        command="calls stop",
        arguments={"call_id": "answer.call_id|entry.call_id"},
        until="while it is in progress",
        stops=True,
        restores=False,
        look=_PLACED,
        unless={"entry.status|answer.status": ENDED},
        otherwise=Undo(
            command="calls cancel",
            arguments={"call_id": "answer.call_id|entry.call_id"},
            until="while it is scheduled or queued",
            stops=True,
            look=_PLACED,
            unless={"entry.status|answer.status": ENDED},
        ),
    ),
)
class MakeCall(Args):
    """Phone a number and have the assistant carry out one task by voice.

    Rings a real person, spends credits, and answers when the call is over, which may take minutes. Then
    kallyai_calls_transcript has every word.
    """

    phone: PhoneNumber = arg(
        "Number to dial: +, country code, number; no blanks.",
        wire="submission.respondent_phone",
        cli=("-p", "--phone"),
        reaches="contact",
    )
    task: str = arg(
        "What to ask or settle, with every fact and limit needed; the assistant knows nothing else.",
        wire="submission.task_description",
        cli=("-t", "--task"),
        min_length=10,
        max_length=1000,
    )
    category: Literal["restaurant", "clinic", "hotel", "general"] = optional(
        "Kind of place called.", default="general", wire="submission.task_category", cli=("-c", "--category")
    )
    language: Language = optional(
        "Language of the summary; default: the server's setting.",
        wire="submission.language",
        cli=("-l", "--language"),
        setting="language",
    )
    call_language: Language = optional(
        "Language to speak; default: as language.", wire="submission.call_language", same_as="language"
    )
    name: str = optional("The user's name, to be given on the call.", wire="submission.user_name", max_length=100)
    business: str = optional("Name of the business called.", wire="submission.business_name", max_length=200)
    party_size: Annotated[Count, Field(le=50)] = optional(
        "How many people the booking is for.", wire="submission.party_size"
    )
    date: Date = optional("Date of the appointment, YYYY-MM-DD.", wire="submission.appointment_date")
    time: Time = optional("Time of the appointment, 24-hour HH:MM.", wire="submission.appointment_time")
    timezone: TimeZone = optional(
        "IANA zone of date and time, such as Europe/Madrid; default: the server's.", setting="timezone"
    )
    user_phone: PhoneNumber = optional(
        "The user's number for calling back, E.164.", wire="submission.user_phone", reaches="callback"
    )
    time_preference_text: str = optional(
        "Times that suit, in words, such as any weekday after 17:00.",
        wire="submission.time_preference_text",
        max_length=200,
    )
    is_urgent: bool = optional("Whether the matter is urgent.", wire="submission.is_urgent")
    additional_instructions: list[str] = optional(
        "Further instructions for the call, one per entry.", wire="submission.additional_instructions"
    )


@calls.command(
    "history",
    "GET /v1/calls",
    Effect.READ,
    idempotent=True,
    text_from=Source.CALL,
    answer={"items": each("The calls, newest first.", CALL), "total": "How many there are in all."},
)
class ListCalls(Args):
    """List the calls placed so far, newest first."""

    limit: Annotated[Limit, Field(le=200)] = optional(default=10)
    offset: Offset = optional()


@calls.command("info", "GET /v1/calls/{call_id}", Effect.READ, idempotent=True, text_from=Source.CALL, answer=CALL)
class ShowCall(Args):
    """Show state, outcome, next steps and credits charged of one placed call."""

    call_id: CallId


@calls.command(
    "transcript",
    "GET /v1/calls/{call_id}/transcript",
    Effect.READ,
    idempotent=True,
    text_from=Source.CALL,
    answer={
        "entries": each(
            "What was said, in order.",
            {
                "speaker": "AI (the assistant) or HUMAN.",
                "content": "The words.",
                "timestamp": "Time since the start of the call.",
            },
        )
    },
)
class ReadTranscript(Args):
    """Read, turn by turn, what was said in a finished call."""

    call_id: CallId


@calls.command(
    "recording",
    "GET /v1/calls/{call_id}/recording",
    Effect.READ,
    idempotent=True,
    answer={
        "url": "Address of the audio file; give it to the user.",
        "duration_seconds": "Length in seconds.",
        "format": "Audio format.",
    },
)
class GetRecording(Args):
    """Get the address of a call's audio recording."""

    call_id: CallId


@calls.command(
    "calendar",
    "GET /v1/calls/{call_id}/calendar.ics",
    Effect.READ,
    idempotent=True,
    calendar=True,
    text_from=Source.CALL,
)
class GetCalendarFile(Args):
    """Get the appointment that a call made, as an iCalendar file; not found if it made none."""

    call_id: CallId


@calls.command(
    "cancel",
    "POST /v1/calls/{call_id}/cancel",
    Effect.DESTROY,
    idempotent=True,
    subject=_CALL_MEANT,
    trace=replace(_CALL, states={"status": ("cancelled",)}),
    text_from=Source.CALL,
)
class CancelCall(Args):
    """Cancel a call that is scheduled or queued. For one in progress use kallyai_calls_stop."""

    call_id: CallId


@calls.command(
    "reschedule",
    "POST /v1/calls/{call_id}/reschedule",
    Effect.WRITE,
    contacts_people=True,
    idempotent=True,
    places_call=True,
    subject=replace(_CALL_MEANT, reaches=(_NUMBER,)),
    undo=Undo(
        command="calls cancel",
        arguments={"call_id": "args.call_id"},
        until="while it is scheduled or queued",
        stops=True,
        restores=False,
        otherwise=Undo(
            command="calls stop",
            arguments={"call_id": "args.call_id"},
            until="while it is in progress",
            stops=True,
            restores=False,
        ),
    ),
    text_from=Source.CALL,
)
class RescheduleCall(Args):
    """Move a call that has not begun to another date or time. It is then placed by itself and rings a real person."""

    call_id: CallId
    date: Date = optional("New date, YYYY-MM-DD.")
    time: Time = optional("New time, 24-hour HH:MM.")


@calls.command(
    "stop",
    "POST /v1/calls/{call_id}/stop",
    Effect.DESTROY,
    idempotent=True,
    subject=_CALL_MEANT,
    trace=replace(_CALL, states={"status": ENDED}),
    text_from=Source.CALL,
)
class StopCall(Args):
    """Hang up on a call in progress. What was charged stays charged."""

    call_id: CallId
