"""Types of arguments that several commands share, each with the rule that holds everywhere.

Sources: "formats" in the facts of the API, and the standards named. Patterns spell out `[0-9]`, since the class of
digits also matches those of other scripts.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

_E164 = r"^\+[1-9][0-9]{1,14}$"
_HHMM = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_ALPHA2 = r"^[A-Z]{2}$"

PATTERN_RULES = {
    _E164: "must be a phone number in international form: + and 2 to 15 digits, no blanks.",
    _HHMM: "must be a 24-hour time written HH:MM.",
    _ALPHA2: "must be a country code of two capital letters (ISO 3166-1).",
}
"""What each pattern demands, in words."""


def _rule(text: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{rule}", {"rule": text})


def _date(value: str) -> str:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            date.fromisoformat(value)
        except ValueError:
            pass
        else:
            return value
    raise _rule("must be a calendar date written YYYY-MM-DD.")


def _date_time(value: str) -> str:
    if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}", value):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return value
    raise _rule("must be an ISO 8601 date and time, YYYY-MM-DDTHH:MM with seconds and offset optional.")


def _zone(value: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _rule("must be the name of an IANA time zone.") from None
    return value


def _email(value: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise _rule("must be one e-mail address.") from None
    return value


def _segment(value: str) -> str:
    if value in {".", ".."}:
        raise _rule("must be an identifier; '.' and '..' are none.")
    if not value.isprintable():
        raise _rule("must be an identifier without control characters or line breaks.")
    return value


def _sendable(value: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError):
        raise _rule("must hold nothing but valid text, finite numbers, true, false, null, lists and objects.") from None
    return value


Text = Annotated[str, Field(min_length=1)]
"""Text that says something."""

Segment = Annotated[str, Field(min_length=1), AfterValidator(_segment)]
"""An opaque identifier that fills one segment of a path."""

Object = Annotated[dict[str, Any], AfterValidator(_sendable)]
"""A JSON object (RFC 8259) of any shape."""

Count = Annotated[int, Field(ge=1)]
"""A whole number of at least one."""

Limit = Annotated[Count, Field(description="Most entries to return.")]
Offset = Annotated[int, Field(ge=0, description="Entries to skip, for paging.")]

PhoneNumber = Annotated[str, Field(pattern=_E164)]
"""ITU-T E.164: a plus sign and 2 to 15 digits."""

Email = Annotated[str, AfterValidator(_email), WithJsonSchema({"type": "string", "format": "email"})]
"""One address (RFC 5322 addr-spec), also of a domain reserved for examples."""

Date = Annotated[str, AfterValidator(_date), WithJsonSchema({"type": "string", "format": "date"})]
"""ISO 8601 calendar date."""

Time = Annotated[str, Field(pattern=_HHMM)]
"""24-hour time, HH:MM."""

DateTime = Annotated[str, AfterValidator(_date_time)]
"""ISO 8601; no `format`, since RFC 3339 would refuse the API's own sample without seconds."""

TimeZone = Annotated[str, AfterValidator(_zone)]
"""IANA zone name."""

Country = Annotated[str, Field(pattern=_ALPHA2)]
"""ISO 3166-1 alpha-2."""
