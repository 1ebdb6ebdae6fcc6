"""What a run hands back: the answer as structured data, as a text for a model, and as files where there are any."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.engine.cutting import LIMIT, Place, compact, cut, cuttable, where
from kallyai_mcp.engine.strangers import (
    FILE_NOTICE,
    ORIGIN,
    fenced,
    neutralised,
    neutralised_calendar,
    origin,
    told,
    told_withheld,
)
from kallyai_mcp.engine.tokens import LIMIT as TOKENS
from kallyai_mcp.engine.tokens import MOST, tokens
from kallyai_mcp.engine.wording import worded
from kallyai_mcp.errors import TransportError
from kallyai_mcp.model.effect import Effect

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.api import Answer
    from kallyai_mcp.model import ApiRequest, Command

CALENDAR_TYPE = "text/calendar"

CUT = "_cut"
"""Field of an answer that tells what was cut for good."""

ROOM = LIMIT - 400
"""Characters for content and structured content; the rest is for what the protocol puts around them."""

TOKEN_ROOM = TOKENS - 400
"""Tokens for them, likewise."""

_FIRST_TRY = ROOM * 9 // 20
_SMALL, _SMALL_IN_ASCII = TOKENS // MOST // 3, ROOM // 8
"""Characters of an answer, said twice, that are within all limits whatever they are."""


@dataclass(frozen=True, slots=True)
class File:
    """A file within an answer."""

    uri: str
    media_type: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What an answer is made of, all of it.

    Attributes:
        data: The API's JSON object.
        origin: Whose words it carries; None where they are the service's own.
        notes: Sentences before it.
        after: Sentences behind it.
        facts: What this program adds to it, by fields of its own.
        zone: IANA zone of the user.
    """

    data: dict[str, Any]
    origin: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    zone: str = "UTC"

    def result(self, file: File | None = None) -> Result:
        """Return it as a result; one that is too large cut for good, which is told."""
        if (whole := self.whole(file)) is not None:
            return whole
        cut_: tuple[str, ...] = ()

        def ending(_: Place | None, spot: str) -> Ending:
            nonlocal cut_
            cut_ = (f"The answer is too large for a host: what comes after {spot} is left out.",)
            return Ending(cut_, {CUT: list(cut_)})

        return replace(self.piece((), ending)[0], cut=cut_)

    def all(self, file: File | None = None) -> Result:
        """Return all of it, however large; for a reader without a limit."""
        return self._made(self.data, Ending((), {}), file)

    def whole(self, file: File | None = None) -> Result | None:
        """Return all of it as one result; None where that is too large."""
        written = compact(self.data)
        length = len(written)
        if length > ROOM:
            return None
        made = self.all(file)
        # Most answers are so small that whatever is said of them besides need not be counted.
        said = (written, *self.notes, *self.after)
        small = _SMALL_IN_ASCII if all(map(str.isascii, said)) else _SMALL
        is_small = file is None and not self.facts and sum(map(len, said)) < small
        return made if is_small or _fullness(made) <= 1 else None

    def piece(
        self, start: Place, ending: Callable[[Place | None, str], Ending], data: dict[str, Any] | None = None
    ) -> tuple[Result, Place | None]:
        """Return the piece that begins at a place, and where it ends; None at the end.

        Args:
            start: Where it begins.
            ending: Says what is to be said of the rest, given where the piece ends, as a place and in words.
            data: All of it as `cuttable` returns it, where that is known already.

        Raises:
            LookupError: There is no such place.
        """
        data, room = data or cuttable(self.data), _FIRST_TRY
        is_stable = _is_stable if self.origin is not None else _always
        while True:
            part, end = cut(data, start, room, is_stable)
            made = self._made(part, ending(end, "" if end is None else where(data, end)[0]), None)
            fullness = _fullness(made)
            if fullness <= 1 or room <= _LEAST:
                return made, end
            room = max(_LEAST, min(int(room / fullness), room - 100) - 50)

    def _made(self, data: dict[str, Any], ending: Ending, file: File | None) -> Result:
        if self.origin is not None:
            # A cut that no place was good for may have taken from a mark or a tag what made it harmless.
            data = neutralised(data)
        structured = ({} if self.origin is None else {ORIGIN: self.origin}) | data | self.facts | ending.facts
        text = worded(data, self.zone) if data or not (self.notes or self.after) else ""
        if self.origin is not None:
            text = fenced(text or worded(data, self.zone))  # the marks are told of
        before = " ".join(filter(None, self.notes))
        lines = filter(None, (before, text, *self.after, *ending.sentences))
        return Result(structured, "\n".join(lines), file, body=self)


