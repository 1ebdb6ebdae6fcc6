"""Channels by which the assistant is reached: the user's registered addresses and the messengers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.area import Area, Reply
from kallyai_mcp.sandbox.areas import postbox
from kallyai_mcp.sandbox.areas.paging import without
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.commands.channels import (
        ConnectMessenger,
        DisconnectChannel,
        ListRegisteredAddresses,
        RegisterAddress,
        RemoveAddress,
        ShowChannels,
        ShowMailbox,
        TryMessenger,
        UpdateAddress,
        VerifyAddress,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()

MAILBOX = "assistant-sbx-me@kallyai.example"
USER_ID = "sbx_user_me"
SEEDED_TOKEN = "sbx_verify_seeded"  # noqa: S105 - a made-up one-time token of the sandbox
"""Verifies the address that a world begins with and that is not verified yet."""

_MESSENGERS = ("whatsapp", "telegram", "linkedin", "instagram", "twitter")
_ACCOUNT_NAMES = {"whatsapp": "+12025550160", "telegram": "@SandboxAssistantBot"}
_SETTINGS_PAGE = "/settings"


def verification_token(email_id: str) -> str:
    """Return the token that verifies a registered address: `sbx_verify_` and the end of its identifier."""
    return f"sbx_verify_{email_id.rpartition('_')[2]}"


@area.answers("channels status")
def status(world: World, args: ShowChannels) -> dict[str, Any]:
    addresses = world.all("channel_email")
    primary = next((address["email_address"] for address in addresses if address["is_primary"]), None)
    return {
        "channels": [_messenger(world, name) for name in _MESSENGERS],
        "email": {
            "connected": any(address["verified"] for address in addresses),
            "contact_count": len(addresses),
            "primary_email": primary,
            "kally_mailbox": MAILBOX,
        },
    }


def _messenger(world: World, name: str) -> dict[str, Any]:
    stored = world.get("channel", name) or {}
    return {
        "channel": name,
        "connected": stored.get("connected", False),
        "account_name": stored.get("account_name"),
        "connected_at": stored.get("connected_at"),
    }


# Addresses


@area.answers("channels email-add")
def add(world: World, args: RegisterAddress) -> Reply:
    """Register an address; the mail that verifies it comes into the sandbox's inbox."""
    if any(one["email_address"].casefold() == args.address.casefold() for one in world.all("channel_email")):
        raise Refusal(status=409, message="The address is registered already.")
    email_id = world.new_id("address")
    address = world.add("channel_email", _address(world, args.address, args.name) | {"id": email_id})
    if args.primary:
        address = _make_primary(world, address)
    token = verification_token(email_id)
    world.save("channel_email", address | {"verification_token": token})
    postbox.deliver(
        world,
        channel="email",
        sender="verify@kallyai.example",
        subject="Confirm your address",
        body=f"To confirm {args.address}, open /v1/channels/email/verify?token={token}",
    )
    return Reply(_shown(address), status=201)


def _address(world: World, address: str, label: str | None) -> dict[str, Any]:
    return {
        "email_address": address,
        "label": label,
        "is_primary": False,
        "receives_copies": True,
        "receives_notifications": True,
        "verified": False,
        "verified_at": None,
        "created_at": world.now(),
    }


def _shown(address: dict[str, Any]) -> dict[str, Any]:
    return without(address, "verification_token")


def _make_primary(world: World, address: dict[str, Any]) -> dict[str, Any]:
    for other in world.all("channel_email", is_primary=True):
        world.save("channel_email", other | {"is_primary": False})
    address |= {"is_primary": True}
    world.save("channel_email", address)
    return address


@area.answers("channels email-list")
def list_addresses(world: World, args: ListRegisteredAddresses) -> dict[str, Any]:
    addresses = [_shown(address) for address in world.all("channel_email")]
    return {"emails": addresses, "total": len(addresses), "kally_mailbox": MAILBOX}


@area.answers("channels email-update")
def update(world: World, args: UpdateAddress) -> dict[str, Any]:
    address = world.need("channel_email", args.email_id)
    changes: dict[str, Any] = {
        "label": args.name,
        "is_primary": args.primary,
        "receives_copies": args.receives_copies,
        "receives_notifications": args.receives_notifications,
    }
    address |= {name: value for name, value in changes.items() if value is not None}
    if args.primary:
        address = _make_primary(world, address)
    world.save("channel_email", address)
    return _shown(address)


@area.answers("channels email-delete")
def delete(world: World, args: RemoveAddress) -> Reply:
    address = world.need("channel_email", args.email_id)
    world.delete("channel_email", address["id"])
    if address["is_primary"] and (left := [one for one in world.all("channel_email") if one["verified"]]):
        _make_primary(world, left[0])
    return Reply(status=204)


@area.answers("channels email-verify")
def verify(world: World, args: VerifyAddress) -> Reply:
    """Confirm an address; the result stands in the redirect, also that of a wrong or used token."""
    for address in world.all("channel_email", verification_token=args.token):
        confirmed = address | {"verified": True, "verified_at": world.now(), "verification_token": None}
        world.save("channel_email", confirmed)
        return _redirect("email_verification=success")
    return _redirect("email_verification=error&reason=invalid_token")


def _redirect(query: str) -> Reply:
    return Reply(status=302, headers={"Location": f"{_SETTINGS_PAGE}?{query}"})


@area.answers("channels mailbox")
def mailbox(world: World, args: ShowMailbox) -> dict[str, Any]:
    return {"mailbox": MAILBOX, "user_id": USER_ID}


# Messengers


@area.answers("channels connect")
def connect(world: World, args: ConnectMessenger) -> dict[str, Any]:
    """Connect a messenger. That credentials came with the request was checked on the way in; they are not kept."""
    name = _ACCOUNT_NAMES[args.channel]
    facts = {"id": args.channel, "connected": True, "account_name": name, "connected_at": world.now()}
    world.save("channel", facts)
    return {"success": True, "channel": args.channel, "account_name": name}


@area.answers("channels test")
def test(world: World, args: TryMessenger) -> dict[str, Any]:
    return {"success": True, "account_name": _ACCOUNT_NAMES[args.channel]}


@area.answers("channels disconnect")
def disconnect(world: World, args: DisconnectChannel) -> dict[str, Any]:
    if args.channel == "email":
        raise Refusal(status=422, message="Registered addresses are removed one by one, with channels email-delete.")
    gone = {"id": args.channel, "connected": False, "account_name": None, "connected_at": None}
    world.save("channel", gone)
    return {"success": True, "channel": args.channel}


@area.seeds
def seed(world: World) -> None:
    with world.clock.showing(world.clock.now() - timedelta(days=40)):
        main = world.add("channel_email", _address(world, "sam@firm.example", "Office"))
        verified = {"is_primary": True, "verified": True, "verified_at": world.now(), "verification_token": None}
        world.save("channel_email", main | verified)
        whatsapp = {"connected": True, "account_name": _ACCOUNT_NAMES["whatsapp"], "connected_at": world.now()}
        world.add("channel", whatsapp, id="whatsapp")
    with world.clock.showing(world.clock.now() - timedelta(days=1)):
        home = world.add("channel_email", _address(world, "sam.home@mail.example", "Home"))
        world.save("channel_email", home | {"verification_token": SEEDED_TOKEN})
