"""The appointment of a call as an iCalendar file (RFC 5545)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

_LENGTH = timedelta(hours=1)


def calendar_file(call: dict[str, Any]) -> str:
    """Return a calendar with the one event that a call agreed on; lines end in CRLF and are folded (3.1)."""
    appointment: dict[str, str] = call["appointment"]
    start = datetime.fromisoformat(f"{appointment['date']}T{appointment['time']}")
    start = start.replace(tzinfo=ZoneInfo(appointment["timezone"]))
    # In UTC (3.3.5, form 2) no VTIMEZONE is needed.
    properties = {
        "UID": f"{call['id']}@sandbox.kallyai.invalid",
        "DTSTAMP": _stamp(datetime.fromisoformat(call["metadata"]["ended_at"])),
        "DTSTART": _stamp(start),
        "DTEND": _stamp(start.astimezone(UTC) + _LENGTH),
        "SUMMARY": _text(appointment["title"]),
        "DESCRIPTION": _text(call["submission"]["task_description"]),
        "STATUS": "CONFIRMED",
    }
    if call["business_name"]:
        properties["LOCATION"] = _text(call["business_name"])
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//KallyAI sandbox//EN",
        "METHOD:PUBLISH",
        "BEGIN:VEVENT",
        *(f"{name}:{value}" for name, value in properties.items()),
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(_folded(line) + "\r\n" for line in lines)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(value: str) -> str:
    # RFC 5545, 3.3.11. A line break of any kind is written as \n.
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return "\\n".join(escaped.splitlines())


def _folded(line: str) -> str:
    """Break a line after at most 75 octets, never within a character."""
    parts: list[str] = []
    part, octets = "", 0
    for character in line:
        size = len(character.encode())
        if octets + size > 75:
            parts.append(part)
            part, octets = " ", 1
        part += character
        octets += size
    return "\r\n".join([*parts, part])
