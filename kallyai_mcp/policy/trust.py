"""Who is trusted while strangers' words may be behind an act: the contacts, and whom the operator has listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallyai_mcp.policy.mails import domain_of, is_within

if TYPE_CHECKING:
    from kallyai_mcp.policy.destinations import Destination
    from kallyai_mcp.safety import Safety


def is_trusted(
    destination: Destination, contacts: frozenset[str], distrusted: frozenset[tuple[str, str]], safety: Safety
) -> bool:
    """Whether a destination is known by other means than what was read lately.

    Args:
        destination: Number, address or handle.
        contacts: Values of the user's contacts, as `of_value` gives them.
        distrusted: Kind and value of what was written down while strangers' words had just been read.
        safety: The settings.
    """
    value = destination.value
    match destination.kind:
        case "phone":
            listed = any(
                value.startswith(entry[:-1]) if entry.endswith("*") else value == entry
                for entry in safety.allow_numbers
            )
        case "mail":
            listed = is_within(domain_of(value), safety.allow_mail_domains)
        case "handle":
            listed = False
    return listed or (value in contacts and not is_distrusted(destination, distrusted))


def is_distrusted(destination: Destination, distrusted: frozenset[tuple[str, str]]) -> bool:
    """Whether a destination was written down while strangers' words had just been read."""
    return any(value == destination.value for _, value in distrusted)
