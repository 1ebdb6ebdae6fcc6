"""Every kind of resource, declared once: its address, the command that reads it, where its identifiers are listed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEME = "kallyai://"
OFFSET = "offset"
"""Name in the query that says how many entries to skip, and of the argument that does so."""

LONGEST_URI = 600
"""Characters of an address that is looked at; identifiers are far shorter."""

MARKDOWN = "text/markdown"
JSON = "application/json"

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_QUERY = re.compile(rf"{OFFSET}=(0|[1-9][0-9]{{0,8}})", re.ASCII)
# RFC 3986, 2: what stands in an address as it is, and whole percent-encoded octets.
_PART = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+", re.ASCII)


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """Where identifiers are found.

    Attributes:
        command: What lists them, such as `calls history`.
        entries: Names under which the list may stand in the answer.
        id: Field of an entry that holds its identifier.
        words: Fields that a person may type the beginning of a word of, instead of the identifier.
        arguments: What the command is given.
    """

    command: str
    entries: tuple[str, ...]
    id: str = "id"
    words: tuple[str, ...] = ()
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, eq=False)
class Kind:
    """One resource, or all that a template stands for.

    Attributes:
        path: What follows `kallyai://`; a name in braces stands for an identifier, the argument of the command.
        command: What reads it; None for what the program itself knows.
        name: Short name.
        description: What is in it.
        strangers: Whether others' words stand in it, which makes it Markdown with a fence instead of JSON.
        pages: Whether `?offset=` skips entries.
        source: Where the identifier is listed.
        arguments: What the command is given besides.
    """

    path: str
    command: str | None
    name: str
    description: str
    strangers: bool = True
    pages: bool = False
    source: Source | None = None
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])

    @cached_property
    def variable(self) -> str | None:
        """Name of the identifier in the path; None for a single resource."""
        found = _PLACEHOLDER.search(self.path)
        return None if found is None else found[1]

    @property
    def template(self) -> str:
        """The address, as a URI template (RFC 6570) where it has a variable or pages."""
        return f"{SCHEME}{self.path}" + (f"{{?{OFFSET}}}" if self.pages else "")

    @property
    def mime_type(self) -> str:
        """Media type of the content."""
        return MARKDOWN if self.strangers else JSON

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the path of its addresses looks like."""
        before, _, after = self.path.partition(f"{{{self.variable}}}")
        part = "" if self.variable is None else rf"({_PART.pattern})"
        return re.compile(f"{re.escape(before)}{part}{re.escape(after)}", re.ASCII)

    def uri(self, identifier: str = "") -> str:
        """Return the address of one resource of this kind."""
        return SCHEME + _PLACEHOLDER.sub(lambda _: quote(identifier, safe=""), self.path)


@dataclass(frozen=True, slots=True)
class Address:
    """What an address stands for.

    Attributes:
        uri: As it was given.
        kind: The kind of resource.
        identifier: Which one; empty for a single resource.
        offset: Entries to skip.
    """

    uri: str
    kind: Kind
    identifier: str = ""
    offset: int = 0

    @property
    def arguments(self) -> dict[str, object]:
        """The arguments of the command."""
        given = dict(self.kind.arguments)
        if self.kind.variable is not None:
            given[self.kind.variable] = self.identifier
        return given | ({OFFSET: self.offset} if self.offset else {})


_CALLS = Source("calls history", ("items",), "call_id", ("business_name", "to", "result_summary"), {"limit": 100})
_RECEIVED = Source("inbound calls", ("calls",), "id", ("caller_name", "caller_number", "summary"), {"limit": 100})
_VOICEMAILS = Source("inbound voicemails", ("voicemails",), "id", ("caller_name", "caller_number"))
_GOALS = Source("coord goals", ("goals",), "id|goal_id", ("title",))
_CONVERSATIONS = Source("coord conversations", ("conversations",), "id", ("title",))
_INBOX = Source("messages inbox", ("messages", "items"), "id", ("from", "subject"), {"limit": 100})
_THREADS = Source("messages inbox", ("messages", "items"), "conversation_id", ("from", "subject"), {"limit": 100})
_OUTREACH = Source("outreach tasks", ("tasks",), "id", ("recipient_name", "goal"), {"limit": 100})

COMMANDS = Kind("commands", None, "commands", "All tools of this server by domain, with what each does.")
COMMAND = Kind(
    "commands/{tool}", None, "command", "One tool: its arguments and answer as JSON Schema.", strangers=False
)

