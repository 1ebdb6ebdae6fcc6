"""What the agent does with written messages: the outbox, mail accounts, the inbox, channels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox_agent import has, one

if TYPE_CHECKING:
    from sandbox_agent import Agent


def sends_mails(agent: Agent) -> None:
    with agent.paying(0):
        mail = agent.run("actions_email_send", to="bo@mail.example", subject="Lunch", body="Shall we say noon?")
    assert mail["status"] == "pending_approval"
    assert has(agent.run("notifications_pending")["actions"]["items"], id=mail["id"], type="email_approval")
    with agent.paying(0.3):
        assert agent.run("actions_email_approve", email_id=mail["id"])["status"] == "sending"
        agent.wait(10)
    assert has(agent.run("actions_email_outbox")["emails"], id=mail["id"], status="sent")
    assert agent.run("actions_email_replies", email_id=mail["id"])["total"] == 0
    agent.wait(150)
    reply = agent.run("actions_email_replies", email_id=mail["id"])["replies"][0]
    assert (reply["from"], reply["subject"]) == ("bo@mail.example", "Re: Lunch")
    thread = agent.run("messages_thread", conversation_id=mail["conversation_id"])["messages"]
    assert [message["direction"] for message in thread] == ["out", "in"]
    other = agent.run("actions_email_send", to="bo@mail.example", subject="No", body="Never mind")
    assert agent.run("actions_email_cancel", email_id=other["id"])["status"] == "cancelled"
    assert agent.refused("actions_email_approve", email_id=other["id"])["http_status"] == 409


def reads_messages(agent: Agent) -> None:
    unread = agent.run("messages_inbox", unread=True)["messages"]
    text = agent.run("messages_read", message_id=unread[0]["id"])
    assert text["body"].startswith(unread[0]["preview"].rstrip("…"))
    agent.run("messages_mark_read", message_ids=[message["id"] for message in unread])
    assert agent.run("messages_inbox", unread=True)["total"] == 0
    assert agent.run("notifications_pending")["inbox"]["count"] == 0
    assert {message["channel"] for message in agent.run("messages_inbox", channel="sms")["messages"]} == {"sms"}
    agent.gone("messages_read", message_id="sbx_message_none")


def answers_mails(agent: Agent) -> None:
    account = agent.run("email_accounts")["accounts"][0]
    important = agent.run("email_list", classification="important")["messages"]
    mail = agent.run("email_read", message_id=important[-1]["id"])
    profile = agent.run("email_voice_profile")
    draft = agent.run("email_respond", message_id=mail["id"], instructions="Yes, one parking space, please.")
    assert draft["body"].startswith(f"{profile['greeting']},\n\nYes, one parking")
    assert has(agent.run("actions_email_outbox")["emails"], id=draft["id"], to=mail["from"])
    assert agent.run("email_train_voice")["status"] == "training"
    agent.wait(60)
    assert agent.run("email_voice_profile")["sample_count"] > profile["sample_count"]
    agent.run("email_disconnect", account_id=account["id"])
    agent.gone("email_disconnect", account_id=account["id"])
    assert agent.refused("email_list")["code"] == "email_not_connected"
    agent.approve(agent.run("email_connect", provider="outlook")["url"])
    assert one(agent.run("email_accounts")["accounts"], provider="outlook")["status"] == "active"


def registers_addresses(agent: Agent) -> None:
    assert agent.run("channels_mailbox")["mailbox"] == agent.run("channels_email_list")["kally_mailbox"]
    address = agent.run("channels_email_add", address="sam@club.example", name="Club")
    assert not address["verified"]
    told = agent.run("messages_read", message_id=agent.run("messages_inbox", limit=1)["messages"][0]["id"])
    token = re.search(r"token=(\S+)", told["body"])
    assert token is not None
    assert "success" in agent.run("channels_email_verify", token=token[1])["location"]
    assert "error" in agent.run("channels_email_verify", token=token[1])["location"]
    agent.run("channels_email_update", email_id=address["id"], primary=True, receives_copies=False)
    kept = one(agent.run("channels_email_list")["emails"], id=address["id"])
    assert (kept["verified"], kept["is_primary"], kept["receives_copies"]) == (True, True, False)
    assert agent.run("channels_status")["email"]["primary_email"] == "sam@club.example"
    agent.run("channels_email_delete", email_id=address["id"])
    agent.gone("channels_email_update", email_id=address["id"], name="Club")
    assert agent.run("channels_status")["email"]["primary_email"] == "sam@firm.example"


def connects_messengers(agent: Agent) -> None:
    def is_connected() -> bool:
        return one(agent.run("channels_status")["channels"], channel="telegram")["connected"]

    assert not is_connected()
    assert agent.run("channels_test", channel="telegram")["success"]
    assert not is_connected()
    assert agent.run("channels_connect", channel="telegram")["account_name"]
    assert is_connected()
    assert agent.run("channels_disconnect", channel="telegram")["success"]
    assert not is_connected()


SCRIPT = (sends_mails, reads_messages, answers_mails, registers_addresses, connects_messengers)
