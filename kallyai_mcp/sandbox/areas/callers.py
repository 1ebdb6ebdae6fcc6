"""People who ring the receptionist, with what they say. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """A person who rings, always with the same concern.

    Attributes:
        number: E.164, out of a range kept free for fiction.
        name: Who they say they are; empty for somebody who does not say.
        said: The talk, the caller's words and the assistant's in turn.
        summary: What it came to.
        to_do: What is left for the user; empty if nothing.
        message: What they leave on a machine.
    """

    number: str
    name: str
    said: tuple[str, ...]
    summary: str
    to_do: str
    message: str


CALLERS: tuple[Caller, ...] = (
    Caller(
        "+12025550161",
        "Mara Lindqvist",
        (
            "Hi, is Sam there? It is about the flat on Cedar Street.",
            "Sam is not free now. I am the assistant and pass everything on. What may I say?",
            "The viewing can only be at five on Thursday. Does that suit?",
            "I will ask and you will hear from us today. Is this the right number to call back?",
            "Yes, thank you.",
            "Thank you. Goodbye.",
        ),
        "Mara Lindqvist offers a viewing of the flat on Cedar Street on Thursday at 17:00.",
        "Say whether Thursday at 17:00 suits for the viewing.",
        "Hi, this is Mara about the flat on Cedar Street. Please call me about the viewing on Thursday.",
    ),
    Caller(
        "+12025550162",
        "Quickship Couriers",
        (
            "Good day, Quickship here. Nobody was at the door for your parcel.",
            "I am the assistant. When can you try again?",
            "Tomorrow between nine and eleven, or it waits at the depot for a week.",
            "Tomorrow morning is fine. Thank you for calling.",
            "All right, tomorrow then. Goodbye.",
        ),
        "The courier brings the parcel again tomorrow between 9:00 and 11:00.",
        "Be at the door tomorrow between 9:00 and 11:00.",
        "Quickship here. Your parcel is at the depot and waits there for a week.",
    ),
    Caller(
        "+447700900163",
        "Owen Pryce",
        (
            "Hello, Owen here. I have read the offer and have two questions.",
            "Sam will be glad to hear it. Which are they?",
            "Whether delivery is included, and if we can start in the week of the tenth.",
            "I have both. You will get an answer by mail today.",
            "Lovely, cheers.",
            "Goodbye, Owen.",
        ),
        "Owen Pryce asks whether delivery is included and whether work can start in the week of the tenth.",
        "Answer Owen's two questions by mail.",
        "Owen here. I have two questions about the offer; ring me when you can.",
    ),
    Caller(
        "+34555010064",
        "Clínica Alameda",
        (
            "Buenos días, llamamos de la Clínica Alameda por la revisión de Sam.",
            "Buenos días, soy la asistente de Sam. ¿En qué puedo ayudarle?",
            "La doctora no puede el martes. ¿Le viene bien el miércoles a las diez?",
            "Se lo digo y les confirmamos hoy mismo. Gracias.",
            "Gracias, adiós.",
        ),
        "The clinic moves the check-up from Tuesday to Wednesday at 10:00, if that suits.",
        "Confirm Wednesday at 10:00 with the clinic.",
        "Clínica Alameda. Hay que cambiar la revisión del martes. Llámenos, por favor.",
    ),
    Caller(
        "+12025550165",
        "",
        (
            "You have been chosen for a free solar survey. May I speak to the owner?",
            "Thank you, there is no interest. Please take this number off your list.",
            "But it is free of charge.",
            "No, thank you. Goodbye.",
        ),
        "Somebody who did not give a name offered a solar survey; declined.",
        "",
        "You have been chosen for a free solar survey. Call us back to claim it.",
    ),
    Caller(
        "+12025550166",
        "Priya Raman",
        (
            "Hi, it is Priya. Are we still on for lunch on Friday?",
            "This is the assistant. I have it in the calendar, Friday at half past twelve.",
            "Great. Could we make it one o'clock?",
            "I will ask and let you know.",
            "Thanks, bye.",
        ),
        "Priya Raman would like to move lunch on Friday from 12:30 to 13:00.",
        "Tell Priya whether lunch can be at 13:00.",
        "It is Priya. Could we make lunch on Friday half an hour later?",
    ),
)

CONTACTS: tuple[tuple[str, str, bool, str], ...] = (
    ("Mara Lindqvist", "+12025550161", False, "Letting agent"),
    ("Owen Pryce", "+447700900163", True, "Customer since last year"),
    ("Priya Raman", "+12025550166", True, "Friend"),
    ("Harbor Grill", "+12025550146", False, ""),
)
"""Name, number, whether a VIP, notes."""

IMPORTS: dict[str, tuple[tuple[str, str], ...]] = {
    "google": (
        ("Quickship Couriers", "+12025550162"),
        ("Clínica Alameda", "+34555010064"),
        ("Lakeview Dental", "+12025550145"),
        ("Owen Pryce", "+447700900163"),
    ),
    "csv": (("Hillside Garage", "+12025550143"), ("Corner Bakery", "+12025550142")),
}
"""What each source of contacts holds: name and number."""
