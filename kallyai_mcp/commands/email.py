"""The user's own mail accounts at Gmail or Outlook. Mail that the assistant sends by itself is in actions."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from kallyai_mcp.model import Args, Cli, Domain, Effect, Look, Source, Subject, Undo, arg, each, optional
from kallyai_mcp.model.types import Limit, Segment

email = Domain("email", "Read and answer the mail of the user's own accounts.")

_ACCOUNT = Look(command="email accounts", entries=("accounts",), match={"id": "account_id"})
_ANSWER = Look(
    command="actions email outbox",
    entries=("emails",),
    match={"in_reply_to": "message_id"},
    since="created_at",
    # An answer that goes straight out need not show there.
    is_complete=False,
)

MailId = Annotated[Segment, Field(description="Mail id from kallyai_email_list.")]


@email.command(
    "accounts",
    "GET /v1/email/accounts",
    Effect.READ,
    idempotent=True,
    answer={
        "accounts": each(
            "The accounts connected.",
            {
                "id": "Identifier, for kallyai_email_disconnect.",
                "provider": "gmail or outlook.",
                "email": "Address of the account.",
                "connected_at": "When it was connected.",
                "status": "Whether it works; active is good.",
            },
        )
    },
)
class ListMailAccounts(Args):
    """List the user's mail accounts that are connected, with their ids."""


@email.command(
    "connect",
    "GET /v1/email/oauth/{provider}/url",
    Effect.READ,
    idempotent=True,
    answer={"url": "Page on which the user grants access; give it to the user."},
)
class ConnectMailAccount(Args):
    """Get the web page that connects a mail account; the user must open it and agree there."""

    provider: Literal["gmail", "outlook"] = arg("Mail provider.")


@email.command(
    "disconnect",
    "DELETE /v1/email/accounts/{account_id}",
    Effect.DESTROY,
    idempotent=True,
    subject=Subject(look=_ACCOUNT, shows=("provider", "email", "status")),
    trace=replace(_ACCOUNT, is_gone=True),
)
class DisconnectMailAccount(Args):
    """Detach a mail account; to connect it again the user must agree at the provider anew."""

    account_id: Annotated[Segment, Field(description="Account id from kallyai_email_accounts.")]


@email.command("list", "GET /v1/email/messages", Effect.READ, idempotent=True, text_from=Source.MAIL)
class ListMails(Args):
    """List mails received in the connected accounts, by class. Read one with kallyai_email_read."""

    classification: Literal["important", "actionable", "informational", "spam"] = optional("Only this class.")
    limit: Limit = optional()


@email.command("read", "GET /v1/email/messages/{message_id}", Effect.READ, idempotent=True, text_from=Source.MAIL)
class ReadMail(Args):
    """Read one mail in full, with its list of attachments."""

    message_id: MailId


@email.command(
    "respond",
    "POST /v1/email/messages/{message_id}/respond",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    slow=True,
    text_from=Source.MAIL,
    subject=Subject(
        look=Look(command="email read", given={"message_id": "message_id"}),
        reaches=("from",),
        shows=("from", "subject", "preview|body"),
    ),
    trace=_ANSWER,
    undo=Undo(
        command="actions email cancel",
        arguments={"email_id": "entry.id"},
        until="while it waits in kallyai_actions_email_outbox",
        stops=True,
        look=_ANSWER,
        unless={"entry.status": ("sending", "sent", "failed", "cancelled")},
    ),
)
class RespondToMail(Args):
    """Answer a mail in the user's writing style. The answer may go straight to the sender. Spends credits."""

    message_id: MailId
    instructions: str = optional("What the answer should say; omit to leave it to the assistant.", cli=Cli.WORDS)


@email.command("voice-profile", "GET /v1/email/voice-profile", Effect.READ, idempotent=True)
class ShowWritingStyle(Args):
    """Show the profile of the user's writing style that kallyai_email_respond imitates."""


@email.command("train-voice", "POST /v1/email/voice-profile/train", Effect.WRITE, slow=True)
class LearnWritingStyle(Args):
    """Learn the user's writing style anew from sent mails; replaces the profile. May take minutes."""
