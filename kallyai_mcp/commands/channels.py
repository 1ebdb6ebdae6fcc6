"""Channels by which the user and the assistant reach each other: registered addresses, WhatsApp, Telegram."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from kallyai_mcp.model import (
    Args,
    Cli,
    Domain,
    Effect,
    EnvironmentBody,
    Look,
    Subject,
    Undo,
    arg,
    each,
    group,
    optional,
)
from kallyai_mcp.model.types import Email, Segment, Text

channels = Domain("channels", "Connect the addresses and messengers by which the assistant is reached.")

AddressId = Annotated[Segment, Field(description="Address id from kallyai_channels_email_list.")]
Messenger = Literal["whatsapp", "telegram"]

ADDRESS = {
    "id": "Identifier, for kallyai_channels_email_update and kallyai_channels_email_delete.",
    "email_address": "The address.",
    "label": "Its label.",
    "is_primary": "Whether it is the main address.",
    "receives_copies": "Whether copies go there.",
    "receives_notifications": "Whether notifications go there.",
    "verified": "Whether the user has confirmed it.",
    "verified_at": "When it was confirmed.",
    "created_at": "When it was registered.",
}

CREDENTIALS = EnvironmentBody(
    "channel",
    {
        "telegram": {"bot_token": "KALLYAI_TELEGRAM_BOT_TOKEN"},
        "whatsapp": {
            "phone_number_id": "KALLYAI_WHATSAPP_PHONE_NUMBER_ID",
            "access_token": "KALLYAI_WHATSAPP_ACCESS_TOKEN",
            "business_account_id": "KALLYAI_WHATSAPP_BUSINESS_ACCOUNT_ID",
        },
    },
)
MAILBOX = "The user's mail address at KallyAI."


_ADDRESS = Look(command="channels email-list", entries=("emails",), match={"id": "email_id"})
_REGISTERED = replace(_ADDRESS, match={"email_address": "address"}, since="created_at")
_MESSENGER = Look(command="channels status", entries=("channels",), match={"channel": "channel"})
_ADDRESS_MEANT = Subject(
    look=_ADDRESS, shows=("email_address", "label", "is_primary", "receives_copies", "receives_notifications")
)
_MESSENGER_MEANT = Subject(look=_MESSENGER, shows=("channel", "connected", "account_name"))
_USES = {
    "name": "label",
    "primary": "is_primary",
    "receives_copies": "receives_copies",
    "receives_notifications": "receives_notifications",
}
"""For each argument of an update, the field of the address."""


@channels.command(
    "status",
    "GET /v1/channels/status",
    Effect.READ,
    idempotent=True,
    answer={
        "channels": each(
            "The messengers and networks.",
            {
                "channel": "email, whatsapp, telegram, linkedin, instagram or twitter.",
                "connected": "Whether it is connected.",
                "account_name": "Number or name there.",
                "connected_at": "When it was connected.",
            },
        ),
        "email": group(
            "Email.",
            {
                "connected": "Whether an address is registered.",
                "contact_count": "How many addresses are registered.",
                "primary_email": "The main address.",
                "kally_mailbox": MAILBOX,
            },
        ),
    },
)
class ShowChannels(Args):
    """Show which channels (email, WhatsApp, Telegram and others) are connected."""


@channels.command(
    "email-add",
    "POST /v1/channels/email/add",
    Effect.WRITE,
    contacts_people=True,
    diverts=True,
    answer=ADDRESS,
    trace=_REGISTERED,
    undo=Undo(
        command="channels email-delete",
        arguments={"email_id": "answer.id|entry.id"},
        until="at any time",
        look=_REGISTERED,
    ),
)
class RegisterAddress(Args):
    """Register an email address as the user's own; copies and notices go there. A verification mail is sent to it."""

    address: Email = arg("Mail address of the user's own.", wire="email_address", cli=Cli.POSITIONAL, reaches="contact")
    name: str = optional("Label, e.g. Work.", wire="label")
    primary: bool = optional("Make it the main address.", wire="is_primary")


