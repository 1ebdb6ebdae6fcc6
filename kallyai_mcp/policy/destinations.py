"""Whom an act reaches: the numbers, addresses and handles among its arguments, in a form that can be compared."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from kallyai_mcp.model.args import arg_of
from kallyai_mcp.policy import numbers
from kallyai_mcp.policy.mails import address_in, is_address
from kallyai_mcp.policy.mentions import embedded, mentioned
from kallyai_mcp.policy.spelling import FEWEST_DIGITS, is_followed, number_in, plain
from kallyai_mcp.visible import neutral

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kallyai_mcp.model import Args, Command

Kind = Literal["phone", "mail", "handle"]
Role = Literal["contact", "callback", "mentioned"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Somebody whom an act reaches or names.

    Attributes:
        argument: Argument, or field that was looked up, in which it stands.
        kind: What it is.
        value: Comparable: E.164, an address with its domain in ASCII, or a handle.
        shown: The same for people.
        role: Contacted, to be called back, or only mentioned in a text.
        country: Of a number, ISO 3166-1 alpha-2, where it can be told.
        is_followed: Whether an extension or the like stands after a number, which nobody would dial.
    """

    argument: str
    kind: Kind
    value: str
    shown: str
    role: Role
    country: str | None = None
    is_followed: bool = False


_NUMBER_KEY = re.compile(
    r"(?:^|[^a-z])(?:number|phone|telephone|tel|mobile|cell|msisdn|target|to|dest|destination|forward|transfer|divert|"
    r"redirect|dial|recipient|contact|callee|callback|sms)$"
)
"""Names of fields whose value is a number even when it is short or has no plus."""

_NO_NUMBER = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}([-/.])[0-9]{1,2}(?:\1[0-9]{2,4})?")
"""Dates and spans of a day or a month."""

_MAIL = re.compile(r"[^\s<>()\[\],;:\"']+@[\w\-]+(?:\.[\w\-]+)+")


def destinations(command: Command, args: Args) -> tuple[Destination, ...]:
    """Return whom a run reaches by its own arguments, and which numbers the texts of an act mention.

    Texts of an act that only stores a mail are not searched: they reach nobody but its recipient.
    """
    found: list[Destination] = []
    reads_texts = command.is_act and (
        command.contacts_people or command.delegates or command.diverts or not _reaching(command)
    )
    for name in command.args.model_fields:
        value = getattr(args, name)
        reach = arg_of(command.args, name).reaches
        if value is None:
            continue
        if reach is not None:
            found += _within(name, value, reach)
        elif reads_texts and not name.endswith("_id"):
            found += [_phone(name, number, "mentioned") for text in _texts(value) for number in mentioned(text)]
    return tuple(dict.fromkeys(found))


def as_judged(command: Command, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return arguments with each number or address that names whom a run reaches as it is judged, shown and compared.

    What stands for neither, and an address that is one as it stands, are left as they are.
    """
    changed = {
        name: value
        for name in command.args.model_fields
        if arg_of(command.args, name).reaches is not None
        and isinstance(text := given.get(name), str)
        and (value := _normal(text)) != text
    }
    return {**given, **changed} if changed else given


def _normal(text: str) -> str:
    if number := number_in(text):
        return number if number.startswith("+") and not is_followed(text) else text
    return text if is_address(text) else address_in(text) or text


def of_value(argument: str, value: object, role: Role) -> Destination | None:
    """Return whom a value stands for that was found by looking something up; None where it stands for nobody."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return _either(argument, text, role) if text else None


def _reaching(command: Command) -> bool:
    return any(arg_of(command.args, name).reaches is not None for name in command.args.model_fields)


def _within(argument: str, value: Any, role: Role) -> list[Destination]:
    if isinstance(value, str):
        return [replace(_either(argument, value, role), is_followed=is_followed(value))]
    if isinstance(value, list):
        return [spot for item in cast("list[Any]", value) for spot in _within(argument, item, role)]
    if isinstance(value, dict):
        return list(_in_object(argument, cast("dict[str, Any]", value), role, ""))
    return [spot for spot in [of_value(argument, value, role)] if spot is not None]


def _either(argument: str, text: str, role: Role) -> Destination:
    """Return what a text is that names one person: a number, an address, else a handle."""
    if number := number_in(text):
        return _phone(argument, number, role)
    if address := address_in(text):
        return Destination(argument, "mail", address, address, role)
    handle = neutral(text).strip()
    return Destination(argument, "handle", handle, handle, role)


def _phone(argument: str, number: str, role: Role) -> Destination:
    return Destination(argument, "phone", number, numbers.shown(number), role, numbers.country_of(number))


def _in_object(argument: str, value: Any, role: Role, key: str) -> Iterator[Destination]:
    """Yield what stands in a JSON object for a number or an address, under whatever name and however deep."""
    match value:
        case dict():
            for name, inner in cast("dict[str, Any]", value).items():
                yield from _in_text(argument, name, role, "")
                yield from _in_object(argument, inner, role, name)
        case list():
            for inner in cast("list[Any]", value):
                yield from _in_object(argument, inner, role, key)
        case str():
            yield from _in_text(argument, value, role, key)
        case int() | float() if not isinstance(value, bool):
            # A bare 112 under the name of a number is one; elsewhere it is seconds.
            if (digits := _digits(value)) not in numbers.EVERYWHERE or _NUMBER_KEY.search(_snake(key)):
                yield from _in_text(argument, digits, role, key)
        case _:
            pass


def _in_text(argument: str, text: str, role: Role, key: str) -> Iterator[Destination]:
    flat = plain(text).strip()
    number = None if _NO_NUMBER.fullmatch(flat) else number_in(flat)
    if number is not None and _counts(number, flat, key):
        yield _phone(argument, number, role)
        return
    if address := address_in(text):
        yield Destination(argument, "mail", address, address, role)
        return
    for found in embedded(flat):
        yield _phone(argument, found, role)
    for found in _MAIL.findall(flat):
        yield _either(argument, found, role)


def _counts(number: str, text: str, key: str) -> bool:
    """Whether a value that can be read as a number is meant as one."""
    if _NUMBER_KEY.search(_snake(key)) or number in numbers.EVERYWHERE:
        return True
    if len(number.lstrip("+")) < FEWEST_DIGITS:
        return numbers.is_emergency(number) and number.startswith("+")
    if number.startswith("+") and numbers.fault(number) is not numbers.IMPOSSIBLE:
        return True
    return not text.isdigit() and re.search("[A-Za-z]", text) is None


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()


def _digits(value: float) -> str:
    try:
        return str(int(value)) if value == int(value) else json.dumps(value)
    except (ValueError, OverflowError):
        return ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            yield name
            yield from _texts(inner)
