"""The inbox: messages of all channels."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.areas import postbox
from kallyai_mcp.sandbox.areas.paging import page, without
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.commands.messages import (
        ListMessages,
        MarkMessagesRead,
        ReadMessage,
        ReadMessageThread,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()


@area.answers("messages inbox")
def inbox(world: World, args: ListMessages) -> dict[str, Any]:
    found = [
        message
        for message in sorted(world.all("message"), key=lambda one: one["received_at"], reverse=True)
        if args.channel in (None, message["channel"]) and (not args.unread or message["unread"])
    ]
    return {"messages": [without(message, "body") for message in page(found, args)], "total": len(found)}


@area.answers("messages read")
def read(world: World, args: ReadMessage) -> dict[str, Any]:
    return world.need("message", args.message_id)


@area.answers("messages thread")
def thread(world: World, args: ReadMessageThread) -> dict[str, Any]:
    received = [message | {"direction": "in"} for message in world.all("message", conversation_id=args.conversation_id)]
    sent = [
        _sent(mail)
        for mail in world.all("outbox_email", conversation_id=args.conversation_id)
        if mail["status"] == "sent"
    ]
    if not received and not sent:
        raise Refusal(status=404, message="There is no conversation with this id.")
    messages = sorted(received + sent, key=lambda one: one["received_at"])
    return {"conversation_id": args.conversation_id, "messages": messages, "total": len(messages)}


def _sent(mail: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": mail["id"],
        "from": mail["from"],
        "to": mail["to"],
        "subject": mail["subject"],
        "channel": "email",
        "preview": mail["body"].partition("\n")[0][:80],
        "unread": False,
        "received_at": mail["sent_at"],
        "body": mail["body"],
        "conversation_id": mail["conversation_id"],
        "direction": "out",
    }


@area.answers("messages mark-read")
def mark_read(world: World, args: MarkMessagesRead) -> dict[str, Any]:
    # All or none: a refusal takes back what was written.
    wanted = list(dict.fromkeys(args.message_ids))
    for message_id in wanted:
        world.save("message", world.need("message", message_id) | {"unread": False})
        if (mail := world.get("email_message", message_id)) is not None:
            world.save("email_message", mail | {"unread": False})
    return {"marked_read": wanted, "count": len(wanted)}


_SEEDED = (
    (50.0, "sms", "+12125550131", "Your parcel is at the pick-up point until Saturday.", False),
    (26.0, "chat", "@neighbour_ana", "Could you take in a parcel for me tomorrow?", False),
    (5.0, "sms", "+12125550132", "Reminder: dentist on Thursday at 9:15. Reply C to cancel.", True),
    (2.0, "call", "+12125550133", "Missed call with a message: the garage says the car is ready.", True),
)
"""Hours ago, channel, sender, text, whether unread."""


@area.seeds
def seed(world: World) -> None:
    for hours, channel, sender, text, unread in _SEEDED:
        with world.clock.showing(world.clock.now() - timedelta(hours=hours)):
            postbox.deliver(world, channel=channel, sender=sender, body=text, unread=unread)
