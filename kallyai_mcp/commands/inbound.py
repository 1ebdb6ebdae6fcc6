"""The AI receptionist: the calls it received, the rules it follows, voicemails, and whom it recognises."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from kallyai_mcp.model import Args, Cli, Domain, Effect, Look, Source, Subject, Undo, arg, each, optional
from kallyai_mcp.model.types import Limit, Object, Offset, PhoneNumber, Segment, Text

inbound = Domain("inbound", "Run the AI receptionist that answers the user's calls.")

InboundCallId = Annotated[Segment, Field(description="Call id from kallyai_inbound_calls.")]
RuleId = Annotated[Segment, Field(description="Rule id from kallyai_inbound_rules.")]
VoicemailId = Annotated[Segment, Field(description="Voicemail id from kallyai_inbound_voicemails.")]
ContactId = Annotated[Segment, Field(description="Contact id from kallyai_inbound_contacts.")]

_FIRST_DAY = "First day, such as 2026-03-01."
_LAST_DAY = "Last day, such as 2026-03-31."
_ACTION = "What to do with a call; documented: transfer."


_RECEIVED = Look(command="inbound call", given={"call_id": "call_id"})
_CALLER_MEANT = Subject(look=_RECEIVED, shows=("caller_number", "caller_name", "status"))
_RULE = Look(command="inbound rules", entries=("rules",), match={"id": "rule_id"})
_RULE_FIELDS = ("name", "action", "priority", "is_active", "conditions", "action_config")
_RULE_MEANT = Subject(look=_RULE, shows=_RULE_FIELDS)
_ADDED_RULE = replace(_RULE, match={"name": "name", "action": "action"}, since="created_at")
_CONTACT = Look(command="inbound contacts", entries=("contacts",), match={"id": "contact_id"})


@inbound.command(
    "calls",
    "GET /v1/inbound/calls",
    Effect.READ,
    idempotent=True,
    text_from=Source.CALLER,
    answer={
        "calls": each(
            "The received calls.",
            {
                "id": "Identifier of the call, for the other inbound tools.",
                "caller_number": "Number that called.",
                "status": "active, completed, missed or rejected.",
                "created_at": "When it came in.",
            },
        ),
        "total": "How many there are in all.",
    },
)
class ListInboundCalls(Args):
    """List the calls that the user's AI receptionist has received."""

    status: Literal["active", "completed", "missed", "rejected"] = optional("State to keep.")
    vip_only: bool = optional("Only calls of VIP contacts.")
    date_from: str = optional(_FIRST_DAY, cli="--from")
    date_to: str = optional(_LAST_DAY, cli="--to")
    limit: Annotated[Limit, Field(le=100)] = optional(default=20)
    offset: Offset = optional()


@inbound.command("call", "GET /v1/inbound/calls/{call_id}", Effect.READ, idempotent=True, text_from=Source.CALLER)
class ShowInboundCall(Args):
    """Show one received call: caller, summary and things to do."""

    call_id: InboundCallId


@inbound.command(
    "transcript",
    "GET /v1/inbound/calls/{call_id}/transcript",
    Effect.READ,
    idempotent=True,
    text_from=Source.CALL,
)
class ReadInboundTranscript(Args):
    """Read what was said in a received call."""

    call_id: InboundCallId


@inbound.command("recording", "GET /v1/inbound/calls/{call_id}/recording", Effect.READ, idempotent=True)
class GetInboundRecording(Args):
    """Get the audio recording of a received call."""

    call_id: InboundCallId


@inbound.command("summary", "GET /v1/inbound/calls/summary", Effect.READ, idempotent=True)
class ShowInboundTotals(Args):
    """Show totals of received calls: answered, missed, mean length."""


@inbound.command("analytics", "GET /v1/inbound/calls/analytics", Effect.READ, idempotent=True)
class ShowInboundAnalytics(Args):
    """Show figures on received calls over a period."""

    date_from: str = optional(_FIRST_DAY, cli="--from")
    date_to: str = optional(_LAST_DAY, cli="--to")


@inbound.command(
    "transfer",
    "POST /v1/inbound/calls/{call_id}/transfer",
    Effect.WRITE,
    contacts_people=True,
    places_call=True,
    subject=_CALLER_MEANT,
    trace=replace(_RECEIVED, match={"transferred_to": "to"}, states={"status": ("completed",)}),
    text_from=Source.CALLER,
)
class TransferInboundCall(Args):
    """Pass the caller of a running received call on to another number. Rings a real person; cannot be undone."""

    call_id: InboundCallId
    to: PhoneNumber = arg("Number to connect, E.164.", wire="target_number", reaches="contact")


@inbound.command(
    "takeover",
    "POST /v1/inbound/calls/{call_id}/takeover",
    Effect.WRITE,
    contacts_people=True,
    subject=_CALLER_MEANT,
    trace=replace(_RECEIVED, states={"handled_by": ("user",)}),
    text_from=Source.CALLER,
)
class TakeOverInboundCall(Args):
    """Put the user on the line in place of the AI in a running received call. Connects real people."""

    call_id: InboundCallId


@inbound.command(
    "reject",
    "POST /v1/inbound/calls/{call_id}/reject",
    Effect.DESTROY,
    idempotent=True,
    subject=_CALLER_MEANT,
    trace=replace(_RECEIVED, states={"status": ("rejected",)}),
    text_from=Source.CALLER,
)
class RejectInboundCall(Args):
    """Turn an incoming call away. Cannot be undone."""

    call_id: InboundCallId
    reason: str = optional("Why, such as user_rejected.")


@inbound.command("rules", "GET /v1/inbound/rules", Effect.READ, idempotent=True)
class ListRoutingRules(Args):
    """List the rules that route received calls, by priority."""


