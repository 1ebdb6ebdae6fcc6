"""What a message to the coordinator asks for, by its words alone.

This is keyword matching and claims to be no more: the kind of request is that of the keyword that stands first, and
names, numbers, dates and amounts are picked out by their form. English and Spanish. What is not understood is
`Kind.UNCLEAR`, and the coordinator asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum


class Kind(StrEnum):
    """What is wanted."""

    CALL = "call"
    BOOKING = "booking"
    MAIL = "email"
    SEARCH = "search"
    RIDE = "ride"
    FOOD = "food"
    ERRAND = "errand"
    NEGOTIATION = "negotiation"
    PLAN = "plan"
    HELP = "help"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Request:
    """A message, taken apart.

    Attributes:
        kind: What is wanted.
        text: The message itself.
        spanish: Whether to answer in Spanish.
        phone: Number in it, + and digits; emergency numbers stand as they were written, with a + before them.
        email: Address in it.
        whom: Name of the person or place.
        party_size: How many people.
        day: Calendar day, ISO 8601.
        hour: Time, HH:MM.
        limit: Most credits that may be spent.
    """

    kind: Kind
    text: str
    spanish: bool = False
    phone: str | None = None
    email: str | None = None
    whom: str | None = None
    party_size: int | None = None
    day: str | None = None
    hour: str | None = None
    limit: float | None = None


_HELP = (
    r"what (?:can|could) you do|how do you work|who are you|^\W*help\W*$|how many credits|what (?:is|'s) the status"
    r"|qu[eé] (?:puedes|sabes) hacer|c[oó]mo funcionas|qui[eé]n eres|^\W*ayuda\W*$|cu[aá]ntos cr[eé]ditos"
)
_WORDS: dict[Kind, str] = {
    Kind.NEGOTIATION: r"negotiat\w*|haggle|bargain|(?:lower|reduce|cut) (?:my|the|our)\b|negoci\w+|regate\w+"
    r"|reba(?:j|ja)\w*|bajar? (?:mi|la)\b",
    Kind.PLAN: r"plan (?:a|an|my|our|the)\b|organi[sz]e|arrange (?:a|my|our) (?:trip|party|wedding|weekend|move)"
    r"|planea\w*|planifica\w*|organiza\w*",
    Kind.MAIL: r"e-?mails?|mail\b|write to|escrib\w+|correo|envía un mensaje",
    Kind.RIDE: r"\b(?:taxi|cab|ride|uber|pick me up|drive me)\b|\bll[eé]vame\b|un coche",
    Kind.FOOD: r"(?:order|get|deliver)(?: me| us)?(?: some| a| an| two| three| \d+)?(?: \w+)?"
    r" (?:food|pizzas?|sushi|burgers?|dinner|lunch|breakfast|groceries|curry|tacos|noodles|salad)"
    r"|pizza|takeaway|takeout|food delivery|\bcomida\b|pide (?:una|unos|unas|dos) \w+",
    Kind.BOOKING: r"\bbook\b|booking|reserv\w*|\btable for\b|appointment|una mesa|\bcita\b",
    Kind.CALL: r"\b(?:call|phone|ring|telephone|dial)\b|\bll[aá]m\w*|telefon\w*",
    Kind.SEARCH: r"\bfind\b|search|look (?:up|for)|compare|which \w+ (?:is|are)|where (?:is|are|can)|recommend"
    r"|\bbusc\w+|encuentra\w*|compara\w*|d[oó]nde|recom[ie]\w+",
    Kind.ERRAND: r"errand|pick up|drop off|collect|deliver\b|\bbuy\b|fetch|return (?:the|my)|recog\w+|compra\w*"
    r"|entrega\w*|recado|\bsend flowers\b",
}
_SPANISH = re.compile(
    r"[¿¡ñ]|\b(?:hola|llam\w+|reserva\w*|busca\w*|correo|quiero|puedes|necesito|compra|pide|escrib\w+|encuentra|negocia"
    r"|organiza|planea|recoge|ll[eé]vame|env[ií]a|gracias)\b",
    re.IGNORECASE,
)
_PERHAPS_SPANISH = re.compile(r"\b(?:el|la|los|las|una?|para|por|mi|con|hoy|en|de)\b", re.IGNORECASE)
"""Words that also stand in names and in other languages: one alone says nothing."""
_NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "uno": 1, "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "seis": 6, "siete": 7, "ocho": 8, "nueve": 9, "diez": 10,
}  # fmt: skip
_DAYS = (
    ("monday", "lunes"),
    ("tuesday", "martes"),
    ("wednesday", "miércoles"),
    ("thursday", "jueves"),
    ("friday", "viernes"),
    ("saturday", "sábado"),
    ("sunday", "domingo"),
)
_EMERGENCY = re.compile(r"(?<![\d+])(?:911|112|999)(?!\d)")
_PHONE = re.compile(r"\+[1-9](?:[\s().-]{0,2}\d){1,14}")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_WHOM = re.compile(
    r"\b(?i:call|phone|ring|at|to|with|from|llam[ae] a|llamar a|en|con)\s+"
    r"((?:the |my |mi |el |la )?[A-ZÁÉÍÓÚÑ][\w'&áéíóúñ-]*(?:\s+(?:de |del |of |and )?[A-ZÁÉÍÓÚÑ][\w'&áéíóúñ-]*)*"
    r"|(?:my|mi) [a-záéíóúñ]+)"
)
_SIZE = re.compile(
    rf"\b(?:for|para)\s+(\d{{1,2}}|{'|'.join(_NUMBERS)})\b(?!\s*(?:am|pm|:|credits?|cr[eé]ditos))"
    r"|\b(\d{1,2})\s+(?:people|persons|guests|personas)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\s*(am|pm)?\b|\b(1[0-2]|[1-9])\s*(am|pm)\b", re.IGNORECASE)
_LIMIT = re.compile(
    r"(?:at most|up to|no more than|max(?:imum)?(?: of)?|como mucho|hasta|m[aá]ximo)\s+(\d+(?:\.\d+)?)\s+cr[eé]dit",
    re.IGNORECASE,
)


def understand(text: str, today: date) -> Request:
    """Take a message apart; `today` is what "tomorrow" and names of days are counted from."""
    mail = _EMAIL.search(text)
    return Request(
        kind=_kind(text),
        text=text,
        spanish=_is_spanish(text),
        phone=_phone(text),
        email=mail[0].rstrip(".") if mail else None,
        whom=_whom(text),
        party_size=_size(text),
        day=_day(text, today),
        hour=_hour(text),
        limit=float(found[1]) if (found := _LIMIT.search(text)) else None,
    )


def _is_spanish(text: str) -> bool:
    return _SPANISH.search(text) is not None or len(_PERHAPS_SPANISH.findall(text)) > 2


def _kind(text: str) -> Kind:
    if re.search(_HELP, text, re.IGNORECASE):
        return Kind.HELP
    first = Kind.UNCLEAR, len(text)
    for kind, words in _WORDS.items():
        found = re.search(words, text, re.IGNORECASE)
        if found and found.start() < first[1]:
            first = kind, found.start()
    if first[0] is Kind.UNCLEAR:
        if _phone(text):
            return Kind.CALL
        if _EMAIL.search(text):
            return Kind.MAIL
    return first[0]


def _phone(text: str) -> str | None:
    if found := _PHONE.search(text):
        return "+" + re.sub(r"\D", "", found[0])
    return f"+{found[0]}" if (found := _EMERGENCY.search(text)) else None


def _whom(text: str) -> str | None:
    for found in _WHOM.finditer(text):
        name = found[1].strip()
        if name.casefold() not in {name_ for day in _DAYS for name_ in day} and name.casefold() not in ("my", "mi"):
            return name
    return None


def _size(text: str) -> int | None:
    if not (found := _SIZE.search(text)):
        return None
    word = (found[1] or found[2]).casefold()
    return int(word) if word.isdigit() else _NUMBERS[word]


def _day(text: str, today: date) -> str | None:
    if found := re.search(r"\b\d{4}-\d{2}-\d{2}\b", text):
        try:
            return date.fromisoformat(found[0]).isoformat()
        except ValueError:
            return None
    folded = text.casefold()
    if re.search(r"\b(?:tonight|today|hoy|esta noche)\b", folded):
        return today.isoformat()
    if re.search(r"\b(?:tomorrow|mañana)\b", folded):
        return (today + timedelta(days=1)).isoformat()
    for number, names in enumerate(_DAYS):
        if any(re.search(rf"\b{name}\b", folded) for name in names):
            return (today + timedelta(days=(number - today.weekday() - 1) % 7 + 1)).isoformat()
    return None


def _hour(text: str) -> str | None:
    if not (found := _CLOCK.search(text)):
        return None
    hour, minute = int(found[1] or found[4]), int(found[2] or 0)
    half = (found[3] or found[5] or "").casefold()
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return f"{hour:02}:{minute:02}"
