"""Telephone numbers and task wordings with fixed outcomes, as payment providers have test cards.

Any other number that is possible in a country served answers, and the call succeeds. The numbers are out of the ranges
kept free for fiction (North America 555-0100 to 555-0199, Ofcom's drama numbers), so none of them rings anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from kallyai_mcp.sandbox.countries import find_country

VERIFICATION_CODE = "000000"
"""The one-time code that every number verification and mail verification accepts; any other is wrong."""


class Outcome(StrEnum):
    """What becomes of a call to a number."""

    SUCCESS = "success"
    APPOINTMENT = "appointment"
    SLOW = "slow"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CALLS_BACK = "calls_back"
    VOICEMAIL = "voicemail"
    FAILED = "failed"
    DECLINED = "declined"
    DISCONNECTED = "disconnected"
    CONSENT_DENIED = "consent_denied"
    QUOTA_EXCEEDED = "quota_exceeded"
    EMERGENCY = "emergency_number"
    TOLL = "toll_number"
    DO_NOT_CALL = "suppression_violation"
    FRAUD = "blocked_number"
    RESTRICTED = "country_restriction"
    UNSUPPORTED = "unsupported_country"
    IMPOSSIBLE = "missing_phone_number"

    @property
    def refusal(self) -> str | None:
        """The API's error code, where the call is refused before it rings."""
        return self.value if self in _REFUSED else None

    @property
    def bar(self) -> str | None:
        """The API's error code, where the number is one that nothing may be connected to, forwarded calls included."""
        return None if self in (Outcome.CONSENT_DENIED, Outcome.QUOTA_EXCEEDED) else self.refusal


_REFUSED = frozenset(
    {
        Outcome.CONSENT_DENIED,
        Outcome.QUOTA_EXCEEDED,
        Outcome.EMERGENCY,
        Outcome.TOLL,
        Outcome.DO_NOT_CALL,
        Outcome.FRAUD,
        Outcome.RESTRICTED,
        Outcome.UNSUPPORTED,
        Outcome.IMPOSSIBLE,
    }
)


@dataclass(frozen=True, slots=True)
class TestNumber:
    """A number whose calls always come out the same.

    Attributes:
        number: E.164.
        outcome: What happens.
        meaning: The same for people, for the table in the documentation.
    """

    __test__ = False  # pytest would take the name for a test class

    number: str
    outcome: Outcome
    meaning: str


NUMBERS: tuple[TestNumber, ...] = (
    TestNumber("+12025550100", Outcome.SUCCESS, "Answers and settles the task, as every number not listed does."),
    TestNumber("+447700900100", Outcome.SUCCESS, "The same in the United Kingdom."),
    TestNumber("+12025550101", Outcome.BUSY, "Is engaged: status busy, no charge."),
    TestNumber("+12025550102", Outcome.NO_ANSWER, "Rings and nobody answers: status no_answer, no charge."),
    TestNumber("+12025550103", Outcome.VOICEMAIL, "A machine takes a message: status voicemail, base charge."),
    TestNumber("+12025550104", Outcome.FAILED, "Cannot be connected: status failed, no charge."),
    TestNumber("+12025550105", Outcome.DECLINED, "Will not talk to an assistant and hangs up: status failed, charged."),
    TestNumber("+12025550106", Outcome.DISCONNECTED, "The line drops halfway: status failed, part of the transcript."),
    TestNumber("+12025550107", Outcome.SLOW, "Succeeds after minutes on hold."),
    TestNumber("+12025550108", Outcome.APPOINTMENT, "Succeeds and makes an appointment, with a calendar file."),
    TestNumber("+12025550109", Outcome.CALLS_BACK, "Does not answer and calls back soon: an incoming call appears."),
    TestNumber("+12025550110", Outcome.CONSENT_DENIED, "Refused: consent to the call is missing."),
    TestNumber("+12025550111", Outcome.DO_NOT_CALL, "Refused: on a do-not-call list."),
    TestNumber("+12025550112", Outcome.FRAUD, "Refused: marked as fraudulent."),
    TestNumber("+12025550113", Outcome.RESTRICTED, "Refused: not to be called from the account's region."),
    TestNumber("+12025550114", Outcome.UNSUPPORTED, "Refused: stands for a country that is not served."),
    TestNumber("+9995550100", Outcome.UNSUPPORTED, "Refused: a country code that nobody has."),
    TestNumber("+12025550115", Outcome.QUOTA_EXCEEDED, "Refused as if the credits were used up."),
    TestNumber("+19005550199", Outcome.TOLL, "Refused: premium rate, as all numbers of that kind."),
    TestNumber("+449098790000", Outcome.TOLL, "Refused: premium rate in the United Kingdom."),
    TestNumber("+4420", Outcome.IMPOSSIBLE, "Refused: too short to be a number."),
    TestNumber("+1911", Outcome.EMERGENCY, "Refused: emergency service, as in any other country's spelling."),
    TestNumber("+44999", Outcome.EMERGENCY, "Refused: emergency service in the United Kingdom."),
    TestNumber("+112", Outcome.EMERGENCY, "Refused: emergency service, without a country code."),
)


@dataclass(frozen=True, slots=True)
class TestPhrase:
    """Words in a task that have a fixed effect.

    Attributes:
        phrase: The words, in any case, anywhere in the task.
        code: The API's error code with which the call is refused.
        meaning: What they stand for.
    """

    __test__ = False  # pytest would take the name for a test class

    phrase: str
    code: str
    meaning: str


PHRASES: tuple[TestPhrase, ...] = (
    TestPhrase("threaten", "safety_violation", "A threat."),
    TestPhrase("amenaza", "safety_violation", "The same in Spanish."),
    TestPhrase("blackmail", "safety_violation", "Extortion."),
    TestPhrase("pretend to be the police", "safety_violation", "Passing for an authority."),
    TestPhrase("ask for their password", "safety_violation", "Getting at a stranger's secrets."),
)

_BY_NUMBER = {row.number: row.outcome for row in NUMBERS}


def outcome_of(number: str) -> Outcome:
    """Return what becomes of a call to a number in E.164."""
    if number in _BY_NUMBER:
        return _BY_NUMBER[number]
    if is_emergency(number):
        return Outcome.EMERGENCY
    return _by_numbering_plan(number)


def refused_phrase(task: str) -> TestPhrase | None:
    """Return the first listed wording that a task contains."""
    return next((row for row in PHRASES if re.search(rf"\b{re.escape(row.phrase)}", task, re.IGNORECASE)), None)


def is_emergency(number: str) -> bool:
    """Whether the digits are those of an emergency service, with or without a country code before them."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_SHORT_REGIONS, is_emergency_number

    digits = number.removeprefix("+")
    if len(digits) <= 5 and any(is_emergency_number(digits, region) for region in SUPPORTED_SHORT_REGIONS):
        return True
    for length in (1, 2, 3):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length]), ())
        if any(is_emergency_number(digits[length:], region) for region in regions):
            return True
    return False


def _by_numbering_plan(number: str) -> Outcome:
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException as error:
        unassigned = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        return Outcome.UNSUPPORTED if unassigned else Outcome.IMPOSSIBLE
    # Made-up numbers belong to no region of a shared country code; the main one stands for them.
    region = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(
        parsed.country_code or 0
    )
    country = find_country(region)
    if country is None:
        return Outcome.UNSUPPORTED
    if not phonenumbers.is_possible_number(parsed):
        return Outcome.IMPOSSIBLE
    kind = phonenumbers.number_type(parsed)
    if kind in (phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST):
        return Outcome.TOLL
    return Outcome.SUCCESS if country.callable else Outcome.RESTRICTED
