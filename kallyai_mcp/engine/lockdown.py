"""Lockdown: what somebody wrote or said who is not in the contacts is withheld, so that only facts about it are left.

Who it is from is taken from the answer, as the service tells it: a caller's number or a mail's sender that is forged
passes for the contact it names. Nothing is taken on trust beyond that: without a sender who is known, every text is
withheld that is not plainly an identifier, a state, a time, a number or an address. A name is a text.

Pages found by a search and what the coordinator says have no sender; they pass, fenced and marked as all words of
others. So do the user's contacts. Messages that stand within such an answer do not.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.model.acts import Look, Source, Subject
from kallyai_mcp.model.effect import Effect
from kallyai_mcp.policy import of_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kallyai_mcp.api import Answer
    from kallyai_mcp.model import Command

WITHHELD = "(withheld: the sender is not in the contacts)"
"""What stands in the place of a text."""

_HAVE_SENDERS = frozenset({Source.MAIL, Source.MESSAGE, Source.VOICEMAIL, Source.CALLER, Source.CALL, Source.REPLY})
_PLACED = frozenset({Source.CALL, Source.REPLY})
"""Whose words an answer carries where somebody was contacted: those of who was."""

_MESSAGES = frozenset({"inbox", "replies", "voicemails"})
"""Fields of other answers in which messages with senders stand."""

# Names of fields, in small letters and without what joins words.
_SENDER = frozenset(
    f"{who}{what}"
    for who in ("author", "caller", "from", "sender")
    for what in ("", "address", "email", "handle", "id", "name", "number", "phone", "phonenumber")
)
_RECIPIENT = frozenset(
    {"callee", "cc", "recipient", "recipientemail", "recipientidentifier", "recipientnumber", "recipientphone"}
    | {"respondentphone", "to", "toaddress", "toemail", "tonumber"}
)
_ADDRESS = frozenset({"address", "email", "emailaddress", "handle", "identifier", "number", "phone", "phonenumber"})
"""Fields that hold a number or an address without saying whose; they count where nothing else does."""

_ORDER = "submission"
"""Field with the order for a call, which names the number again."""

_SENT = frozenset({"out", "outbound", "outgoing", "sent"})

_LOOKS = {
    "calls transcript": ("calls info", ("to", "submission.respondent_phone")),
    "calls calendar": ("calls info", ("to", "submission.respondent_phone")),
    "inbound transcript": ("inbound call", ("caller_number",)),
}
"""Commands whose answer does not say who spoke: which other one does, and in which of its fields."""


# What is left of a stranger's words: no more than such values, in fields of such names.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")
_OF_ID = re.compile(r"(?:^|_)(?:id|ids|uid|cursor)$|[a-z](?:Ids?|Uid|Cursor)$")
_ID = re.compile(r"[A-Za-z0-9_=/+.:-]{1,256}")
_OF_STATE = re.compile(
    r"channel|classification|direction|format|handled_by|kind|language|provider|reject_reason|role|speaker|state|status"
    r"|type|urgency|\w+_(?:channel|state|status)"
)
_STATE = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")
_OF_TIME = re.compile(r"date|due|end|scheduled_for|start|time|timestamp|\w+_(?:at|date|from|on|time|to|until)")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
    r"|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
)
_OF_ADDRESS = re.compile(r"bcc|mailbox|reply_to|transferred_to|\w*(?:address|email|number|phone)")
_OF_LINK = re.compile(r"link|uri|url|\w+_(?:link|uri|url)")
_LINK = re.compile(
    r"(?:https://(?:[a-z0-9-]{1,63}\.){0,4}kallyai\.com|http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?)"
    r"(?:[/?#][\w./?#&=%~:@+-]{0,2000})?",
    re.ASCII,
)
"""Addresses of the service, and of a sandbox on this machine."""

# Who it is, is read from nothing but a number, an address or a handle: a name beside it may say anything.
_NUMBER = re.compile(r"(?:tel:)?\+[0-9](?:[ ().-]{0,3}[0-9]){6,14}")
_MAIL = re.compile(r"[^\s@<>()\[\]\\,;:\"]{1,64}@[^\s@<>()\[\]\\,;:\"]{1,255}")
_HANDLE = re.compile(r"@[A-Za-z0-9_.]{1,32}")
_SHOWN_FORM = re.compile(r"[^<>]{0,500}<([^<>]{1,330})>\s{0,9}")
"""An address behind a name, in angle brackets (RFC 5322, 3.4)."""


class _Trust(Enum):
    KNOWN = "the sender is in the contacts"
    STRANGER = "the sender is not, or cannot be told"
    OPEN = "nothing is said of a sender"


def sender_look(command: Command) -> Subject | None:
    """Return where the sender of an answer is found that does not name him; None where it does, or has none."""
    if (where := _LOOKS.get(command.name)) is None:
        return None
    name, fields = where
    return Subject(look=Look(command=name, given={"call_id": "call_id"}), reaches=fields)


def admitted(
    command: Command,
    answer: Answer,
    contacts: frozenset[str],
    own: frozenset[str] = frozenset(),
    *,
    sender: str | None = None,
) -> Answer:
    """Return an answer without what strangers said, and with the number of texts that were taken out.

    See `withhold`. An appointment's file is one text.
    """
    if command.text_from in _HAVE_SENDERS and answer.text is not None:
        known = _Walk(command, contacts, own).trust_in(sender) is _Trust.KNOWN
        return answer if known else replace(answer, text=None, withheld=1)
    data, count = withhold(command, answer.data, contacts, own, sender=sender)
    return replace(answer, data=data, withheld=count) if count else answer


def withhold(
    command: Command,
    data: Any,
    contacts: frozenset[str],
    own: frozenset[str] = frozenset(),
    *,
    sender: str | None = None,
) -> tuple[Any, int]:
    """Return an answer's data without what strangers said, and how many texts were taken out.

    Args:
        command: What was run.
        data: The JSON value that was answered.
        contacts: Numbers and addresses of those who are known, as `policy.of_value` gives them.
        own: The user's own, which tell nothing of who wrote: anybody can write them under a message.
        sender: Whose words it is, where the answer does not say so; see `sender_look`.
    """
    walk = _Walk(command, contacts, own)
    if command.text_from in _HAVE_SENDERS:
        data = walk.value(data, "", walk.trust_in(sender))
    elif command.text_from is not None:
        data = walk.messages_within(data)
    return data, walk.count


class _Walk:
    """Goes through one answer, and counts what it takes out."""

    def __init__(self, command: Command, contacts: frozenset[str], own: frozenset[str]) -> None:
        # Capital letters hardly ever tell two mailboxes apart (RFC 5321, 2.4), and are not always written the same.
        self._contacts = frozenset(map(str.lower, contacts))
        self._own = frozenset(map(str.lower, own))
        self._is_placed = command.text_from in _PLACED
        self._is_ours = command.effect is not Effect.READ
        self.count = 0

    def trust_in(self, sender: str | None) -> _Trust:
        """Return what to think of words of which only the sender is known."""
        if sender is None:
            return _Trust.OPEN
        return self._judge([_address(sender)])

    def messages_within(self, value: Any) -> Any:
        """Take out what strangers said in the messages that an answer has among other things."""
        if isinstance(value, list):
            return [self.messages_within(item) for item in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        return {
            key: self.value(item, "", _Trust.OPEN) if _plain(key) in _MESSAGES else self.messages_within(item)
            for key, item in cast("dict[str, Any]", value).items()
        }

    def value(self, value: Any, key: str, trust: _Trust) -> Any:
        """Take out what strangers said in one value.

        Args:
            value: Any JSON value.
            key: Name of the field that it stands in, or in whose list.
            trust: What to think of whose it is, as far as what stands around it says.
        """
        if isinstance(value, list):
            return [self.value(item, key, trust) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return self._fields(cast("dict[str, Any]", value), trust)
        if not isinstance(value, str) or trust is _Trust.KNOWN:
            return value
        kept = _fact(key, value)
        self.count += kept != value
        return WITHHELD if kept is None else kept

    def _fields(self, fields: dict[str, Any], trust: _Trust) -> dict[str, Any]:
        # Whose the whole is nothing within it can better: a stranger's mail may hold one that it says a contact wrote.
        if trust is not _Trust.STRANGER and (own := self._judge(self._senders(fields))) is not _Trust.OPEN:
            trust = own
        if trust is _Trust.KNOWN:
            return {key: self.value(item, key, trust) for key, item in fields.items()}
        kept: dict[str, Any] = {}
        for number, (key, item) in enumerate(fields.items(), 1):
            if _NAME.fullmatch(key):
                kept[key] = self.value(item, key, trust)
            else:
                self.count += 1
                kept[f"withheld_{number}"] = WITHHELD
        return kept

    def _judge(self, senders: Iterable[str | None]) -> _Trust:
        """Return whether all are known; those that are no address count as nobody, but for an address beside them."""
        found = list(senders)
        others = {address for address in found if address is not None and address not in self._own}
        if others:
            return _Trust.KNOWN if others <= self._contacts else _Trust.STRANGER
        return _Trust.STRANGER if None in found else _Trust.OPEN

    def _senders(self, fields: dict[str, Any]) -> list[str | None]:
        """Return the addresses of those whose words an object holds; None for one who is named but has none."""
        names = _SENDER
        is_sent = any(_plain(key) == "direction" and str(item).lower() in _SENT for key, item in fields.items())
        if self._is_placed or self._is_ours or is_sent:
            # What the user sends quotes whom it is sent to.
            names = _SENDER | _RECIPIENT
        named = list(_addresses_in(fields, names))
        if any(named):
            return named
        found = [*_addresses_in(fields, _ADDRESS)]
        for key, item in fields.items():
            if _plain(key) == _ORDER and isinstance(item, dict):
                found += _addresses_in(cast("dict[str, Any]", item), names | _ADDRESS)
        return named + [address for address in found if address is not None]


def _plain(key: str) -> str:
    return re.sub("[^a-z]", "", key.lower())


def _fact(key: str, text: str) -> str | None:
    """Return what of a text is a fact, by the name of its field and its own form; None if it is words."""
    if not text:
        return text
    name = key.lower()
    is_address = _plain(key) in _SENDER | _RECIPIENT | _ADDRESS or _OF_ADDRESS.fullmatch(name)
    if is_address and (bare := _bare(text)) is not None:
        return bare
    for of, form in ((_OF_STATE, _STATE), (_OF_TIME, _TIME), (_OF_LINK, _LINK)):
        if of.fullmatch(name):
            return text if form.fullmatch(text) else None
    return text if _OF_ID.search(key) and _ID.fullmatch(text) else None


def _bare(text: str) -> str | None:
    """Return the number, address or handle that a text is, or has behind a name."""
    if shown := _SHOWN_FORM.fullmatch(text):
        text = shown[1]
    return text if any(form.fullmatch(text) for form in (_NUMBER, _MAIL, _HANDLE)) else None


def _addresses(value: Any) -> Iterator[str | None]:
    """Give the addresses in the value of a field that says who somebody is; None for one who has none."""
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _addresses(item)
    elif isinstance(value, dict):
        yield from list(_addresses_in(cast("dict[str, Any]", value), _ADDRESS)) or [None]
    elif isinstance(value, str) and value:
        yield _address(value)


def _addresses_in(fields: dict[str, Any], names: frozenset[str]) -> Iterator[str | None]:
    for key, item in fields.items():
        if _plain(key) in names:
            yield from _addresses(item)


def _address(text: str) -> str | None:
    """Return a number, an address or a handle in the form in which contacts are kept; None for anything else."""
    bare = _bare(text)
    found = None if bare is None else of_value("sender", bare, "contact")
    return None if found is None else found.value.lower()
