"""Things done for the user: calendar, bookings, bills, orders, mail through the outbox, and the log of it all."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from kallyai_mcp.commands.shared import logged, take_back
from kallyai_mcp.model import Args, Cli, Domain, Effect, Look, Source, Subject, Undo, arg, each, group, optional
from kallyai_mcp.model.types import Count, Date, DateTime, Email, Limit, Segment, Text, Time

actions = Domain("actions", "Calendar, bookings, bills, rides, errands and outgoing mail, with a log and undo.")

QueuedEmailId = Annotated[Segment, Field(description="Email id from kallyai_actions_email_outbox.")]


_MAIL = Look(command="actions email outbox", entries=("emails",), match={"id": "email_id"})
_DRAFTED = replace(_MAIL, match={"to": "to", "subject": "subject"}, since="created_at")
_MAIL_MEANT = Subject(look=_MAIL, shows=("to", "cc", "subject", "body", "status"))
_ENTRY = Look(command="actions log", fixed={"limit": 100}, entries=("actions",), match={"id": "action_id"})
_BOOKING = replace(_ENTRY, fixed={**_ENTRY.fixed, "type": "booking"}, match={"booking_id": "booking_id"})
_BOOKED = logged("booking", "restaurant_id", "date", "time", "party_size", "name")
_RIDE, _FOOD = logged("ride", "pickup", "destination"), logged("food", "description")
_ORDER_ID = "answer.action_id|entry.id|answer.id"
_ERRAND, _DISPUTE = logged("errand", "description"), logged("bill", "description")


@actions.command("calendar create", "POST /v1/actions/calendar/events", Effect.WRITE)
class CreateCalendarEvent(Args):
    """Put an event into the user's calendar. kallyai_actions_calendar_delete takes it out again."""

    title: Text = arg("Title of the event.")
    start: DateTime = arg("Begin in the user's local time, YYYY-MM-DDTHH:MM.")
    end: DateTime = optional("End, in the same form.")
    location: str = optional("Where it takes place.")
    description: str = optional("What it is about.")


@actions.command("calendar slots", "GET /v1/actions/calendar/slots", Effect.READ, idempotent=True)
class ListFreeSlots(Args):
    """List free times in the user's calendar."""

    date: Date = optional("Day to look at, YYYY-MM-DD.")
    duration: Count = optional("Length needed, in minutes.", wire="duration_minutes")


@actions.command("calendar sync", "POST /v1/actions/calendar/sync", Effect.WRITE, idempotent=True, slow=True)
class SyncCalendar(Args):
    """Bring the calendar up to date with the user's Google or Outlook calendar. May take minutes."""


@actions.command("calendar delete", "DELETE /v1/actions/calendar/events/{event_id}", Effect.DESTROY, idempotent=True)
class DeleteCalendarEvent(Args):
    """Remove an event from the calendar for good."""

    event_id: Annotated[Segment, Field(description="Event id from kallyai_actions_calendar_create.")]


@actions.command(
    "restaurant search",
    "POST /v1/actions/bookings/restaurants/search",
    Effect.READ,
    costs_credits=True,
    slow=True,
    text_from=Source.SEARCH,
    answer={
        "results": each(
            "The restaurants found.",
            {
                "id": "Identifier, for restaurant_id of kallyai_actions_booking_create.",
                "name": "Name.",
                "cuisine": "Kind of food.",
                "rating": "Rating by guests.",
                "price_range": "How dear it is, as currency signs.",
                "phone": "Phone number in E.164 form.",
                "address": "Street address.",
                "availability": "Whether a table is free at the time wanted, where known.",
            },
        )
    },
    price="search",
)
class SearchRestaurants(Args):
    """Find restaurants, and free tables where known. Spends credits. Then kallyai_actions_booking_create."""

    query: Text = arg("What to look for.", cli=Cli.WORDS)
    location: str = optional("City, street or district to search in.")
    party_size: Count = optional("How many people.")
    date: Date = optional("Day wanted, YYYY-MM-DD.")
    time: Time = optional("Time wanted, 24-hour HH:MM.")


