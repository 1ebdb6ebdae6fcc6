"""What is said on the telephone, in the languages that calls can have. Data only; `conversations` puts it together."""

from __future__ import annotations

import re
from dataclasses import dataclass


def _any_case(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


MONTHS = {
    "en": "January February March April May June July August September October November December".split(),  # noqa: SIM905 - one line a language
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),  # noqa: SIM905 - one line a language
}
WEEKDAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),  # noqa: SIM905 - one line a language
    "es": "lunes martes miércoles jueves viernes sábado domingo".split(),  # noqa: SIM905 - one line a language
}
ON_DAY = {"en": "{weekday} {day} {month} {year}", "es": "el {weekday} {day} de {month} de {year}"}
AT_TIME = {"en": "at {time}", "es": "a las {time}"}
PEOPLE = {"en": ("for one person", "for {n} people"), "es": ("para una persona", "para {n} personas")}
A_CUSTOMER = {"en": "a customer", "es": "un cliente"}

REQUESTS: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "en": (
        (
            _any_case(r"^(?:please )?(?:ask|check|find out|see|verify)(?: them)? (?:whether|if)\b"),
            "{i} know if",
        ),
        (
            _any_case(r"^(?:please )?(?:ask|check|find out)(?: them)? (what|when|how|which|who|where|why)\b"),
            "{i} know {verb}",
        ),
        (_any_case(r"^(?:please )?(?:ask|inquire|enquire)(?: them)? (about|for)\b"), "{i} ask {verb}"),
        (
            _any_case(
                r"^(?:please )?(book|reserve|order|cancel|confirm|schedule|arrange|make|change|move|buy|report)\b"
            ),
            "{i} {verb}",
        ),
    ),
    "es": (
        (
            _any_case(r"^(?:por favor,? )?(?:pregunta|averigua|comprueba)r?(?:les?)? (si)\b"),
            "{i} saber {verb}",
        ),
        (
            _any_case(r"^(?:por favor,? )?(?:pregunta|averigua)r?(?:les?)? (qué|cuándo|cómo|cuál|quién|dónde|a qué)\b"),
            "{i} saber {verb}",
        ),
        (
            _any_case(r"^(?:por favor,? )?(reserva|cancela|confirma|cambia|compra|encarga|solicita)r?\b"),
            "{i} {verb}r",
        ),
    ),
}
"""How a task begins, and how the assistant says that to the person called."""

TO_YOU: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "en": (
        (re.compile(r"\bthey\b"), "you"),
        (re.compile(r"\btheir\b"), "your"),
    ),
    "es": (),
}
"""How the words of a task change when they are said to the person called."""

I_WOULD_LIKE = {"en": "I would like to", "es": "Quería"}
ABOUT_THIS = {"en": "I am calling about the following: {task}", "es": "Llamo por lo siguiente: {task}"}


@dataclass(frozen=True, slots=True)
class Topic:
    """What a task is about, and what the person called has to say to it.

    Attributes:
        words: Pattern that tasks on the topic match.
        answers: Their answer, by language; `{when}` and `{party}` are filled in.
        findings: The same as a result for the user, by language.
    """

    words: re.Pattern[str]
    answers: dict[str, str]
    findings: dict[str, str]


TOPICS: tuple[Topic, ...] = (
    Topic(
        _any_case(r"\bcancel"),
        {
            "en": "I have found it. It is cancelled, and there is nothing to pay.",
            "es": "Lo he encontrado. Queda cancelado y no hay nada que pagar.",
        },
        {"en": "Cancelled without charge", "es": "Cancelado sin gastos"},
    ),
    Topic(
        _any_case(r"\b(?:open|close|hours|horario|abren|abrís|cierran|cerráis)"),
        {
            "en": "We are open every day from 10:00 to 22:00, on Sundays until 16:00.",
            "es": "Abrimos todos los días de 10:00 a 22:00, los domingos hasta las 16:00.",
        },
        {
            "en": "Open every day from 10:00 to 22:00, on Sundays until 16:00",
            "es": "Abierto todos los días de 10:00 a 22:00, los domingos hasta las 16:00",
        },
    ),
    Topic(
        _any_case(r"\b(?:price|cost|how much|fee|rate|quote|precio|cuesta|cuánto|tarifa|presupuesto)"),
        {
            "en": "That is 45 in all, tax included. You can pay here, by card or in cash.",
            "es": "Son 45 en total, impuestos incluidos. Se puede pagar aquí, con tarjeta o en efectivo.",
        },
        {"en": "It costs 45 in all, tax included", "es": "Cuesta 45 en total, impuestos incluidos"},
    ),
    Topic(
        _any_case(r"\b(?:complain|refund|broken|wrong|reclama|reembolso|devoluci|avería)"),
        {
            "en": "I am sorry about that. I have opened a case, number 2041; you will hear from us within two days.",
            "es": "Lo siento. He abierto un caso, el número 2041; tendrán respuesta en dos días.",
        },
        {
            "en": "Case 2041 opened; an answer is promised within two days",
            "es": "Caso 2041 abierto; prometen respuesta en dos días",
        },
    ),
    Topic(
        _any_case(r"\b(?:confirm|still on|sigue en pie)"),
        {"en": "Yes, I see it here. It is confirmed.", "es": "Sí, aquí lo veo. Está confirmado."},
        {"en": "Confirmed", "es": "Confirmado"},
    ),
    Topic(
        _any_case(r""),
        {
            "en": "Yes, that is possible. I have made a note of it.",
            "es": "Sí, es posible. Ya lo he apuntado.",
        },
        {"en": "Agreed: {task}", "es": "Acordado: {task}"},
    ),
)
"""The first that matches counts; the last matches all."""

