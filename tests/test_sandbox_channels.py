"""The sandbox's channels: registered addresses and messengers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_api import CREDENTIALS, SandboxApi, open_sandbox

from kallyai_mcp.sandbox.areas.channels import SEEDED_TOKEN
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

ADDRESS = {
    "id", "email_address", "label", "is_primary", "receives_copies", "receives_notifications", "verified",
    "verified_at", "created_at",
}  # fmt: skip


@pytest.fixture
async def api() -> AsyncGenerator[SandboxApi]:
    async with open_sandbox() as api:
        yield api


async def addresses(api: SandboxApi) -> dict[str, dict[str, Any]]:
    return {one["email_address"]: one for one in (await api.run("channels email-list"))["emails"]}


async def test_an_address_is_added_once(api: SandboxApi) -> None:
    answer = await api.send("channels email-add", address="sam@new.example", name="New")
    added = answer.json()

    assert (answer.status_code, added.keys()) == (201, ADDRESS)
    assert (added["label"], added["is_primary"], added["verified"]) == ("New", False, False)
    assert (await addresses(api))["sam@new.example"] == added
    assert await api.refused("channels email-add", address="SAM@new.example") == (409, None)
    listed = await api.run("channels email-list")
    assert listed["total"] == len(listed["emails"])
    assert listed["kally_mailbox"] == (await api.run("channels mailbox"))["mailbox"]


async def test_an_address_is_verified_by_the_token_of_its_mail_without_signing_in(api: SandboxApi) -> None:
    await api.send("channels email-add", address="sam@new.example")
    mail = (await api.run("messages inbox", channel="email"))["messages"][0]
    body = (await api.run("messages read", message_id=mail["id"]))["body"]
    token = body.rpartition("token=")[2]

    answer = await api.send("channels email-verify", token=token)
    assert (answer.status_code, answer.headers["location"]) == (302, "/settings?email_verification=success")
    assert (await addresses(api))["sam@new.example"]["verified"] is True

    used = await api.send("channels email-verify", token=token)
    assert used.headers["location"] == "/settings?email_verification=error&reason=invalid_token"


async def test_the_seeded_address_has_a_fixed_token(api: SandboxApi) -> None:
    assert (await addresses(api))["sam.home@mail.example"]["verified"] is False
    await api.send("channels email-verify", token=SEEDED_TOKEN)
    assert (await addresses(api))["sam.home@mail.example"]["verified"] is True


async def test_there_is_one_primary_address(api: SandboxApi) -> None:
    added = (await api.send("channels email-add", address="sam@new.example", primary=True)).json()
    assert added["is_primary"] is True
    assert [one["email_address"] for one in (await addresses(api)).values() if one["is_primary"]] == ["sam@new.example"]

    home = (await addresses(api))["sam.home@mail.example"]["id"]
    await api.run("channels email-update", email_id=home, primary=True)
    assert [one["id"] for one in (await addresses(api)).values() if one["is_primary"]] == [home]
    assert (await api.run("channels status"))["email"]["primary_email"] == "sam.home@mail.example"


async def test_only_what_is_given_is_changed(api: SandboxApi) -> None:
    home = (await addresses(api))["sam.home@mail.example"]
    changed = await api.run("channels email-update", email_id=home["id"], name="Flat", receives_copies=False)
    assert changed == home | {"label": "Flat", "receives_copies": False}
    assert (await addresses(api))["sam.home@mail.example"] == changed


async def test_deleting_answers_nothing_and_hands_the_primary_on(api: SandboxApi) -> None:
    await api.send("channels email-verify", token=SEEDED_TOKEN)
    main = (await addresses(api))["sam@firm.example"]
    answer = await api.send("channels email-delete", email_id=main["id"])

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await addresses(api))["sam.home@mail.example"]["is_primary"] is True
    assert await api.refused("channels email-delete", email_id=main["id"]) == (404, None)
    assert await api.refused("channels email-update", email_id=main["id"], name="x") == (404, None)


async def test_a_messenger_is_tried_connected_and_disconnected(api: SandboxApi) -> None:
    def telegram(status: dict[str, Any]) -> dict[str, Any]:
        return next(one for one in status["channels"] if one["channel"] == "telegram")

    tried = await api.run("channels test", channel="telegram")
    assert tried["success"] is True
    assert telegram(await api.run("channels status"))["connected"] is False

    connected = await api.run("channels connect", channel="telegram")
    assert connected == {"success": True, "channel": "telegram", "account_name": tried["account_name"]}
    assert telegram(await api.run("channels status")) == {
        "channel": "telegram",
        "connected": True,
        "account_name": tried["account_name"],
        "connected_at": api.world.now(),
    }

    gone = await api.run("channels disconnect", channel="telegram")
    assert gone == {"success": True, "channel": "telegram"}
    assert telegram(await api.run("channels status"))["connected"] is False


async def test_credentials_must_come_and_are_not_kept(api: SandboxApi) -> None:
    signed_in = {"Authorization": f"Bearer {DEMO_TOKEN}"}
    answer = await api.client.post("/v1/channels/webhook/whatsapp/connect", json={}, headers=signed_in)
    assert answer.status_code == 422

    await api.run("channels connect", channel="whatsapp")
    kept = str([api.world.all(kind) for kind in api.world.counts()])
    assert not [value for value in CREDENTIALS.values() if value in kept]


async def test_registered_addresses_are_not_disconnected_as_a_channel(api: SandboxApi) -> None:
    before = await addresses(api)
    assert await api.refused("channels disconnect", channel="email") == (422, None)
    assert await addresses(api) == before
