"""How goals and outreach get hold of people: numbers and addresses looked up, calls placed for them and ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.areas import telephony
from kallyai_mcp.sandbox.areas.bookings import chance
from kallyai_mcp.sandbox.areas.conversations import Order

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

_OVER = frozenset({"success", "no_answer", "busy", "failed", "voicemail", "cancelled"})
_PRIVATE = re.compile(r"^(?:my|mi)\s", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:the|el|la|my|mi)\s+", re.IGNORECASE)

NOT_REACHED = {
    "no_answer": "Nobody answered.",
    "busy": "The line was busy.",
    "failed": "The call did not come to an end.",
    "voicemail": "A machine took a message.",
    "cancelled": "The call was cancelled.",
}
"""What came of a call that settled nothing."""


def order(phone: str, task: str, *, whom: str | None = None, spanish: bool = False, **facts: Any) -> Order:
    """Return the order of a call."""
    language = "es" if spanish else "en"
    return Order(
        respondent_phone=phone,
        task_description=task,
        language=language,
        call_language=language,
        business_name=whom,
        timezone="UTC",
        **facts,
    )


def place(world: World, wanted: Order, *, then: str, goal_id: str | None = None) -> str:
    """Place a call and return its identifier; `then` happens when it is over.

    Raises:
        Refusal: The number, the task or the balance does not allow it.
    """
    return telephony.place(world, wanted, goal_id=goal_id, then=then)["id"]


def result(world: World, call_id: str) -> dict[str, Any] | None:
    """Return a call that is over, or None while it lasts."""
    call = world.get("call", call_id)
    return call if call is None or call["status"] in _OVER else None


def hang_up(world: World, call_id: str) -> None:
    """End a call, unless it is over."""
    call = world.get("call", call_id)
    if call is not None and call["status"] not in _OVER:
        telephony.hang_up(world, call)


def find_number(world: World, whom: str | None) -> str | None:
    """Return the number of a contact, else of a business; of a person who is no contact there is none."""
    return _of_contact(world, whom, "phone_number", "phone") or _of_business(whom, "phone")


def find_address(world: World, whom: str | None) -> str | None:
    """Return the mail address of a contact, else of a business; of a person who is no contact there is none."""
    return _of_contact(world, whom, "email") or _of_business(whom, "email")


def _of_contact(world: World, whom: str | None, *fields: str) -> str | None:
    wanted = _ARTICLE.sub("", whom or "").casefold()
    for contact in world.all("contact"):
        name = str(contact.get("name") or "").casefold()
        if wanted and wanted in (name, *name.split()):
            return next((contact[field] for field in fields if contact.get(field)), None)
    return None


def _of_business(whom: str | None, what: str) -> str | None:
    if not whom or _PRIVATE.match(whom):
        return None
    if what == "email":
        return (
            f"office@{re.sub(r'[^a-z0-9]+', '-', _ARTICLE.sub('', whom).casefold()).strip('-') or 'business'}.example"
        )
    return f"+121255501{chance('business', whom).randint(20, 99)}"
