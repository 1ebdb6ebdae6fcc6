"""What the API answered, as the rest of the program sees it, and how it is made of the answer's bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kallyai_mcp.api.body import NotUnderstood, as_json, as_text

if TYPE_CHECKING:
    from kallyai_mcp.model import Command

_MAX_LOCATION = 2048


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no failure.

    Attributes:
        status: HTTP status.
        data: The cleaned JSON value; None when the body is empty or no JSON was asked for.
        text: iCalendar text, for commands that return it.
        location: Where a redirect points, for commands that are answered by one; it is never followed.
        media_type: Type of the body, without parameters, in lower case.
        sandbox: Whether a sandbox answered.
        withheld: How many texts were taken out since, because of who wrote them.
    """

    status: int
    data: Any
    text: str | None
    location: str | None
    media_type: str
    sandbox: bool
    withheld: int = 0


def succeeded(command: Command, status: int, media_type: str, body: bytes, *, sandbox: bool) -> Answer:
    """Make the answer of a 2xx; all of them mean the same.

    Raises:
        NotUnderstood: The body is not what the command returns.
    """
    if not body or body.isspace():
        return Answer(status, None, None, None, media_type, sandbox)
    if command.calendar and (
        media_type == "text/calendar" or body[:64].lstrip(b"\xef\xbb\xbf \r\n").startswith(b"BEGIN:VCALENDAR")
    ):
        return Answer(status, None, as_text(body), None, media_type, sandbox)
    if "html" in media_type:
        raise NotUnderstood
    return Answer(status, as_json(body), None, None, media_type, sandbox)


def redirected(status: int, location: str | None, media_type: str, *, sandbox: bool) -> Answer:
    """Make the answer of a 3xx, for a command that is answered by one.

    Raises:
        NotUnderstood: The address is none that can be shown.
    """
    if location is not None and not (
        0 < len(location) <= _MAX_LOCATION and location.isascii() and location.isprintable() and " " not in location
    ):
        raise NotUnderstood
    return Answer(status, None, None, location, media_type, sandbox)