@actions.command(
    "booking create",
    "POST /v1/actions/bookings",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    text_from=Source.OUTCOME,
    price="booking",
    trace=_BOOKED,
    undo=take_back(
        _BOOKED,
        otherwise=Undo(
            command="actions booking cancel",
            arguments={"booking_id": "answer.booking_id|entry.booking_id|answer.id"},
            until="while the business accepts it",
            stops=True,
            restores=False,
            look=_BOOKED,
        ),
    ),
)
class CreateBooking(Args):
    """Book a table, room or service in the user's name. Contacts the business and spends credits."""

    type: Literal["restaurant", "hotel", "service", "other"] = arg("What to book.")
    restaurant_id: str = optional("Id from kallyai_actions_restaurant_search.")
    date: Date = optional("Day of the booking, YYYY-MM-DD.")
    time: Time = optional("Time of the booking, 24-hour HH:MM.")
    party_size: Count = optional("How many people.")
    name: str = optional("Name to book under.")
    notes: str = optional("Wishes to pass on, such as a quiet table.")


@actions.command(
    "booking cancel",
    "DELETE /v1/actions/bookings/{booking_id}",
    Effect.DESTROY,
    contacts_people=True,
    idempotent=True,
    subject=Subject(look=_BOOKING, shows=("description", "status", "created_at")),
    trace=replace(_BOOKING, states={"status": ("cancelled",)}, is_complete=False),
)
class CancelBooking(Args):
    """Call a booking off. The business is told, and the place may be gone."""

    booking_id: Annotated[Segment, Field(description="Booking id from kallyai_actions_booking_create.")]


@actions.command(
    "bill analyze",
    "POST /v1/actions/bills/analyze",
    Effect.READ,
    costs_credits=True,
    slow=True,
    answer={
        "analysis": group(
            "The judgement.",
            {
                "fair_price_range": "What would be fair, as text.",
                "overcharge_detected": "Whether the bill looks too high.",
                "savings_potential": "What could be saved, as text.",
                "recommendations": "What to do about it.",
            },
        )
    },
    price="bill_analysis",
)
class AnalyzeBill(Args):
    """Judge whether a bill is fair and what could be saved. Spends credits, contacts nobody."""

    description: Text = arg("What was billed, for what and when, in words.", cli=Cli.WORDS)
    amount: float = optional("Total of the bill, in its own currency.")
    provider: str = optional("Company that issued it.")


@actions.command(
    "bill dispute",
    "POST /v1/actions/bills/dispute",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    trace=_DISPUTE,
)
class DisputeBill(Args):
    """Contest a charge with the company that billed it. Contacts the company and spends credits."""

    description: Text = arg("What was billed, for what and when, in words.", cli=Cli.WORDS)
    amount: float = optional("Total of the bill, in its own currency.")
    provider: str = optional("Company that issued it.")
    reason: str = optional("Why the charge is wrong.")


@actions.command(
    "ride",
    "POST /v1/actions/tasks/ride",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    price="ride",
    trace=_RIDE,
    undo=take_back(_RIDE, action_id=_ORDER_ID),
)
class OrderRide(Args):
    """Order a real ride for the user; a driver comes. Spends credits."""

    pickup: Text = arg("Address to be picked up at.")
    destination: Text = arg("Address to be driven to.")
    time: DateTime = optional("When, local time, YYYY-MM-DDTHH:MM; omit for now.", wire="pickup_time")


@actions.command(
    "food",
    "POST /v1/actions/tasks/food",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    price="food",
    delegates=True,
    trace=_FOOD,
    undo=take_back(_FOOD, action_id=_ORDER_ID),
)
class OrderFood(Args):
    """Order real food to be delivered. Spends credits."""

    description: Text = arg("What to order, from where, in words.", cli=Cli.WORDS)
    address: str = optional("Street address to deliver to.", wire="delivery_address")


@actions.command(
    "errand",
    "POST /v1/actions/tasks/errand",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    price="errand",
    delegates=True,
    trace=_ERRAND,
    undo=take_back(_ERRAND, action_id=_ORDER_ID),
)
class RunErrand(Args):
    """Have somebody run an errand for the user. Spends credits."""

    description: Text = arg("What is to be done, where and by when, in words.", cli=Cli.WORDS)