PLACES = {
    "restaurant": ("19:00", {"en": "Table", "es": "Mesa"}),
    "clinic": ("10:00", {"en": "Appointment", "es": "Cita"}),
    "hotel": ("15:00", {"en": "Stay", "es": "Estancia"}),
    "general": ("11:00", {"en": "Appointment", "es": "Cita"}),
}
"""By category: the time taken where none is asked for, and what an appointment is called."""

SAID = {
    "en": {
        "greeting": "Good day, {business}, how can I help you?",
        "greeting_unnamed": "Hello, who is calling?",
        "introduction": "Hello, this is KallyAI, the AI assistant of {name}. The call is recorded. May I go on?",
        "go_on": "Yes, go ahead.",
        "urgent": "It is urgent, so I would be glad of an answer now.",
        "preference": "The times that suit best: {text}.",
        "instruction": "And please note: {text}",
        "noted": "All right, I have that.",
        "hold": "One moment, please hold the line.",
        "holding": "Of course, I will wait.",
        "back": "Thank you for waiting.",
        "wish": "It would be {party}{when}.",
        "offer": "{when} works. Shall I put that down for {name}?",
        "accept": "Yes, please, {when}, in the name of {name}.",
        "booked": "Done, {when}. We look forward to seeing you.",
        "call_back": "If anything changes, please ring {phone}.",
        "will_do": "I will.",
        "thanks": "Thank you very much, that is all. Goodbye.",
        "bye": "Goodbye.",
        "machine": "You have reached {business}. We cannot take your call now. Please leave a message after the tone.",
        "machine_unnamed": "Nobody can take your call now. Please leave a message after the tone.",
        "message": "Hello, this is KallyAI, the AI assistant of {name}. {request} Please call back. Thank you.",
        "decline": "I do not talk to machines. Please do not call again.",
        "regret": "I understand. I am sorry to have disturbed you. Goodbye.",
    },
    "es": {
        "greeting": "Buenos días, {business}, ¿en qué puedo ayudarle?",
        "greeting_unnamed": "¿Diga?",
        "introduction": "Hola, soy KallyAI, la asistente de IA de {name}. La llamada se graba. ¿Puedo continuar?",
        "go_on": "Sí, dígame.",
        "urgent": "Es urgente, así que agradecería una respuesta ahora.",
        "preference": "Las horas que mejor vienen: {text}.",
        "instruction": "Y tenga en cuenta, por favor: {text}",
        "noted": "De acuerdo, apuntado.",
        "hold": "Un momento, no cuelgue, por favor.",
        "holding": "Por supuesto, espero.",
        "back": "Gracias por esperar.",
        "wish": "Sería {party}{when}.",
        "offer": "{when} es posible. ¿Lo apunto a nombre de {name}?",
        "accept": "Sí, por favor, {when}, a nombre de {name}.",
        "booked": "Hecho, {when}. Les esperamos.",
        "call_back": "Si algo cambia, llame al {phone}, por favor.",
        "will_do": "Así lo haré.",
        "thanks": "Muchas gracias, eso es todo. Adiós.",
        "bye": "Adiós.",
        "machine": "Ha llamado a {business}. Ahora no podemos atenderle. Deje su mensaje después de la señal.",
        "machine_unnamed": "Ahora no podemos atenderle. Deje su mensaje después de la señal.",
        "message": "Hola, soy KallyAI, la asistente de IA de {name}. {request} Llame de vuelta, por favor. Gracias.",
        "decline": "No hablo con máquinas. No vuelvan a llamar.",
        "regret": "Lo entiendo. Perdone la molestia. Adiós.",
    },
}

RESULTS = {
    "en": {
        "booked": ("{what} made: {when}{party}", "None needed"),
        "success": ("{finding}", "None needed"),
        "busy": ("The line was engaged", "Call again in a while"),
        "no_answer": ("Nobody answered", "Call again later, or reach them some other way"),
        "voicemail": ("A message was left on the machine", "Wait for a call back, or call again"),
        "failed": ("The call could not be connected", "Check the number"),
        "declined": ("They would not talk to an assistant", "Call them in person"),
        "disconnected": ("The line dropped before anything was settled", "Call again"),
        "cancelled": ("Ended before it was over", "Call again if it still matters"),
    },
    "es": {
        "booked": ("{what}: {when}{party}", "No hace falta nada más"),
        "success": ("{finding}", "No hace falta nada más"),
        "busy": ("La línea estaba ocupada", "Volver a llamar dentro de un rato"),
        "no_answer": ("No contestó nadie", "Volver a llamar más tarde o contactar de otra manera"),
        "voicemail": ("Se dejó un mensaje en el contestador", "Esperar la llamada o volver a llamar"),
        "failed": ("No se pudo establecer la llamada", "Comprobar el número"),
        "declined": ("No quisieron hablar con una asistente", "Llamar en persona"),
        "disconnected": ("La línea se cortó antes de acordar nada", "Volver a llamar"),
        "cancelled": ("Terminada antes de tiempo", "Volver a llamar si sigue haciendo falta"),
    },
}
"""Highlights and next steps, by how the call ended."""
