"""Read a telephone number in whatever way it is spelled, as a dialler or a helpful service might."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

from kallyai_mcp.visible import neutral

_PLUS = "\u2795"  # the heavy one; others are compatibility forms of +
_SCHEME = re.compile(
    r"\s*(?:(?:tel|callto|sms|smsto|mmsto|whatsapp|facetime|facetime-audio|sips?)\s*:|(?:https?://)?wa\.me/)[/\s]*",
    re.IGNORECASE,
)
# After a number: pauses (`,` `;` `p` `w` `#`) and extensions, with nothing but digits and more of them to the end.
_TAIL = re.compile(r"\s*(?:[,;#*]|(?<![a-z])(?:ext(?:ension)?|int|доб|anexo|[xpwt])(?![a-z]))", re.IGNORECASE)
_TAIL_REST = re.compile(
    r"(?:;[a-z\-]+=[\w.+\-]*|[\s\d,;#*.:=()/\-]|ext(?:ension)?|int|доб|anexo|[xpwt])*", re.IGNORECASE
)
_DIGITS_ONLY = re.compile(r"[\d\s().\-/\[\]+_\u2022\u00b7]*")
# Letters of the keypad (ITU-T E.161): after an international prefix, else in the form of a North American number.
_LETTERED = re.compile(
    r"(?:\+|00|011)[\w\s().\-/]*|1?[\s(.\-]*\d{3}[\s).\-]*[0-9A-Z][0-9A-Z.\- ]{6,}", re.IGNORECASE | re.ASCII
)
_KEYPAD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")
_ABROAD = re.compile(r"\+*(?:00|011)(?=[1-9]\d{3})|\++")
_AROUND = " \t\n-./_\u2022\u00b7"
"""What may stand round a number and is no part of it."""
_INLAND = (10, 11)
"""Digits of a North American number, without and with the 1 before it."""
FEWEST_DIGITS = 7
"""Fewer digits are no number of a subscriber in international form."""


def plain(text: str) -> str:
    """Return a text with the digits of every script as ASCII, one kind of plus, dash and blank, and nothing unseen."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_plain, unicodedata.normalize("NFKC", neutral(text))))


def _plain(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isprintable() else " "
    digit = unicodedata.digit(letter, None)
    if digit is not None:
        return str(digit)
    if letter == _PLUS:
        return "+"
    match unicodedata.category(letter):
        case "Cf" | "Cc" | "Cs" | "Mn" | "Me":
            return ""
        case "Pd" | "Sm" if letter in "\u2212\u2010\u2011\u2012\u2013\u2014\u2015\ufe63\uff0d\u30fb":
            return "-"
        case "Zs" | "Zl" | "Zp":
            return " "
        case _:
            return letter


def _with_numerals(text: str) -> str:
    """Return a text with the numerals of Chinese and other scripts as digits, where each stands for one."""
    found = ((letter, unicodedata.numeric(letter, -1)) for letter in text)
    return "".join(
        str(int(value)) if not letter.isascii() and value in range(10) else letter for letter, value in found
    )


def number_in(text: str) -> str | None:
    """Return the number that a text is, as `normalise` does; None where the text is something else."""
    number, _ = _read(text)
    return number


def is_followed(text: str) -> bool:
    """Whether a text is a number and what is to be keyed in once it has answered, such as an extension."""
    number, is_all = _read(text)
    return number is not None and not is_all


def _read(text: str) -> tuple[str | None, bool]:
    """Return the number that a text is, and whether it is all of the text."""
    flat = _with_numerals(plain(text)).strip(_AROUND)
    opened = _SCHEME.match(flat)
    is_all = True
    if opened:
        flat, context, is_all = _of_uri(flat[opened.end() :])
        flat = flat.strip(_AROUND)
        if "." in opened[0]:
            context = "+"  # these links take nothing but the digits of an international number
        if context and not flat.startswith("+"):
            flat = context + flat
    if re.match(r"[*#]", flat):
        codes = re.sub(r"[^\d*#+]", "", flat)
        return (codes if re.search(r"\d", codes) else None), True
    if not re.match(r"[\d+(\[]", flat) or not re.search(r"\d", flat):
        return None, True
    base, has_tail = _without_tail(flat)
    if not _DIGITS_ONLY.fullmatch(base):
        if not _LETTERED.fullmatch(base):
            return None, True
        base = base.upper().translate(_KEYPAD)
        if base[0] not in "+0" and len(re.sub(r"\D", "", base)) not in _INLAND:
            return None, True
    return _international(base), is_all and not has_tail


def normalise(text: str) -> str:
    """Return a number as `+` and digits; without `+` where no country can be told; empty where there is no digit.

    It is not judged: an impossible number comes out in the same form.
    """
    found = number_in(text)
    return re.sub(r"\D", "", plain(text)) if found is None else found


def _of_uri(text: str) -> tuple[str, str, bool]:
    """Return number and context of a telephone URI (RFC 3966, 3), or the user of one for SIP (RFC 3261, 19.1.6).

    The third says whether nothing is to be dialled after it.
    """
    number, _, parameters = unquote(text).partition(";")
    context = re.search(r"phone-context=(\+[\d.()\-]+)", parameters, re.IGNORECASE)
    number = re.split(r"[@?]", number)[0]
    has_more = re.search(r"(?:^|;)(?:(?:ext|isub|postd)=|[^=;]*\d[^=;]*(?:;|$))", parameters, re.IGNORECASE)
    return number, context[1] if context else "", has_more is None


def _without_tail(flat: str) -> tuple[str, bool]:
    """Return what stands before pauses and extensions, and whether there are any."""
    for tail in _TAIL.finditer(flat):
        if not _TAIL_REST.fullmatch(flat, tail.start()):
            continue
        base = flat[: tail.start()]
        if len(re.sub(r"\D", "", base)) >= FEWEST_DIGITS:
            return base, re.search(r"\d", flat[tail.start() :]) is not None
        return re.sub(r"[^\d+]", "", flat), False  # too little before the mark: it parts digits of one number
    return flat, False


def _international(base: str) -> str:
    digits = re.sub(r"\D", "", base)
    if "+" in re.split("[1-9]", base, maxsplit=1)[0]:
        digits = f"+{digits}"
    if abroad := _ABROAD.match(digits):
        digits = digits[abroad.end() :]
    elif len(digits) <= _INLAND[0] or digits.startswith("0"):
        return digits
    return _canonical(f"+{digits}")


def _canonical(number: str) -> str:
    import phonenumbers

    try:
        return phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        return number