_LEAST = 2_000
"""Characters of a piece at least: so many are within all limits, whatever they are."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What is said at the end of a piece: sentences, and the same for a program."""

    sentences: tuple[str, ...]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a run.

    Attributes:
        structured: The API's JSON object; what is not an object stands under `result`. Where it carries words of
            others, `_origin` says whose.
        text: The same for a model, compact, the words of others between two marks.
        file: A file that came with it.
        cut: What was left out to keep the answer within a host's limit, one sentence each.
        body: All that it was made of.
    """

    structured: dict[str, Any]
    text: str
    file: File | None = None
    cut: tuple[str, ...] = ()
    body: Body | None = None

    def with_facts(self, facts: dict[str, Any], *, before: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> Result:
        """Return it with fields and sentences of this program added."""
        body = self.body or Body(data=self.structured, notes=(self.text,))
        body = replace(body, notes=(*before, *body.notes), after=(*body.after, *after), facts=body.facts | facts)
        return body.result(self.file)


def wire_size(result: Result) -> int:
    """Return how many characters a host counts of a result."""
    return _size_of(_on_the_wire(result))


def _on_the_wire(result: Result) -> list[str]:
    file = () if result.file is None else (compact(result.file.text), result.file.uri)
    return [compact(result.structured), compact(result.text), *file]


def _size_of(parts: list[str]) -> int:
    around = 200 if len(parts) == 2 else 300
    return sum(map(len, parts)) + around


def _fullness(result: Result) -> float:
    """Return which part of what a host takes a result is; more than 1 where it is too large."""
    parts = _on_the_wire(result)
    size = _size_of(parts)
    at_most = size if all(map(str.isascii, parts)) else size * MOST
    return max(size / ROOM, tokens(*parts) / TOKEN_ROOM if at_most > TOKEN_ROOM else 0)


def _always(_: str) -> bool:
    return True


def _is_stable(text: str) -> bool:
    head = text[:1500]
    plain = neutralised(text)
    return plain == text if len(text) < 3_000 else plain[:1500] == head


def shape(command: Command, request: ApiRequest, answer: Answer, zone: str = "UTC") -> Result:
    """Turn the API's answer into the result of the run."""
    if command.calendar and (answer.text is not None or (answer.withheld and answer.data is None)):
        return _calendar(command, request, answer)
    if command.redirects and answer.location is not None:
        facts = {"status": answer.status, "location": answer.location}
        return Result(facts, f"Answered with a redirect, which was not followed, to {answer.location}")
    return shape_data(command, answer.data, answer.withheld, zone)


def _calendar(command: Command, request: ApiRequest, answer: Answer) -> Result:
    facts: dict[str, Any] = {ORIGIN: origin(command, answer.withheld)}
    if answer.text is None:
        return Result(facts, told_withheld(answer.withheld))
    file = File(f"kallyai:/{request.path}", CALENDAR_TYPE, neutralised_calendar(answer.text))
    facts |= {"uri": file.uri, "media_type": CALENDAR_TYPE}
    result = Result(facts, f"The appointment is attached as an iCalendar file. {told(command, FILE_NOTICE)}", file)
    if _fullness(result) > 1:  # half an appointment would be none
        raise TransportError(
            "The calendar file is larger than hosts take.",
            code="answer_too_large",
            next_step="Read the appointment with kallyai_calls_info instead.",
            http_status=answer.status,
        )
    return result


def shape_data(command: Command, data: Any, withheld: int = 0, zone: str = "UTC") -> Result:
    """Turn JSON data into the result of a run.

    Args:
        command: What was run.
        data: What was answered; None for nothing.
        withheld: How many texts were taken out of it.
        zone: IANA zone of the user.
    """
    if data is None:
        reads = command.effect is Effect.READ
        return Result({}, "The service sent an empty answer." if reads else "Done. The service sent no further answer.")
    structured = as_object(data)
    if command.text_from is None:
        return Body(data=structured, zone=zone).result()
    words = {key: value for key, value in neutralised(structured).items() if key != ORIGIN}
    notes = (told(command), told_withheld(withheld))
    return Body(data=words, origin=origin(command, withheld), notes=notes, zone=zone).result()


def as_object(data: Any) -> dict[str, Any]:
    """Return a JSON object as it is, and any other value under `result`."""
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {"result": data}