@actions.command(
    "email send",
    "POST /v1/actions/email/send",
    Effect.WRITE,
    costs_credits=True,
    price="email_send",
    trace=_DRAFTED,
    undo=Undo(
        command="actions email cancel",
        arguments={"email_id": "answer.id|entry.id"},
        until="until kallyai_actions_email_approve",
        stops=True,
        look=_DRAFTED,
        unless={"entry.status|answer.status": ("sending", "sent", "failed", "cancelled")},
    ),
)
class DraftEmail(Args):
    """Write an email and queue it; nothing leaves until kallyai_actions_email_approve. Spends credits."""

    to: Email = arg("Recipient's mail address.", reaches="contact")
    subject: Text = arg("Subject line.")
    body: Text = arg("Text of the email.", cli=Cli.WORDS)
    cc: Email = optional("One more mail address that gets a copy.", reaches="contact")


@actions.command(
    "email approve",
    "POST /v1/actions/email/{email_id}/approve",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    price="email_send",
    subject=replace(_MAIL_MEANT, reaches=("to", "cc")),
    trace=replace(_MAIL, states={"status": ("sending", "sent")}),
)
class SendQueuedEmail(Args):
    """Send a queued email to its recipient now. It cannot be called back. Spends credits."""

    email_id: QueuedEmailId


@actions.command(
    "email cancel",
    "POST /v1/actions/email/{email_id}/cancel",
    Effect.DESTROY,
    idempotent=True,
    subject=_MAIL_MEANT,
    trace=replace(_MAIL, states={"status": ("cancelled",)}, is_complete=False),
)
class CancelQueuedEmail(Args):
    """Drop a queued email before it is sent."""

    email_id: QueuedEmailId


@actions.command(
    "email outbox",
    "GET /v1/actions/email/outbox",
    Effect.READ,
    idempotent=True,
    answer={
        "emails": each(
            "Emails queued and sent.",
            {
                "id": "Identifier, for approving, cancelling and reading replies.",
                "to": "Recipient's mail address.",
                "subject": "Subject line.",
                "status": "How far it is; pending_approval waits for kallyai_actions_email_approve.",
                "created_at": "When it was written.",
            },
        )
    },
)
class ListOutbox(Args):
    """List emails queued or sent through kallyai_actions_email_send, with ids and states."""


@actions.command(
    "email replies",
    "GET /v1/actions/email/{email_id}/replies",
    Effect.READ,
    idempotent=True,
    text_from=Source.MAIL,
)
class ListEmailReplies(Args):
    """List the answers that came to an email sent from the outbox."""

    email_id: QueuedEmailId


@actions.command(
    "log",
    "GET /v1/actions/log",
    Effect.READ,
    idempotent=True,
    text_from=Source.OUTCOME,
    answer={
        "actions": each(
            "What was done.",
            {
                "id": "Identifier, for kallyai_actions_undo.",
                "type": "calendar, booking, bill, ride, food, errand or email.",
                "description": "What it was.",
                "status": "How it stands.",
                "created_at": "When it was done.",
                "undoable": "Whether kallyai_actions_undo can take it back.",
            },
        )
    },
)
class ListActions(Args):
    """List what the assistant has done, and what kallyai_actions_undo can take back."""

    type: Literal["calendar", "booking", "bill", "ride", "food", "errand", "email"] = optional("Only this kind.")
    limit: Limit = optional()


@actions.command(
    "undo",
    "POST /v1/actions/{action_id}/undo",
    Effect.DESTROY,
    contacts_people=True,
    idempotent=True,
    subject=Subject(look=_ENTRY, shows=("type", "description", "status", "undoable")),
    trace=replace(_ENTRY, states={"status": ("undone",)}, is_complete=False),
)
class UndoAction(Args):
    """Take back an action whose log entry says undoable. May cancel a real booking or contact people."""

    action_id: Annotated[Segment, Field(description="Action id from kallyai_actions_log.")]
