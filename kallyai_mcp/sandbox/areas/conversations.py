"""What is said in a call, made from the order: the same order always makes the same conversation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from kallyai_mcp.sandbox.areas import wordings
from kallyai_mcp.sandbox.numbers import Outcome

SHORTEST, LONGEST = 30.0, 180.0
"""Bounds of a talk in seconds; being kept on hold comes on top."""
HOLD = 160.0
"""Seconds on hold at a number that is slow."""

ASSISTANT, PERSON = "AI", "HUMAN"


@dataclass(frozen=True, slots=True)
class Order:
    """What a call is to settle, in the words of the API's `submission`, and the zone of its times."""

    respondent_phone: str
    task_description: str
    task_category: str = "general"
    language: str = "en"
    call_language: str = "en"
    user_name: str | None = None
    business_name: str | None = None
    party_size: int | None = None
    appointment_date: str | None = None
    appointment_time: str | None = None
    user_phone: str | None = None
    time_preference_text: str | None = None
    is_urgent: bool | None = None
    additional_instructions: tuple[str, ...] = ()
    timezone: str = "America/New_York"

    def submission(self) -> dict[str, Any]:
        """Return what was given, as the API shows it."""
        given = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        del given["timezone"]
        return given

    @classmethod
    def of(cls, call: dict[str, Any]) -> Order:
        """Return the order that a stored call was made from."""
        submission: dict[str, Any] = dict(call["submission"])
        hints = tuple(submission.pop("additional_instructions", ()))
        return cls(**submission, additional_instructions=hints, timezone=call["timezone"])


@dataclass(frozen=True, slots=True)
class Line:
    """Words, who says them, and the second at which they begin."""

    speaker: str
    content: str
    second: float

    def entry(self) -> dict[str, str]:
        """Return the line as an entry of a transcript."""
        minutes, seconds = divmod(int(self.second), 60)
        hours, minutes = divmod(minutes, 60)
        return {
            "speaker": self.speaker,
            "content": self.content,
            "timestamp": f"{hours:02d}:{minutes:02d}:{seconds:02d}",
        }


@dataclass(frozen=True, slots=True)
class Conversation:
    """A talk from beginning to end.

    Attributes:
        lines: What is said.
        seconds: How long it takes.
        highlights: What came of it, in the language of summaries.
        next_steps: What is left to do, likewise.
        appointment: `date`, `time`, `timezone` and `title` of what was agreed, if anything was.
    """

    lines: tuple[Line, ...]
    seconds: float
    highlights: str
    next_steps: str
    appointment: dict[str, str] | None = None


