"""When people may be phoned: in the hours that are set, by the clock where they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kallyai_mcp.model import Args, Command
    from kallyai_mcp.safety import Hours

_MANY = 20
"""Zones from which on a number says nothing of where it rings; only North America as a whole has as many."""

_UNKNOWN = "Etc/Unknown"
_STEPS = 64
"""Ends of pauses that are tried in search of a moment that suits every zone."""


@dataclass(frozen=True, slots=True)
class Closed:
    """It is too early or too late somewhere.

    Attributes:
        zone: IANA zone where it is.
        local_time: The moment judged, by the clock there.
        not_before: The first moment after it at which all zones are within the hours, by the clock there; None where
            there is none.
    """

    zone: str
    local_time: datetime
    not_before: datetime | None


def zones_of(number: str, own_zone: str | None) -> tuple[str, ...]:
    """Return the zones in which a number may ring; the user's own where it may be any."""
    import phonenumbers
    from phonenumbers import timezone

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        found: tuple[str, ...] = ()
    else:
        found = tuple(timezone.time_zones_for_number(parsed))
        if found == (_UNKNOWN,):  # as of every number that is not assigned; its beginning tells all the same
            found = tuple(timezone.time_zones_for_geographical_number(parsed))
    known = tuple(zone for zone in found if zone != _UNKNOWN and _zone(zone) is not None)
    if own_zone is not None and not 0 < len(known) <= _MANY:
        return (own_zone,)
    return known


def closed(moment: datetime, zones: Sequence[str], hours: Hours) -> Closed | None:
    """Return where, at a moment, people are not to be phoned, or None where they may be everywhere."""
    places = [place for zone in zones if (place := _zone(zone)) is not None]
    place = _first_closed(moment, places, hours)
    if place is None:
        return None
    return Closed(place.key, moment.astimezone(place), _opening(moment, places, hours, place))


def rings_at(command: Command, args: Args | None, now: datetime, own_zone: str | None) -> datetime | None:
    """Return when a run makes a phone ring; None where it makes none ring, or nobody can tell when."""
    given = _given(args)
    if _moves_a_call(command):
        return _moved_to(given, now, own_zone)
    if not command.places_call or given.get("auto_execute") is False or given.get("channel", "call") != "call":
        return None
    return now


def _moves_a_call(command: Command) -> bool:
    """Whether a run changes the time of a call that was ordered before."""
    return command.words[-1] == "reschedule"


def _given(args: Args | None) -> dict[str, Any]:
    return (
        {}
        if args is None
        else {name: value for name in args.model_fields_set if (value := getattr(args, name)) is not None}
    )


def _moved_to(given: dict[str, Any], now: datetime, own_zone: str | None) -> datetime | None:
    """Read date and time as the user's, whose zone the call was ordered in; without a date the next such time."""
    if "time" not in given:
        return None
    zone = None if own_zone is None else _zone(own_zone)
    here = now if zone is None else now.astimezone(zone)
    at = time.fromisoformat(given["time"])
    day = date.fromisoformat(given["date"]) if "date" in given else here.date()
    moment = datetime.combine(day, at, here.tzinfo)
    return moment + timedelta(days=1) if "date" not in given and moment < here else moment


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _first_closed(moment: datetime, places: Sequence[ZoneInfo], hours: Hours) -> ZoneInfo | None:
    # The local time is taken of the moment, so that it exists also where a clock has just been changed.
    return next((place for place in places if moment.astimezone(place).time() not in hours), None)


def _opening(moment: datetime, places: Sequence[ZoneInfo], hours: Hours, shown_in: ZoneInfo) -> datetime | None:
    for _ in range(_STEPS):
        place = _first_closed(moment, places, hours)
        if place is None:
            return moment.astimezone(shown_in)
        moment = _next_start(moment, place, hours)
    return None


def _next_start(moment: datetime, place: ZoneInfo, hours: Hours) -> datetime:
    local = moment.astimezone(place)
    for days in (0, 1, 2):
        start = datetime.combine(local.date() + timedelta(days=days), hours.start, place)
        # A start in the hour that a clock leaves out is the moment at which it goes on (PEP 495).
        instant = start.astimezone(moment.tzinfo)
        if instant > moment:
            return instant
    return moment + timedelta(days=1)
