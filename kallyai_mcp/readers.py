"""Readers of single values: text from a flag or a variable in, a value out. A ValueError says what is wrong with it."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII)
"""A host name in ASCII; others are given in the form of RFC 5891, `xn--…`."""


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address reaches only this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def origin(text: str) -> str:
    """Read an origin: scheme, host and port."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a web address") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("must begin with https:// and name a host")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must use https; plain http is for this machine only")
    if parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must be an origin only: scheme, host and port")
    if ":" not in parts.hostname and not _HOST.fullmatch(parts.hostname):
        raise ValueError("must name a host by letters, digits, dots and dashes")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def endpoint(text: str) -> str:
    """Read an address of which only the origin is limited."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("is not a web address") from None
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be one word of visible ASCII characters")
    origin(f"{parts.scheme}://{parts.netloc}")
    return text


def database(text: str) -> str:
    """Read the address of a PostgreSQL database, as libpq takes it. What is wrong with it is told without it."""
    if not text.startswith(("postgresql://", "postgres://")) or not text.isprintable() or " " in text:
        raise ValueError("must be one word that begins with postgresql://")
    return text


def switch(text: str) -> bool:
    """Read whether something is on."""
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError("must be 1 or 0")


def path(text: str) -> Path:
    """Read a path; `~` is the home folder."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)  # nobody has a home folder here, as in some containers; a file under it is just not found


def one_of(*values: str) -> Callable[[str], str]:
    """Return a reader of one out of some words."""

    def read(text: str) -> str:
        if text.lower() not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return text.lower()

    return read


def zone(text: str) -> str:
    """Read the name of an IANA time zone."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be the name of an IANA time zone, such as America/New_York") from None
    return text


def profile(text: str) -> str:
    """Return a profile's name; upper and lower case are the same, as they are in the names of files on many systems.

    Raises:
        ValueError: It is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", text, re.ASCII):
        raise ValueError("must be 1 to 32 letters, digits, _ and -")
    return text.lower()


def word(text: str) -> str:
    """Read one word of visible ASCII characters, such as a token."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be one word of visible ASCII characters")
    return text


def amount(text: str) -> float:
    """Read a number of credits, 0 included."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise ValueError("must be a number of at least 0")
    return number


def seconds(text: str) -> float:
    """Read a number of seconds, from 2 to a day."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 2 <= number <= 86_400:
        raise ValueError("must be a number of seconds, from 2 to 86400")
    return number


def count(text: str) -> int:
    """Read a whole number, 0 included."""
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise ValueError("must be a whole number of at least 0")
    return int(text)


def _listed(text: str) -> list[str]:
    found = [part for part in (part.strip() for part in text.split(",")) if part]
    if not found:
        raise ValueError("must name at least one")  # an empty list would bound nothing
    return found


def names(text: str) -> tuple[str, ...]:
    """Read names; what they may name is checked where that is known."""
    for part in _listed(text):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_ -]{0,63}", part, re.ASCII):
            raise ValueError("must be names of letters, digits, _ and -, separated by commas")
    return tuple(dict.fromkeys(part.lower() for part in _listed(text)))


def numbers(text: str) -> tuple[str, ...]:
    """Read phone numbers in E.164 form, or beginnings of such numbers followed by a *."""
    for part in _listed(text):
        if not re.fullmatch(r"\+[1-9][0-9]{0,14}\*?", part, re.ASCII):
            raise ValueError("must be numbers such as +12025550100 or beginnings such as +1202*, separated by commas")
    return tuple(_listed(text))


def countries(text: str) -> tuple[str, ...]:
    """Read country codes (ISO 3166-1 alpha-2) of countries that have phone numbers."""
    from phonenumbers import SUPPORTED_REGIONS

    for part in _listed(text):
        if not part.isascii() or part.upper() not in SUPPORTED_REGIONS:
            raise ValueError("must be country codes of two letters, such as US,GB, separated by commas")
    return tuple(part.upper() for part in _listed(text))


def domains(text: str) -> tuple[str, ...]:
    """Read mail domains; others than ASCII are taken in the form of RFC 5891, `xn--…`."""
    found: list[str] = []
    for part in _listed(text):
        name = part.lower().removeprefix("@").rstrip(".")
        if not name.isascii():
            import idna

            try:
                name = idna.encode(name, uts46=True).decode("ascii")
            except idna.IDNAError:
                name = ""
        if not _HOST.fullmatch(name):
            raise ValueError("must be mail domains such as example.com, separated by commas")
        found.append(name)
    return tuple(found)
