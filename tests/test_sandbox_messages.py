"""The sandbox's inbox, mail accounts and searches."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import pytest
from sandbox_api import SandboxApi, open_sandbox

from kallyai_mcp.sandbox.app import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api() -> AsyncGenerator[SandboxApi]:
    async with open_sandbox() as api:
        yield api


# Inbox


async def test_the_inbox_is_newest_first_and_filtered(api: SandboxApi) -> None:
    found = await api.run("messages inbox")
    times = [message["received_at"] for message in found["messages"]]
    assert times == sorted(times, reverse=True)
    assert {message["channel"] for message in found["messages"]} == {"email", "sms", "call", "chat"}
    assert found["messages"][0].keys() >= {"id", "from", "subject", "channel", "preview", "unread", "received_at"}

    unread = await api.run("messages inbox", unread=True)
    assert unread["messages"] == [message for message in found["messages"] if message["unread"]]
    assert (await api.run("messages inbox", unread=False))["messages"] == found["messages"]
    assert {m["channel"] for m in (await api.run("messages inbox", channel="sms"))["messages"]} == {"sms"}
    assert (await api.run("messages inbox", limit=1))["messages"] == found["messages"][:1]


async def test_reading_leaves_a_message_unread_until_it_is_marked(api: SandboxApi) -> None:
    unread = (await api.run("messages inbox", unread=True))["messages"]
    first = unread[0]["id"]
    assert (await api.run("messages read", message_id=first))["unread"] is True

    marked = await api.run("messages mark-read", message_ids=[first, first])
    assert (marked["marked_read"], marked["count"]) == ([first], 1)
    assert (await api.run("messages read", message_id=first))["unread"] is False
    assert len((await api.run("messages inbox", unread=True))["messages"]) == len(unread) - 1


async def test_marking_an_unknown_message_marks_none(api: SandboxApi) -> None:
    first = (await api.run("messages inbox", unread=True))["messages"][0]["id"]
    assert await api.refused("messages mark-read", message_ids=[first, "m_987"]) == (404, None)
    assert (await api.run("messages read", message_id=first))["unread"] is True


async def test_unknown_messages_and_threads_are_not_found(api: SandboxApi) -> None:
    assert await api.refused("messages read", message_id="m_987") == (404, None)
    assert await api.refused("messages thread", conversation_id="c_987") == (404, None)


# Mail accounts


async def test_mails_are_listed_by_class_and_read_with_their_attachments(api: SandboxApi) -> None:
    found = await api.run("email list")
    assert {mail["classification"] for mail in found["messages"]} == {
        "important", "actionable", "informational", "spam",
    }  # fmt: skip
    (bill,) = (await api.run("email list", classification="actionable", limit=5))["messages"]
    mail = await api.run("email read", message_id=bill["id"])
    assert mail["attachments"] == [{"name": "invoice.pdf", "media_type": "application/pdf", "size": 48213}]
    assert await api.refused("email read", message_id="m_987") == (404, None)


async def test_an_answer_waits_in_the_outbox_in_the_users_style(api: SandboxApi) -> None:
    left = await api.credits_left()
    (mail,) = (await api.run("email list", classification="important"))["messages"]
    answer = await api.run("email respond", message_id=mail["id"], instructions="No parking is needed.")

    assert (answer["status"], answer["to"], answer["subject"]) == (
        "pending_approval", mail["from"], f"Re: {mail['subject']}",
    )  # fmt: skip
    assert answer["body"] == "Hello,\n\nNo parking is needed.\n\nBest wishes\nSam"
    await api.run("actions email approve", email_id=answer["id"])
    api.wait(10)
    thread = await api.run("messages thread", conversation_id=mail["conversation_id"])
    assert [entry["direction"] for entry in thread["messages"]] == ["in", "out"]
    assert await api.credits_left() == pytest.approx(left - 0.3)
    assert await api.refused("email respond", message_id="m_987") == (404, None)


async def test_an_account_is_disconnected_and_connected_again_on_the_page(api: SandboxApi) -> None:
    (account,) = (await api.run("email accounts"))["accounts"]
    assert account.keys() == {"id", "provider", "email", "connected_at", "status"}
    await api.run("email disconnect", account_id=account["id"])
    assert await api.refused("email disconnect", account_id=account["id"]) == (404, None)
    assert await api.refused("email list") == (400, "email_not_connected")
    assert await api.refused("email train-voice") == (400, "email_not_connected")

    url: str = (await api.run("email connect", provider="outlook"))["url"]
    page = urlsplit(url)
    app = create_app(api.world)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1") as browser:
        address = f"{page.path}?{page.query}"
        assert page.hostname == "127.0.0.1"
        fields = dict(re.findall(r'name="(\w+)" value="([^"]+)"', (await browser.get(address)).text))
        assert (await browser.post(page.path, data=fields | {"csrf": "forged"})).status_code == 403
        assert (await browser.post(page.path, data=fields)).status_code == 200
        assert (await browser.get(address)).status_code == 404
        assert "is verified" in (await browser.get("/settings?email_verification=success")).text

    (again,) = (await api.run("email accounts"))["accounts"]
    assert (again["provider"], again["status"]) == ("outlook", "active")


async def test_the_style_is_learnt_anew_in_a_while(api: SandboxApi) -> None:
    before = await api.run("email voice-profile")
    assert (await api.run("email train-voice"))["status"] == "training"
    api.wait(61)
    after = await api.run("email voice-profile")
    assert (before["status"], after["status"]) == ("trained", "trained")
    assert after["trained_at"] > before["trained_at"]


# Search


async def test_a_search_is_repeatable_charged_and_recorded(api: SandboxApi) -> None:
    left = await api.credits_left()
    first = await api.run("search run", query="locksmith", location="Springfield")
    again = await api.run("search run", query="locksmith", location="Springfield")

    assert first["results"] == again["results"]
    assert first["credits_used"] == 0.5
    assert first["results"][0].keys() == {
        "title", "description", "phone", "address", "rating", "price_range", "url",
    }  # fmt: skip
    assert await api.credits_left() == pytest.approx(left - 1.0)
    history = await api.run("search history")
    assert [entry["query"] for entry in history["searches"][:2]] == ["locksmith", "locksmith"]


async def test_a_quick_search_says_less_for_the_same_price(api: SandboxApi) -> None:
    found = await api.run("search quick", query="locksmith")
    assert found["results"][0].keys() == {"title", "phone", "url"}
    assert (len(found["results"]), found["credits_used"]) == (3, 0.5)


async def test_a_search_that_fails_is_free(api: SandboxApi) -> None:
    left = await api.credits_left()
    assert await api.refused("search run", query="search fails") == (500, "search_failed")
    assert await api.credits_left() == left
    assert (await api.run("search quick", query="no results"))["results"] == []
    api.spend_all()
    assert await api.refused("search run", query="locksmith") == (402, "quota_exceeded")


async def test_the_sources_are_listed(api: SandboxApi) -> None:
    sources = (await api.run("search sources"))["sources"]
    assert [source["id"] for source in sources] == ["sbx_source_directory", "sbx_source_reviews", "sbx_source_web"]