def converse(order: Order, outcome: Outcome, today: date) -> Conversation:
    """Return the talk that an order leads to at a number with this outcome; silent where nobody answers."""
    appointment = _appointment(order, outcome, today)
    said = SAYING[outcome](order, appointment) if outcome in SAYING else []
    if outcome is Outcome.DISCONNECTED:
        said = said[: len(said) // 2]
    lines, seconds = timed(_turns(said), on_hold=outcome is Outcome.SLOW)
    settled = outcome in (Outcome.SUCCESS, Outcome.APPOINTMENT, Outcome.SLOW)
    key = ("booked" if appointment else "success") if settled else outcome.value
    highlights, next_steps = results(order, "no_answer" if outcome is Outcome.CALLS_BACK else key, appointment)
    return Conversation(lines, seconds, highlights, next_steps, appointment if settled else None)


def results(order: Order, key: str, appointment: dict[str, str] | None = None) -> tuple[str, str]:
    """Return highlights and next steps in the language of summaries."""
    language = order.language
    highlights, next_steps = wordings.RESULTS[language][key]
    topic = next(topic for topic in wordings.TOPICS if topic.words.search(order.task_description))
    facts = {
        "finding": topic.findings[language].format(task=order.task_description.rstrip(".")),
        "what": wordings.PLACES[order.task_category][1][language],
        "when": _when(appointment, language),
        "party": _party(order, language, ", "),
    }
    return highlights.format(**facts), next_steps


def _appointment(order: Order, outcome: Outcome, today: date) -> dict[str, str] | None:
    if order.appointment_date is None and outcome is not Outcome.APPOINTMENT:
        return None
    usual, kinds = wordings.PLACES[order.task_category]
    kind = kinds[order.language]
    return {
        "date": order.appointment_date or (today + timedelta(days=3)).isoformat(),
        "time": order.appointment_time or usual,
        "timezone": order.timezone,
        "title": f"{kind}: {order.business_name}" if order.business_name else kind,
    }


def _full(order: Order, appointment: dict[str, str] | None) -> list[tuple[str, str]]:
    language = order.call_language
    words = wordings.SAID[language]
    name = order.user_name or wordings.A_CUSTOMER[language]
    when = _when(appointment, language)
    topic = next(topic for topic in wordings.TOPICS if topic.words.search(order.task_description))
    said = [
        (PERSON, _named(words, "greeting", order)),
        (ASSISTANT, words["introduction"].format(name=name)),
        (PERSON, words["go_on"]),
        (ASSISTANT, _request(order)),
    ]
    if order.is_urgent:
        said.append((ASSISTANT, words["urgent"]))
    if order.time_preference_text:
        said.append((ASSISTANT, words["preference"].format(text=order.time_preference_text.rstrip("."))))
    said += [(PERSON, words["hold"]), (ASSISTANT, words["holding"]), (PERSON, words["back"])]
    if appointment:
        party = _party(order, language, "")
        said += [
            (ASSISTANT, words["wish"].format(party=f"{party}, " if party else "", when=when)),
            (PERSON, _capital(words["offer"].format(when=when, name=name))),
            (ASSISTANT, words["accept"].format(when=when, name=name)),
            (PERSON, words["booked"].format(when=when)),
        ]
    else:
        said.append((PERSON, topic.answers[language]))
    for hint in order.additional_instructions:
        said += [(ASSISTANT, words["instruction"].format(text=hint)), (PERSON, words["noted"])]
    if order.user_phone:
        said += [(ASSISTANT, words["call_back"].format(phone=order.user_phone)), (PERSON, words["will_do"])]
    return [*said, (ASSISTANT, words["thanks"]), (PERSON, words["bye"])]


def _voicemail(order: Order, appointment: dict[str, str] | None) -> list[tuple[str, str]]:
    words = wordings.SAID[order.call_language]
    name = order.user_name or wordings.A_CUSTOMER[order.call_language]
    message = words["message"].format(name=name, request=_request(order))
    return [(PERSON, _named(words, "machine", order)), (ASSISTANT, message)]


def _declined(order: Order, appointment: dict[str, str] | None) -> list[tuple[str, str]]:
    words = wordings.SAID[order.call_language]
    return [*_full(order, appointment)[:2], (PERSON, words["decline"]), (ASSISTANT, words["regret"])]


SAYING = {
    Outcome.SUCCESS: _full,
    Outcome.APPOINTMENT: _full,
    Outcome.SLOW: _full,
    Outcome.DISCONNECTED: _full,
    Outcome.VOICEMAIL: _voicemail,
    Outcome.DECLINED: _declined,
}


def _named(words: dict[str, str], key: str, order: Order) -> str:
    if order.business_name is None:
        return words[f"{key}_unnamed"]
    return words[key].format(business=order.business_name)


def _request(order: Order) -> str:
    language, task = order.call_language, order.task_description.strip()
    wish = wordings.I_WOULD_LIKE[language]
    sentence = wordings.ABOUT_THIS[language].format(task=task)
    for pattern, said in wordings.REQUESTS[language]:
        if found := pattern.match(task):
            verb = found.group(1).lower() if pattern.groups else ""
            sentence = said.format(i=wish, verb=verb) + _addressed(task[found.end() :], language)
            break
    return sentence if sentence.endswith((".", "?", "!")) else sentence + "."


def _addressed(text: str, language: str) -> str:
    for they, you in wordings.TO_YOU[language]:
        text = they.sub(you, text)
    return text


def _when(appointment: dict[str, str] | None, language: str) -> str:
    if appointment is None:
        return ""
    day = date.fromisoformat(appointment["date"])
    on_day = wordings.ON_DAY[language].format(
        weekday=wordings.WEEKDAYS[language][day.weekday()],
        day=day.day,
        month=wordings.MONTHS[language][day.month - 1],
        year=day.year,
    )
    return f"{on_day} {wordings.AT_TIME[language].format(time=appointment['time'])}"


def _party(order: Order, language: str, before: str) -> str:
    if order.party_size is None:
        return ""
    one, more = wordings.PEOPLE[language]
    return before + (one if order.party_size == 1 else more.format(n=order.party_size))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _turns(said: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join what one speaker says in a row."""
    turns: list[tuple[str, str]] = []
    for speaker, content in said:
        if turns and turns[-1][0] == speaker and content not in _HOLD_ENDS:
            turns[-1] = (speaker, f"{turns[-1][1]} {content}")
        else:
            turns.append((speaker, content))
    return turns


def timed(said: list[tuple[str, str]], *, on_hold: bool = False) -> tuple[tuple[Line, ...], float]:
    if not said:
        return (), 0.0
    begins: list[float] = []
    clock = 1.0
    for _, content in said:
        begins.append(clock)
        clock += 1.0 + 0.38 * len(content.split())
    pace = min(max(clock, SHORTEST), LONGEST) / clock
    waits = [HOLD if on_hold and content.startswith(_HOLD_ENDS) else 0.0 for _, content in said]
    lines: list[Line] = []
    held = 0.0
    for (speaker, content), begin, wait in zip(said, begins, waits, strict=True):
        held += wait
        lines.append(Line(speaker, content, round(begin * pace + held, 1)))
    return tuple(lines), round(clock * pace + held, 1)


_HOLD_ENDS = tuple(words["back"] for words in wordings.SAID.values())