@channels.command(
    "email-list",
    "GET /v1/channels/email/list",
    Effect.READ,
    idempotent=True,
    answer={
        "emails": each("The addresses.", ADDRESS),
        "total": "How many there are.",
        "kally_mailbox": MAILBOX,
    },
)
class ListRegisteredAddresses(Args):
    """List the email addresses registered as the user's own, with their ids."""


@channels.command(
    "email-update",
    "PUT /v1/channels/email/{email_id}",
    Effect.WRITE,
    diverts=True,
    idempotent=True,
    subject=_ADDRESS_MEANT,
    trace=replace(_ADDRESS, match={**_ADDRESS.match, **{field: name for name, field in _USES.items()}}),
    undo=Undo(
        command="channels email-update",
        arguments={"email_id": "args.email_id"} | {name: f"before.{field}" for name, field in _USES.items()},
        until="until it is changed again",
        # Which address was the main one before is not to be had back by this.
        unless={"args.primary": ("true",)},
    ),
)
class UpdateAddress(Args):
    """Change label and use of a registered address. Decides who gets copies of the user's mail."""

    email_id: AddressId
    name: str = optional("New label.", wire="label")
    primary: bool = optional("Whether it is the main address.", wire="is_primary")
    receives_copies: bool = optional("Whether copies of mail go there.")
    receives_notifications: bool = optional("Whether notices go there.")


@channels.command(
    "email-delete",
    "DELETE /v1/channels/email/{email_id}",
    Effect.DESTROY,
    idempotent=True,
    subject=_ADDRESS_MEANT,
    trace=replace(_ADDRESS, is_gone=True),
)
class RemoveAddress(Args):
    """Remove a registered address; to use it again it must be registered and verified anew."""

    email_id: AddressId


@channels.command(
    "email-verify", "GET /v1/channels/email/verify", Effect.WRITE, idempotent=True, public=True, redirects=True
)
class VerifyAddress(Args):
    """Confirm a registered address with the token of the verification mail. The redirect reported tells the outcome."""

    token: Text = arg("Token in the mail's link.", cli=Cli.POSITIONAL, sensitive=True)


@channels.command(
    "mailbox",
    "GET /v1/channels/mailbox",
    Effect.READ,
    idempotent=True,
    answer={"mailbox": MAILBOX, "user_id": "Identifier of the user."},
)
class ShowMailbox(Args):
    """Show the user's own mail address at KallyAI, to which others can write."""


@channels.command(
    "connect",
    "POST /v1/channels/webhook/{channel}/connect",
    Effect.WRITE,
    diverts=True,
    idempotent=True,
    environment=CREDENTIALS,
    answer={
        "success": "Whether it is connected now.",
        "channel": "The channel.",
        "account_name": "Number or name of the account there.",
    },
    subject=_MESSENGER_MEANT,
    trace=replace(_MESSENGER, states={"connected": ("true",)}, since="connected_at"),
    undo=Undo(
        command="channels disconnect",
        arguments={"channel": "args.channel"},
        until="at any time",
        unless={"before.connected": ("true",)},
    ),
)
class ConnectMessenger(Args):
    """Connect WhatsApp or Telegram. The credentials come from the server's environment; never ask for them in chat."""

    channel: Messenger = arg("Which messenger.")


@channels.command(
    "test",
    "POST /v1/channels/webhook/{channel}/test",
    Effect.READ,
    idempotent=True,
    environment=CREDENTIALS,
    answer={"success": "Whether they work.", "account_name": "Number or name of the account there."},
)
class TryMessenger(Args):
    """Try the credentials in the server's environment without storing them. Then kallyai_channels_connect."""

    channel: Messenger = arg("Which messenger.")


@channels.command(
    "disconnect",
    "POST /v1/channels/disconnect/{channel}",
    Effect.DESTROY,
    idempotent=True,
    answer={"success": "Whether it is detached.", "channel": "The channel."},
    subject=_MESSENGER_MEANT,
    trace=replace(_MESSENGER, states={"connected": ("false",)}),
)
class DisconnectChannel(Args):
    """Detach a messaging channel. For email rather use kallyai_channels_email_delete."""

    channel: Literal["whatsapp", "telegram", "email"] = arg("Which messenger.")
