"""Values with a fixed outcome in requests other than calls, as payment providers have test cards.

`numbers` holds the telephone numbers. Whatever stands in neither table goes well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Subject = Literal["mail", "calendar", "search", "restaurant", "booking", "task", "message"]


@dataclass(frozen=True, slots=True)
class Trigger:
    """A value and what follows from it.

    Attributes:
        subject: What it is a value of: the recipient of a mail, the title of a calendar event, the query of a search,
            the query of a restaurant search, the notes of a booking, the description of a ride, a meal or an errand,
            the text of a message to the coordinator.
        value: For a mail the part before the @, else words that stand anywhere in the text, whatever their case.
        outcome: Name by which the areas ask for it.
        meaning: What happens, for the generated table.
    """

    subject: Subject
    value: str
    outcome: str
    meaning: str


TRIGGERS = (
    Trigger("mail", "bounce", "fails", "Approving it answers email_send_failed; the mail is marked failed, free."),
    Trigger("mail", "late-bounce", "bounces", "It is sent, then comes back: failed, and the credits are returned."),
    Trigger("mail", "no-reply", "silent", "It is sent and nobody ever replies."),
    Trigger("mail", "slow", "slow", "It is sent; the reply takes a day."),
    Trigger(
        "calendar", "sync fails", "fails", "While an event has this title, synchronising answers calendar_sync_failed."
    ),
    Trigger("search", "search fails", "fails", "The search answers search_failed and is not charged."),
    Trigger("search", "no results", "empty", "The search finds nothing."),
    Trigger("restaurant", "search fails", "fails", "The restaurant search answers search_failed and is not charged."),
    Trigger("restaurant", "no results", "empty", "No restaurant is found."),
    Trigger("restaurant", "fully booked", "full", "Restaurants are found, and none has a table."),
    Trigger("booking", "declined", "declined", "The place declines the booking; the credits are returned."),
    Trigger("task", "fails", "fails", "The provider gives the order up; the credits are returned."),
    Trigger("message", "ask me first", "asks", "The goal needs an answer of the user before anything is done."),
    Trigger("message", "needs a budget", "budget", "The goal waits until its budget is approved."),
    Trigger("message", "soft cap", "soft_cap", "The goal stops at its soft spending limit after the first step."),
    Trigger("message", "over budget", "exceeded", "The goal would spend more than it may and stops."),
)
"""All of them; the documentation's table is made from it."""


def outcome(subject: Subject, text: str | None) -> str | None:
    """Return the outcome that a value fixes, or None if it fixes none."""
    given = (text or "").casefold()
    for trigger in TRIGGERS:
        if trigger.subject != subject:
            continue
        if given.partition("@")[0] == trigger.value if subject == "mail" else trigger.value in given:
            return trigger.outcome
    return None
