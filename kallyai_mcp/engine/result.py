"""What a run hands back: the answer as structured data, as a text for a model, and as files where there are any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.engine.fit import CUT, LIMIT, compact, fit
from kallyai_mcp.engine.strangers import (
    FILE_NOTICE,
    FRAME,
    ORIGIN,
    fenced,
    neutralised,
    neutralised_calendar,
    origin,
    told,
    told_withheld,
)
from kallyai_mcp.errors import TransportError

if TYPE_CHECKING:
    from kallyai_mcp.api import Answer
    from kallyai_mcp.model import ApiRequest, Command

CALENDAR_TYPE = "text/calendar"


@dataclass(frozen=True, slots=True)
class File:
    """A file within an answer."""

    uri: str
    media_type: str
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a run.

    Attributes:
        structured: The API's JSON object; what is not an object stands under `result`. Where it carries words of
            others, `_origin` says whose.
        text: The same for a model, compact, the words of others between two marks.
        file: A file that came with it.
        cut: What was left out to keep the answer within a host's limit, one sentence each.
    """

    structured: dict[str, Any]
    text: str
    file: File | None = None
    cut: tuple[str, ...] = ()


def shape(command: Command, request: ApiRequest, answer: Answer) -> Result:
    """Turn the API's answer into the result of the run."""
    if command.calendar and (answer.text is not None or (answer.withheld and answer.data is None)):
        return _calendar(command, request, answer)
    if command.redirects and answer.location is not None:
        facts = {"status": answer.status, "location": answer.location}
        return Result(facts, f"Answered with a redirect, which was not followed, to {answer.location}")
    return shape_data(command, answer.data, answer.withheld)


def _calendar(command: Command, request: ApiRequest, answer: Answer) -> Result:
    facts: dict[str, Any] = {ORIGIN: origin(command, answer.withheld)}
    if answer.text is None:
        return Result(facts, told_withheld(answer.withheld))
    text = neutralised_calendar(answer.text)
    if len(text) > LIMIT:  # half an appointment would be none
        raise TransportError(
            "The calendar file is larger than hosts take.",
            code="answer_too_large",
            next_step="Read the appointment with kallyai_calls_info instead.",
            http_status=answer.status,
        )
    file = File(f"kallyai:/{request.path}", CALENDAR_TYPE, text)
    facts |= {"uri": file.uri, "media_type": CALENDAR_TYPE}
    return Result(facts, f"The appointment is attached as an iCalendar file. {told(command, FILE_NOTICE)}", file)


def shape_data(command: Command, data: Any, withheld: int = 0) -> Result:
    """Turn JSON data into the result of a run.

    Args:
        command: What was run.
        data: What was answered; None for nothing.
        withheld: How many texts were taken out of it.
    """
    if data is None:
        return Result({}, "Done. The service sent no further answer.")
    structured = as_object(data)
    if command.text_from is not None:
        return _of_strangers(command, structured, withheld)
    text, cut = compact(structured), ()
    if len(text) > LIMIT:
        structured, cut = fit(structured)
        text = f"{' '.join(cut)}\n{compact(structured)}"
    return Result(structured, text, cut=cut)


def _of_strangers(command: Command, data: dict[str, Any], withheld: int) -> Result:
    words, cut = {key: value for key, value in neutralised(data).items() if key != ORIGIN}, ()
    content = compact(words)
    if len(content) > LIMIT - FRAME:
        words, cut = fit(words, LIMIT - FRAME)
        del words[CUT]
        # A cut may have taken from a mark or a tag what made it harmless.
        words = neutralised(words)
        content = compact(words)
    ours = (told(command), told_withheld(withheld), *cut)
    structured = {ORIGIN: origin(command, withheld)} | words | ({CUT: list(cut)} if cut else {})
    return Result(structured, f"{' '.join(filter(None, ours))}\n{fenced(content)}", cut=cut)


def as_object(data: Any) -> dict[str, Any]:
    """Return a JSON object as it is, and any other value under `result`."""
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {"result": data}
