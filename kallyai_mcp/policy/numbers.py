"""Judge a telephone number: which ones are never contacted, whatever the settings, and what can be told of the others.

Every function takes a number as `spelling.normalise` returns it. Whether it is assigned does not matter, since the
numbers kept for fiction are not; whether it can be one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from kallyai_mcp.model.codes import CODES
from kallyai_mcp.policy.spelling import FEWEST_DIGITS
from kallyai_mcp.policy.tolls import INTERNATIONAL_TOLLS, begins_toll, is_local_toll

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

EVERYWHERE = frozenset({"112", "911", "999"})
"""Emergency numbers that networks connect in most countries (3GPP TS 22.101, 10.1)."""

_NO_COUNTRY = "001"
"""Region that libphonenumber gives to codes of no country (UN M49: world)."""

_NOWHERE = "ZZ"
_LONGEST_EMERGENCY = 6


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a number is never contacted.

    Attributes:
        code: The API's code where it has one for it, else `destination_refused`.
        what: What is the matter with the number; completes a sentence that begins with it.
        next_step: What the reader should do about it.
    """

    code: str
    what: str
    next_step: str


def _of(code: str, what: str) -> Fault:
    return Fault(code, what, CODES[code].next_step)


EMERGENCY = _of("emergency_number", "is that of an emergency service")
TOLL = _of("toll_number", "is charged at a premium or shared-cost rate")
NETWORK = Fault(
    "destination_refused",
    "belongs to a satellite or another international network, not to a country",
    "Find an ordinary number of the same person or business, and use that.",
)
UNASSIGNED = _of("unsupported_country", "begins with a country code that no country has")
SHORT = Fault(
    "destination_refused",
    "is a short or service code, which reaches no subscriber",
    "Find an ordinary number of the same person or business, and use that.",
)
IMPOSSIBLE = _of("missing_phone_number", "cannot be a number: it has too few or too many digits")
NO_COUNTRY_CODE = _of("missing_phone_number", "does not say which country it belongs to")


def fault(number: str) -> Fault | None:
    """Return why a number is never contacted, or None where only the settings decide."""
    import phonenumbers

    if is_emergency(number):
        return EMERGENCY
    if not any(map(str.isdigit, number)):
        return IMPOSSIBLE
    if not number.startswith("+"):
        return NO_COUNTRY_CODE if len(number) >= FEWEST_DIGITS and number.isdigit() else SHORT
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException as error:
        unassigned = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        return UNASSIGNED if unassigned and number[1] != "0" else _by_code(number) or IMPOSSIBLE
    if abroad := _by_code(number):
        return abroad
    if _is_toll(parsed):
        return TOLL
    if not phonenumbers.is_valid_number(parsed) and phonenumbers.is_valid_short_number(parsed):
        return SHORT
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return IMPOSSIBLE
    return None


@lru_cache(maxsize=256)
def is_emergency(number: str) -> bool:
    """Whether the digits reach an emergency service, with or without a country code or a trunk prefix before them."""
    digits = number.lstrip("+")
    bare = {digits, digits.lstrip("0"), digits.removeprefix("011")}
    if any(len(form) <= _LONGEST_EMERGENCY and _is_emergency_anywhere(form) for form in bare):
        return True
    code, rest = _split(digits.lstrip("0"))
    if code is None:
        return False
    rests = {rest, rest.lstrip("0"), rest.removeprefix("0"), rest.removeprefix("1") if code == 1 else rest}
    return bool(rests & EVERYWHERE) or _is_area_911(code, rest) or any(_is_emergency_in(code, form) for form in rests)


def country_of(number: str) -> str | None:
    """Return the country of a number, ISO 3166-1 alpha-2; where the number does not tell, the main one of its code."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    region = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(
        parsed.country_code or 0
    )
    return region if len(region) == 2 and region != _NOWHERE else None


def shown(number: str) -> str:
    """Return a number as people write it, in international form."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def country_code(number: str) -> str:
    """Return `+` and the country code of a number; empty where it has none."""
    code, _ = _split(number.lstrip("+")) if number.startswith("+") else (None, "")
    return "" if code is None else f"+{code}"


def _split(digits: str) -> tuple[int | None, str]:
    import phonenumbers

    for length in (1, 2, 3):
        if digits[:length].isdigit() and int(digits[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return int(digits[:length]), digits[length:]
    return None, digits


def _by_code(number: str) -> Fault | None:
    import phonenumbers

    code, _ = _split(number.lstrip("+"))
    if code is None or phonenumbers.region_code_for_country_code(code) != _NO_COUNTRY:
        return None
    return TOLL if code in INTERNATIONAL_TOLLS else NETWORK


def _is_toll(parsed: PhoneNumber) -> bool:
    import phonenumbers

    kind = phonenumbers.number_type(parsed)
    national = phonenumbers.national_significant_number(parsed)
    if kind in (phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST):
        return True
    if kind != phonenumbers.PhoneNumberType.UNKNOWN:
        return is_local_toll(parsed.country_code or 0, national)
    return begins_toll(parsed.country_code or 0, national)


def _is_area_911(code: int, rest: str) -> bool:
    return code == 1 and rest.startswith("911")  # an area that cannot be: the digits dialled first connect


@lru_cache(maxsize=1024)
def _is_emergency_anywhere(digits: str) -> bool:
    import phonenumbers

    return any(phonenumbers.is_emergency_number(digits, region) for region in phonenumbers.SUPPORTED_SHORT_REGIONS)


def _is_emergency_in(code: int, digits: str) -> bool:
    import phonenumbers

    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    return len(digits) <= _LONGEST_EMERGENCY and any(phonenumbers.is_emergency_number(digits, r) for r in regions)
