"""Mail addresses as they are compared and shown: the domain in the form that is sent over the network."""

from __future__ import annotations

import re
import unicodedata

from kallyai_mcp.policy.spelling import plain
from kallyai_mcp.visible import neutral

_TOGETHER = (
    {"LATIN"},
    {"LATIN", "CJK", "HIRAGANA", "KATAKANA"},
    {"LATIN", "CJK", "BOPOMOFO"},
    {"LATIN", "CJK", "HANGUL"},
)
"""Scripts that are written together (UTS 39, 5.2, "highly restrictive"); any other alone."""


def address_in(text: str) -> str | None:
    """Return the one address that a text is: local part as it is, domain in lower-case ASCII (RFC 5890); else None."""
    flat = plain(text)
    return (_address(text) or _address(flat)) if "@" in flat else None


def is_address(text: str) -> bool:
    """Whether a text is one address and nothing else, such as a name before it."""
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return False
    return True


def domain_of(address: str) -> str:
    """Return the part after the @."""
    return address.rpartition("@")[2]


def is_within(domain: str, domains: tuple[str, ...]) -> bool:
    """Whether a domain is one of some, or lies below one."""
    return any(domain == wanted or domain.endswith(f".{wanted}") for wanted in domains)


def cautions(address: str) -> tuple[str, ...]:
    """Return what a reader should know of an address that may look like another one."""
    local, _, domain = address.rpartition("@")
    found: list[str] = []
    written = _written(domain)
    if written != domain:
        found.append(
            f"The mail domain {domain} is written {neutral(written)}: letters of another alphabet can look like a name "
            "that it is not."
        )
    if not local.isascii():
        found.append(f"The name before the @ in {neutral(address)} has letters that can be taken for others.")
    if any(is_mixed(label) for label in (local, *written.split("."))):
        found.append(f"{neutral(address)} mixes alphabets, which is how addresses are forged.")
    return tuple(found)


def is_mixed(label: str) -> bool:
    """Whether a word has letters of alphabets that are not written together."""
    scripts = {re.split("[ -]", unicodedata.name(letter, ""))[0] for letter in label if letter.isalpha()}
    return len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER)


def _address(text: str) -> str | None:
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(
            text.strip().removeprefix("mailto:"),
            check_deliverability=False,
            test_environment=True,
            allow_display_name=True,
        )
    except EmailNotValidError:
        return None
    return f"{found.local_part}@{(found.ascii_domain or found.domain).lower()}"


def _written(domain: str) -> str:
    import idna

    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except idna.IDNAError:
        return domain
