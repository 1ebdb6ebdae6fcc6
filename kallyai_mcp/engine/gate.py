"""What an act passes before it may be recorded: where it goes, what it is about, and whether a person must agree.

Nothing here sends an act. What it reads it reads for itself: no model sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.engine import refusals
from kallyai_mcp.engine.naming import everything, undo_sentence, worded
from kallyai_mcp.model.acts import USUAL_CALL, price
from kallyai_mcp.model.looking import entries, given, matches, values_at
from kallyai_mcp.policy import (
    DESCRIBED,
    Ask,
    check,
    covers,
    decide,
    destinations,
    is_trusted,
    masked,
    names_all,
    of_value,
    question,
    still_shows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.engine.contacts import Contacts
    from kallyai_mcp.engine.naming import Allows
    from kallyai_mcp.engine.reader import Reader
    from kallyai_mcp.model import Args, Command
    from kallyai_mcp.model.acts import Subject
    from kallyai_mcp.model.records import Act, Mandate, Question, Standing
    from kallyai_mcp.policy import Allow, Destination
    from kallyai_mcp.safety import Safety

ESTIMATED = {"call": "call", "search": "search", "email_send": "email", "booking": "booking", "ride": "ride"} | {
    "food": "food",
    "errand": "errand",
}
"""For each kind of action that has a price, the kind of task that `budget estimate` takes."""


LISTS = (
    *("deny_numbers", "deny_countries", "deny_mail_domains"),
    *("allow_numbers", "allow_countries", "allow_mail_domains"),
)
"""Settings that cannot be kept without knowing whom an act reaches."""


@dataclass(frozen=True, slots=True)
class Order:
    """A run that is wanted.

    Attributes:
        command: What to run.
        args: Its arguments, checked.
        given: The same as they were given.
    """

    command: Command
    args: Args
    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """What an order is about.

    Attributes:
        destinations: Whom it reaches, those looked up included.
        subject: What its identifiers stand for, label and value.
        before: The whole of that, as the service shows it.
    """

    destinations: tuple[Destination, ...]
    subject: tuple[tuple[str, str], ...] = ()
    before: Mapping[str, Any] | None = None

    @property
    def masked(self) -> str:
        """The destinations for a receipt."""
        return masked(self.destinations)

    @property
    def contacted(self) -> tuple[str, ...]:
        """Whom it contacts, each once."""
        return tuple(dict.fromkeys(spot.value for spot in self.destinations if spot.role == "contact"))


class Gate:
    """Judges orders.

    Args:
        reader: Reads what an order is about.
        contacts: Who is known.
        safety: The rules.
        zone: IANA zone of the user.
        now: Tells the time.
        allows: Whether the caller may run a tool.
    """

    def __init__(
        self,
        reader: Reader,
        contacts: Contacts,
        safety: Safety,
        zone: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        allows: Allows = everything,
    ) -> None:
        self._reader = reader
        self._contacts = contacts
        self.safety = safety
        self.zone = zone
        self._now = now
        self.allows = allows

    def reached(self, order: Order) -> Seen:
        """Return whom an order reaches by its own arguments.

        Raises:
            ActRefused: Somebody who may not be contacted, or not now.
        """
        return self._checked(order, Seen(destinations(order.command, order.args)))

    async def resolved(self, order: Order, seen: Seen) -> Seen:
        """Add whom and what the identifiers of an order stand for, as far as the service tells.

        Raises:
            ActRefused: Somebody who may not be contacted, or not now.
        """
        subject = order.command.subject
        if subject is None:
            return seen
        answer = await self._reader.read(subject.look.command, given(subject.look, order.given))
        found = [] if answer is None else entries(subject.look, answer)
        entry = next((entry for entry in found if matches(subject.look, entry, order.given, None)), None)
        if entry is None:
            return self._found(seen, subject)
        spots = [
            spot
            for field in subject.reaches
            for value in values_at(entry, field)
            if isinstance(value, str) and (spot := of_value(field, value, "contact")) is not None
        ]
        shown = tuple(
            (field.rpartition(".")[2], _in_words(value))
            for field in subject.shows
            for value in values_at(entry, field)
            if value not in (None, "")
        )
        return self._checked(order, self._found(Seen((*seen.destinations, *spots), shown, entry), subject))

    def _found(self, seen: Seen, subject: Subject) -> Seen:
        """Refuse what reaches somebody who cannot be told, where only some may be reached."""
        lists = [name for name in LISTS if getattr(self.safety, name)]
        if subject.reaches and not seen.contacted and lists:
            raise refusals.not_told(lists[0])
        return seen

    def _checked(self, order: Order, seen: Seen) -> Seen:
        check(seen.destinations, order.command, self.safety, self._now(), args=order.args, own_zone=self.zone)
        return seen

    async def decision(
        self, order: Order, seen: Seen, standing: Standing, *, offline: bool = False
    ) -> tuple[Allow | Ask, Mandate | None]:
        """Return whether a person has to agree, and the mandate under which they need not.

        Offline, the service is not asked for the contacts, so that nobody counts as known.
        """
        now = self._now().timestamp()
        covering = [m for m in standing.mandates if covers(m, order.command.tool, seen.destinations, now) is None]
        # One that names everybody holds in more cases than one for anybody.
        mandate = min(covering, key=lambda m: not names_all(m, seen.destinations), default=None)
        contacts = frozenset[str]()
        if standing.taint is not None and order.command.is_act and not offline:
            contacts = frozenset(await self._contacts.names() or ())
        trusted = tuple(is_trusted(spot, contacts, standing.distrusted, self.safety) for spot in seen.destinations)
        verdict = decide(
            order.command,
            mode=self.safety.approval,
            destinations=seen.destinations,
            trusted=trusted,
            distrusted=standing.distrusted,
            taint=standing.taint,
            mandate=mandate,
        )
        return verdict, mandate

    async def question(self, order: Order, seen: Seen, reasons: tuple[str, ...], repeated: Act | None) -> Question:
        """Put into words what a person is to agree to."""
        names = await self._names(seen)
        asked = question(
            order.command,
            order.args,
            destinations=seen.destinations,
            names=names,
            subject=seen.subject,
            estimate=await self._estimate(order.command, order.given),
            undo=undo_sentence(order.command, self.allows, order.given, seen.before),
            reasons=reasons,
            repeat_of=repeated,
        )
        facts = [(name, worded(text, self.allows) if name == DESCRIBED else text) for name, text in asked.facts]
        return replace(asked, title=worded(asked.title, self.allows), facts=tuple(facts))

    async def holds(self, asked: Question, seen: Seen, repeated: Act | None) -> bool:
        """Whether what a person was shown is so now; what cannot be read any more is not."""
        return still_shows(asked, seen.subject, {}, repeated) or still_shows(
            asked, seen.subject, await self._names(seen), repeated
        )

    async def _names(self, seen: Seen) -> dict[str, str | None]:
        """Return the names in the contacts of whom an order reaches; nobody where they cannot be read."""
        known = await self._contacts.names(fresh=True)
        return {} if known is None else {spot.value: known.get(spot.value) for spot in seen.destinations}

    async def _estimate(self, command: Command, arguments: Mapping[str, Any]) -> str | None:
        if not command.costs_credits:
            return None
        kind = ESTIMATED.get(command.price or "")
        if kind is not None:
            words = " ".join(str(value) for value in arguments.values() if isinstance(value, str))
            answer = await self._reader.read("budget estimate", {"type": kind, "description": words or command.name})
            amount = None if answer is None else answer.get("estimated_credits")
            if isinstance(amount, int | float):
                return f"about {amount:g} credits"
        return documented_price(command, self.safety.max_credits_per_act)


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {part}" for name, part in cast("Mapping[str, Any]", value).items())
    return str(value)


def documented_price(command: Command, most: float) -> str | None:
    """Return what a run costs by the API's table, in words."""
    if command.costs_money:
        return "money, by the terms of the plan"
    if not command.costs_credits:
        return None
    if command.price is None:
        return f"not known beforehand; at most {most:g} credits are set aside for it"
    if command.price == "call":
        return f"about {price('call', minutes=USUAL_CALL):g} credits for {USUAL_CALL} minutes"
    return f"{price(command.price, minutes=0):g} credits"