KINDS = (
    COMMANDS,
    Kind("calls", "calls history", "calls", "Calls placed so far, newest first.", pages=True),
    Kind("calls/{call_id}", "calls info", "call", "State, outcome and cost of one placed call.", source=_CALLS),
    Kind("calls/{call_id}/transcript", "calls transcript", "call transcript", "What was said in a placed call, turn by "
         "turn.", source=_CALLS),
    Kind("calls/{call_id}/recording", "calls recording", "call recording", "Address of the recording of a placed call, "
         "to be opened by the user.", strangers=False, source=_CALLS),
    Kind("inbound/calls", "inbound calls", "received calls", "Calls that the receptionist has taken.", pages=True),
    Kind("inbound/calls/{call_id}", "inbound call", "received call", "One received call: caller, summary, things to "
         "do.", source=_RECEIVED),
    Kind("inbound/calls/{call_id}/transcript", "inbound transcript", "received call transcript", "What was said in a "
         "received call.", source=_RECEIVED),
    Kind("inbound/calls/{call_id}/recording", "inbound recording", "received call recording", "Address of the "
         "recording of a received call, to be opened by the user.", strangers=False, source=_RECEIVED),
    Kind("voicemails", "inbound voicemails", "voicemails", "Voicemails that callers have left."),
    Kind("voicemails/{voicemail_id}", "inbound voicemail", "voicemail", "One voicemail with its words.",
         source=_VOICEMAILS),
    Kind("voicemails/{voicemail_id}/recording", "inbound voicemail-playback", "voicemail recording", "Address of the "
         "audio of a voicemail, to be opened by the user.", strangers=False, source=_VOICEMAILS),
    Kind("goals", "coord goals", "goals", "What the coordinator works on."),
    Kind("goals/{goal_id}", "coord goal", "goal", "One goal with its steps.", source=_GOALS),
    Kind("goals/{goal_id}/tree", "coord goal-tree", "goal tree", "A goal and all below it.", source=_GOALS),
    Kind("conversations", "coord conversations", "conversations", "Conversations with the coordinator."),
    Kind("conversations/{conversation_id}", "coord history", "conversation", "What was said to and by the coordinator "
         "in one conversation.", source=_CONVERSATIONS),
    Kind("inbox", "messages inbox", "inbox", "Messages that came in, on all channels."),
    Kind("inbox/{message_id}", "messages read", "message", "One message that came in.", source=_INBOX),
    Kind("threads/{conversation_id}", "messages thread", "message thread", "All messages with one correspondent.",
         source=_THREADS),
    Kind("outbox", "actions email outbox", "outbox", "Mail that waits to be sent or was sent.", strangers=False),
    Kind("outreach", "outreach tasks", "outreach", "Outreach tasks and what came of them.", pages=True),
    Kind("outreach/{task_id}", "outreach task", "outreach task", "One outreach task with its attempts.",
         source=_OUTREACH),
    Kind("notifications", "notifications pending", "notifications", "What waits for the user."),
    Kind("credits/balance", "credits balance", "credit balance", "Credits left, used and granted.", strangers=False),
    Kind("credits/ledger", "credits history", "credit ledger", "What credits were spent on, one by one.",
         strangers=False),
    Kind("credits/breakdown", "credits breakdown", "credit breakdown", "Credits spent in this period, by kind of "
         "action.", strangers=False),
    Kind("acts", "acts", "acts", "What this server has done for the user, with outcomes and receipts.",
         strangers=False),
    COMMAND,
)  # fmt: skip
"""All kinds, in the order in which they are listed."""


def tool_of(command: str) -> str:
    """Return the name of the tool that runs a command."""
    return "_".join(("kallyai", *command.split())).replace("-", "_")


def find(uri: str) -> Address | None:
    """Return what an address stands for; None for one that no resource here has.

    An identifier is one segment, decoded once. What could lead elsewhere is none: dot segments, control characters,
    and anything that would change if it were decoded again.
    """
    if len(uri) > LONGEST_URI or not uri.isascii() or not uri.isprintable() or not uri.startswith(SCHEME):
        return None
    path, mark, query = uri.removeprefix(SCHEME).partition("?")
    for kind in KINDS:
        if (found := kind.pattern.fullmatch(path)) is None:
            continue
        skipped = _QUERY.fullmatch(query) if mark else None
        if mark and (skipped is None or not kind.pages):
            return None
        identifier = "" if kind.variable is None else unquote(found[1], errors="replace")
        if kind.variable is not None and not _is_identifier(identifier):
            return None
        return Address(uri, kind, identifier, 0 if skipped is None else int(skipped[1]))
    return None


def by_template(template: str) -> Kind | None:
    """Return the kind with this template, given with or without its query."""
    bare = template.removesuffix(f"{{?{OFFSET}}}")
    return next((kind for kind in KINDS if f"{SCHEME}{kind.path}" == bare), None)


def by_command(command: str) -> Kind | None:
    """Return the kind that a command reads; None where none does."""
    return next((kind for kind in KINDS if kind.command == command), None)


def _is_identifier(text: str) -> bool:
    return (
        text.isprintable()
        and "\ufffd" not in text
        and unquote(text) == text
        and not {".", ".."} & set(re.split(r"[/\\]", text))
    )
