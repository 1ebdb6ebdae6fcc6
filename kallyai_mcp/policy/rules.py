"""What no consent can allow: numbers that are never dialled, lists of the operator's, and the hours of those phoned."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kallyai_mcp.errors import ActRefused
from kallyai_mcp.model.codes import CODES
from kallyai_mcp.policy import hours, numbers
from kallyai_mcp.policy.countries import name_of
from kallyai_mcp.policy.mails import domain_of, is_within
from kallyai_mcp.policy.mentions import is_emergency_in_words, mentioned
from kallyai_mcp.policy.spelling import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kallyai_mcp.model import Args, Command
    from kallyai_mcp.policy.destinations import Destination
    from kallyai_mcp.safety import Safety

_DIALLED = re.compile(r"(?<!\w)[0-9](?:[\s().\-/]*[0-9]){6}")
"""As many digits as a subscriber has, beside the letters of a handle."""

_BY_THE_USER = (
    "Only the person who runs this server can change the setting; tell the user, and do not look for a way round."
)


def check(
    destinations: Sequence[Destination],
    command: Command,
    safety: Safety,
    now: datetime,
    *,
    args: Args | None = None,
    own_zone: str | None = None,
) -> None:
    """Refuse an act that goes where none may go, or at a time at which none may.

    Args:
        destinations: Whom it reaches or mentions.
        command: What is run.
        safety: The settings.
        now: The present moment, with its offset.
        args: What it is run with, which may say when a phone rings.
        own_zone: IANA zone of the user, for numbers that tell no zone.

    Raises:
        ActRefused: The first rule that is broken. Its texts name the argument and the rule, not the number.
    """
    has_own = any(spot.role == "contact" for spot in destinations)
    for spot in destinations:
        if spot.kind == "phone":
            _check_number(spot)
        elif spot.kind == "mail":
            _check_mail(spot, safety)
        else:
            _check_handle(spot, safety)
        if spot.kind == "phone":
            # A number in the order to an assistant is one that it will phone; in the task of a call it is talked about.
            _check_lists(
                spot, safety, is_contacted=spot.role == "contact" or (spot.role == "mentioned" and not has_own)
            )
    moment = hours.rings_at(command, args, now, own_zone)
    if moment is not None:
        for spot in destinations:
            if spot.kind == "phone" and spot.role == "contact":
                _check_hours(spot, safety, moment, own_zone)


def _check_number(spot: Destination) -> None:
    fault = numbers.fault(spot.value)
    if fault is None:
        if spot.is_followed:
            raise _refused(
                spot,
                f"The number in {spot.argument} is followed by an extension or by what is to be keyed in.",
                "Give the number alone; say in the text what is to be asked for or keyed in once somebody answers.",
            )
        return
    if spot.role == "mentioned":
        raise _refused(spot, f"{spot.argument} names a number that {fault.what}.", fault.next_step, code=fault.code)
    raise _refused(spot, f"The number in {spot.argument} {fault.what}.", fault.next_step, code=fault.code)


def _check_lists(spot: Destination, safety: Safety, *, is_contacted: bool) -> None:
    country = spot.country or ""
    where = name_of(country) if country else "no country"
    number = f"The number in {spot.argument}"
    if _is_listed(spot.value, safety.deny_numbers):
        raise _barred(spot, f"{number} is one of those that are never contacted (deny_numbers).", "deny_numbers")
    if country in safety.deny_countries:
        raise _barred(spot, f"{number} is in {where}, which is never contacted (deny_countries).", "deny_countries")
    if not is_contacted:
        return
    if safety.allow_numbers and not _is_listed(spot.value, safety.allow_numbers):
        raise _barred(spot, f"{number} is none of those that may be contacted (allow_numbers).", "allow_numbers")
    if safety.allow_countries and country not in safety.allow_countries:
        only = ", ".join(map(name_of, safety.allow_countries))
        message = f"{number} is in {where}; only numbers of {only} may be contacted (allow_countries)."
        raise _barred(spot, message, "allow_countries")


def _is_listed(number: str, listed: tuple[str, ...]) -> bool:
    return any(number.startswith(entry[:-1]) if entry.endswith("*") else number == entry for entry in listed)


def _check_mail(spot: Destination, safety: Safety) -> None:
    domain = domain_of(spot.value)
    if is_within(domain, safety.deny_mail_domains):
        message = f"{spot.argument} is in a mail domain that is never written to (deny_mail_domains)."
        raise _barred(spot, message, "deny_mail_domains")
    if spot.role == "contact" and safety.allow_mail_domains and not is_within(domain, safety.allow_mail_domains):
        message = f"{spot.argument} is in no mail domain that may be written to (allow_mail_domains)."
        raise _barred(spot, message, "allow_mail_domains")


def _check_handle(spot: Destination, safety: Safety) -> None:
    flat = plain(spot.value).strip()
    names_number = _DIALLED.search(flat) is not None or is_emergency_in_words(flat)
    names_more = "@" in flat[1:] or names_number or next(mentioned(flat), None) is not None
    if not flat or names_more or not (flat[0].isalpha() or flat[0] in "@_"):
        raise _refused(
            spot,
            f"{spot.argument} is neither one phone number nor one mail address nor a handle.",
            "Give one number in international form, with + and the country code, or one mail address, or one handle.",
        )
    for setting in ("allow_numbers", "allow_countries"):
        if getattr(safety, setting):
            message = (
                f"{spot.argument} is a handle, and only numbers that are known beforehand may be contacted ({setting})."
            )
            raise _barred(spot, message, setting)


def _check_hours(spot: Destination, safety: Safety, moment: datetime, own_zone: str | None) -> None:
    found = hours.closed(moment, hours.zones_of(spot.value, own_zone), safety.contact_hours)
    if found is None:
        return
    details: dict[str, object] = {"local_time": f"{found.local_time:%Y-%m-%dT%H:%M}", "zone": found.zone}
    next_step = "Tell the user: no time of day suits every place where this number may ring."
    if found.not_before is not None:
        at = found.not_before.isoformat(timespec="minutes")
        details["not_before"] = at
        next_step = (
            f"Offer the user to do it at {at} or later, and run the same tool again then; a call that is already "
            "ordered can be moved there with kallyai_calls_reschedule."
        )
    raise ActRefused(
        f"It would be {found.local_time:%H:%M} where the number in {spot.argument} rings ({found.zone}); people are "
        f"phoned between {safety.contact_hours.start:%H:%M} and {safety.contact_hours.end:%H:%M} of their own time "
        "(contact_hours).",
        code="quiet_hours",
        next_step=next_step,
        details=details | {"argument": spot.argument, "outcome": "not_sent"},
    )


def _barred(spot: Destination, message: str, setting: str) -> ActRefused:
    return _refused(spot, message, _BY_THE_USER, setting=setting)


def _refused(
    spot: Destination, message: str, next_step: str, *, code: str = "destination_refused", **details: object
) -> ActRefused:
    assert code in CODES or code == "destination_refused"  # noqa: S101 - no code is made up here
    return ActRefused(
        f"{message} Nothing was sent.",
        code=code,
        next_step=next_step,
        details={"argument": spot.argument, "outcome": "not_sent"} | details,
    )