@inbound.command(
    "add-rule",
    "POST /v1/inbound/rules",
    Effect.WRITE,
    diverts=True,
    trace=_ADDED_RULE,
    undo=Undo(
        command="inbound delete-rule",
        arguments={"rule_id": "answer.id|entry.id"},
        until="at any time",
        look=_ADDED_RULE,
    ),
)
class AddRoutingRule(Args):
    """Add a rule that routes received calls, such as passing VIP callers on to a number.

    Changes where future calls go, at once unless inactive.
    """

    name: Text = arg("Label of the rule.")
    action: Text = arg(_ACTION)
    priority: int = optional("Place in the order; 10 for an important rule.", default=100)
    conditions: Object = optional('When it applies, such as {"caller_vip": true}.')
    is_active: bool = optional("Whether it takes effect.", default=True)
    action_config: Object = optional("Settings of the action, such as a transfer's target number.", reaches="contact")


@inbound.command(
    "update-rule",
    "PUT /v1/inbound/rules/{rule_id}",
    Effect.WRITE,
    idempotent=True,
    diverts=True,
    subject=_RULE_MEANT,
    trace=replace(_RULE, match={**_RULE.match, **{name: name for name in _RULE_FIELDS}}),
    undo=Undo(
        command="inbound update-rule",
        arguments={"rule_id": "args.rule_id"} | {name: f"before.{name}" for name in _RULE_FIELDS},
        until="until it is changed again",
    ),
)
class UpdateRoutingRule(Args):
    """Change a rule that routes received calls, and so where future calls go.

    Sends only what is given; whether the rest is kept is not documented.
    """

    rule_id: RuleId
    name: str = optional("New label.")
    action: str = optional(_ACTION)
    priority: int = optional("New place in the order.")
    is_active: bool = optional("Whether it takes effect.")
    conditions: Object = optional("New conditions.")
    action_config: Object = optional("New settings of the action.", reaches="contact")


@inbound.command(
    "delete-rule",
    "DELETE /v1/inbound/rules/{rule_id}",
    Effect.DESTROY,
    idempotent=True,
    diverts=True,
    subject=_RULE_MEANT,
    trace=replace(_RULE, is_gone=True),
)
class DeleteRoutingRule(Args):
    """Remove a rule that routes received calls; future calls go elsewhere. Cannot be undone."""

    rule_id: RuleId


@inbound.command("voicemails", "GET /v1/inbound/voicemails", Effect.READ, idempotent=True, text_from=Source.VOICEMAIL)
class ListVoicemails(Args):
    """List the voicemails that callers left."""


@inbound.command(
    "voicemail",
    "GET /v1/inbound/voicemails/{voicemail_id}",
    Effect.READ,
    idempotent=True,
    text_from=Source.VOICEMAIL,
)
class ShowVoicemail(Args):
    """Show one voicemail."""

    voicemail_id: VoicemailId


@inbound.command(
    "voicemail-playback", "GET /v1/inbound/voicemails/{voicemail_id}/playback", Effect.READ, idempotent=True
)
class GetVoicemailAudio(Args):
    """Get the address of a voicemail's audio."""

    voicemail_id: VoicemailId


@inbound.command("contacts", "GET /v1/inbound/contacts", Effect.READ, idempotent=True, text_from=Source.CONTACT)
class ListInboundContacts(Args):
    """List the contacts by which the receptionist recognises callers."""


@inbound.command("add-contact", "POST /v1/inbound/contacts", Effect.WRITE, introduces=True)
class AddInboundContact(Args):
    """Add a contact by which the receptionist recognises a caller."""

    name: Text = arg("Person or firm.")
    phone: PhoneNumber = arg("Their number, E.164.", wire="phone_number")
    vip: bool = optional("Whether rules treat them as VIP.", wire="is_vip")
    notes: str = optional("Remarks for the receptionist.")


@inbound.command(
    "update-contact", "PUT /v1/inbound/contacts/{contact_id}", Effect.WRITE, idempotent=True, introduces=True
)
class UpdateInboundContact(Args):
    """Change a contact of the receptionist. Sends only what is given."""

    contact_id: ContactId
    name: str = optional("New name.")
    phone: PhoneNumber = optional("New number, E.164.", wire="phone_number")
    vip: bool = optional("Whether rules treat them as VIP.", wire="is_vip")
    notes: str = optional("New remarks for the receptionist.")


@inbound.command(
    "delete-contact",
    "DELETE /v1/inbound/contacts/{contact_id}",
    Effect.DESTROY,
    idempotent=True,
    subject=Subject(look=_CONTACT, shows=("name", "phone_number", "is_vip", "notes")),
    trace=replace(_CONTACT, is_gone=True),
)
class DeleteInboundContact(Args):
    """Remove a contact of the receptionist. Cannot be undone."""

    contact_id: ContactId


@inbound.command(
    "import-contacts",
    "POST /v1/inbound/contacts/import",
    Effect.WRITE,
    slow=True,
    diverts=True,
    introduces=True,
    text_from=Source.CONTACT,
    trace=replace(_CONTACT, match={"source": "source"}, since="created_at", is_complete=False),
)
class ImportInboundContacts(Args):
    """Import contacts from an outside source, which changes whom the receptionist recognises. May take minutes."""

    source: Text = arg("Name of the source, such as google or csv; no file is read.", cli=Cli.POSITIONAL)


@inbound.command("events", "GET /v1/inbound/events", Effect.READ, idempotent=True, text_from=Source.CALLER)
class ReadInboundEvents(Args):
    """Read the log of what happened around received calls."""

    date_from: str = optional(_FIRST_DAY, wire="from", cli="--from")
    date_to: str = optional(_LAST_DAY, wire="to", cli="--to")
