"""What others wrote to the user, on every channel. Sending mail is the domain `email`."""

from typing import Annotated, Literal

from pydantic import Field

from kallyai_mcp.model import Args, Cli, Domain, Effect, Source, arg, each, optional
from kallyai_mcp.model.types import Limit, Segment, Text

messages = Domain("messages", "Read what came in by mail, SMS, call and chat.")


@messages.command(
    "inbox",
    "GET /v1/messages/inbox",
    Effect.READ,
    idempotent=True,
    text_from=Source.MESSAGE,
    answer={
        "messages": each(
            "The messages.",
            {
                "id": "Identifier, for kallyai_messages_read.",
                "from": "Sender.",
                "subject": "Subject line.",
                "channel": "email, sms, call or chat.",
                "preview": "How it begins.",
                "unread": "Whether it has not been read.",
                "received_at": "When it came in.",
            },
        ),
        "items": "The messages, in the service's other form.",
    },
)
class ListMessages(Args):
    """List messages received on all channels, with previews; kallyai_messages_read shows one in full."""

    channel: Literal["email", "sms", "call", "chat"] = optional("Channel to keep.")
    limit: Limit = optional()
    unread: bool = optional("Only unread ones.")


@messages.command("read", "GET /v1/messages/inbox/{message_id}", Effect.READ, idempotent=True, text_from=Source.MESSAGE)
class ReadMessage(Args):
    """Show one received message in full."""

    message_id: Segment = arg("Message id from kallyai_messages_inbox.")


@messages.command(
    "thread",
    "GET /v1/messages/conversation/{conversation_id}",
    Effect.READ,
    idempotent=True,
    text_from=Source.MESSAGE,
)
class ReadMessageThread(Args):
    """Show all messages of one conversation with somebody."""

    conversation_id: Segment = arg("Conversation id found in a message.")


@messages.command("mark-read", "POST /v1/messages/mark-read", Effect.WRITE, idempotent=True)
class MarkMessagesRead(Args):
    """Mark received messages as read."""

    message_ids: Annotated[list[Text], Field(min_length=1)] = arg(
        "Message ids from kallyai_messages_inbox.", cli=Cli.POSITIONAL
    )
