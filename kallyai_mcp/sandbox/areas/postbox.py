"""Mails: drafted, approved, sent, answered; and how a message from outside comes into the inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox import triggers
from kallyai_mcp.sandbox.areas import actionlog
from kallyai_mcp.sandbox.areas.paging import without
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

MAIL_PRICE = 0.3
SENT_AFTER = 5.0
BOUNCED_AFTER = 30.0
REPLY_AFTER = 120.0
SLOW_REPLY_AFTER = 86_400.0


def connected_account(world: World) -> dict[str, Any]:
    """Return the account that mail goes out from.

    Raises:
        Refusal: `email_not_connected`.
    """
    accounts = world.all("email_account", status="active")
    if not accounts:
        raise Refusal("email_not_connected")
    return accounts[0]


def draft(
    world: World,
    to: str,
    subject: str,
    body: str,
    *,
    cc: str | None = None,
    goal_id: str | None = None,
    conversation_id: str | None = None,
    answers: str | None = None,
) -> dict[str, Any]:
    """Put a mail into the outbox, where it waits for consent. Free until it is approved.

    Raises:
        Refusal: `email_not_connected`.
    """
    account = connected_account(world)
    mail_id = world.new_id("email")
    action = world.act(
        "email",
        f"Mail: {subject}",
        undoable=True,
        undo={"event": "mail_undone", "email_id": mail_id},
        status="pending_approval",
    )
    mail = {
        "id": mail_id,
        "from": account["email"],
        "to": to,
        "cc": cc,
        "subject": subject,
        "body": body,
        "status": "pending_approval",
        "created_at": world.now(),
        "sent_at": None,
        "conversation_id": conversation_id or world.new_id("thread"),
        "in_reply_to": answers,
        "action_id": action["id"],
        "goal_id": goal_id,
        "description": f"Mail: {subject}",
    }
    return world.add("outbox_email", mail)


def approve(world: World, mail: dict[str, Any]) -> dict[str, Any]:
    """Let a waiting mail go out, and charge for it. One to an address that refuses it comes back as failed, free.

    Raises:
        Refusal: 409 if it does not wait, `email_not_connected`, `quota_exceeded`.
    """
    if mail["status"] != "pending_approval":
        raise Refusal(status=409, message=f"The mail does not wait for approval: its status is {mail['status']}.")
    connected_account(world)
    if triggers.outcome("mail", mail["to"]) == "fails":
        return _fail(world, mail)
    actionlog.spend(world, mail, MAIL_PRICE, "email", mail["description"])
    mail |= {"status": "sending", "approved_at": world.now()}
    world.save("outbox_email", mail)
    actionlog.update(world, mail["action_id"], "in_progress")
    world.later(SENT_AFTER, "mail_leaves", email_id=mail["id"])
    _tell_goal(world, mail)
    return mail


def cancel(world: World, mail: dict[str, Any]) -> dict[str, Any]:
    """Drop a waiting mail. One dropped already stays as it is.

    Raises:
        Refusal: 409 if it has been approved.
    """
    if mail["status"] == "cancelled":
        return mail
    if mail["status"] != "pending_approval":
        raise Refusal(
            status=409,
            message=f"Only a mail that waits for approval is dropped; this one's status is {mail['status']}.",
        )
    mail |= {"status": "cancelled", "cancelled_at": world.now()}
    world.save("outbox_email", mail)
    actionlog.update(world, mail["action_id"], "cancelled")
    _tell_goal(world, mail)
    return mail


def _tell_goal(world: World, mail: dict[str, Any]) -> None:
    if mail["goal_id"]:
        world.later(0, "goal_moves", goal_id=mail["goal_id"])


def undone(world: World, data: dict[str, Any]) -> None:
    """Event: a draft is taken back."""
    cancel(world, world.need("outbox_email", data["email_id"]))


def leaves(world: World, data: dict[str, Any]) -> None:
    """Event: an approved mail is delivered; a reply is on its way where there will be one."""
    mail = world.need("outbox_email", data["email_id"]) | {"status": "sent", "sent_at": world.now()}
    world.save("outbox_email", mail)
    actionlog.update(world, mail["action_id"], "completed")
    match triggers.outcome("mail", mail["to"]):
        case "bounces":
            world.later(BOUNCED_AFTER, "mail_bounces", email_id=mail["id"])
        case "silent":
            pass
        case "slow":
            world.later(SLOW_REPLY_AFTER, "mail_answered", email_id=mail["id"])
        case _:
            world.later(REPLY_AFTER, "mail_answered", email_id=mail["id"])


def bounces(world: World, data: dict[str, Any]) -> None:
    """Event: a mail comes back."""
    _fail(world, world.need("outbox_email", data["email_id"]))


def _fail(world: World, mail: dict[str, Any]) -> dict[str, Any]:
    actionlog.refund(world, mail, "email")
    mail |= {"status": "failed", "failure_reason": "The recipient's server does not know the address."}
    world.save("outbox_email", mail)
    actionlog.update(world, mail["action_id"], "failed")
    _tell_goal(world, mail)
    return mail


def answered(world: World, data: dict[str, Any]) -> None:
    """Event: a reply arrives, among the mail's replies, the account's mails and the inbox."""
    mail = world.need("outbox_email", data["email_id"])
    body = (
        f"Thank you for your message about “{mail['subject']}”. We have noted it and will keep to what you wrote.\n\n"
        "Kind regards"
    )
    received = receive(
        world,
        sender=mail["to"],
        subject=f"Re: {mail['subject']}",
        body=body,
        classification="important",
        conversation_id=mail["conversation_id"],
    )
    reply = {name: received[name] for name in ("from", "subject", "body", "received_at", "conversation_id")}
    world.add("reply", {"email_id": mail["id"], "message_id": received["id"], **reply})


def receive(
    world: World,
    *,
    sender: str,
    subject: str,
    body: str,
    classification: str = "informational",
    conversation_id: str | None = None,
    unread: bool = True,
    attachments: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Let a mail come in: it stands in the inbox and among the account's mails under one id."""
    message = deliver(
        world,
        channel="email",
        sender=sender,
        subject=subject,
        body=body,
        conversation_id=conversation_id,
        unread=unread,
    )
    account = world.all("email_account", status="active")
    mail = {
        "id": message["id"],
        "account_id": account[0]["id"] if account else None,
        "from": sender,
        "to": account[0]["email"] if account else None,
        "subject": subject,
        "body": body,
        "preview": message["preview"],
        "classification": classification,
        "attachments": attachments or [],
        "unread": unread,
        "received_at": message["received_at"],
        "conversation_id": message["conversation_id"],
    }
    return world.add("email_message", mail)


def deliver(
    world: World,
    *,
    channel: str,
    sender: str,
    body: str,
    subject: str | None = None,
    conversation_id: str | None = None,
    unread: bool = True,
) -> dict[str, Any]:
    """Put a message of any channel (email, sms, call, chat) into the inbox."""
    message = {
        "from": sender,
        "subject": subject,
        "channel": channel,
        "preview": body.partition("\n")[0][:80],
        "unread": unread,
        "received_at": world.now(),
        "body": body,
        "conversation_id": conversation_id or world.new_id("thread"),
    }
    return world.add("message", message)


def shown(mail: dict[str, Any]) -> dict[str, Any]:
    """Return a mail of the outbox as the API answers it."""
    return without(mail, "description")
