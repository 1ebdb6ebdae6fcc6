"""People whom the user has won over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.clock import iso

if TYPE_CHECKING:
    from kallyai_mcp.commands.referrals import ListReferrals, ShowReferralCode, ShowReferralStats
    from kallyai_mcp.sandbox.world import World

area = Area()

REWARD_CREDITS = 15.0
REWARD_MINUTES = 0
"""An old unit that the API still reports; nothing is granted in it."""
CONVERTS = 2 * 24 * 3600.0
"""Sandbox seconds until the referral that is pending at the beginning is converted."""


@area.answers("referrals code")
def code(world: World, args: ShowReferralCode) -> dict[str, Any]:
    found = world.need("referral_code", "me")
    return {name: value for name, value in found.items() if name != "id"}


@area.answers("referrals stats")
def stats(world: World, args: ShowReferralStats) -> dict[str, Any]:
    referrals = world.all("referral")
    converted = [referral for referral in referrals if referral["status"] == "converted"]
    return {
        "total_referrals": len(referrals),
        "pending": len(referrals) - len(converted),
        "converted": len(converted),
        "total_reward_minutes": sum(referral["referrer_reward_minutes"] for referral in converted),
        "total_reward_credits": sum(referral["referrer_reward_credits"] for referral in converted),
    }


@area.answers("referrals history")
def history(world: World, args: ListReferrals) -> dict[str, Any]:
    referrals = sorted(world.all("referral"), key=lambda referral: str(referral["created_at"]))
    referrals.reverse()
    return {"referrals": referrals}


@area.event("referral_converts")
def converts(world: World, data: dict[str, Any]) -> None:
    """Let a newcomer become a customer; both sides are rewarded."""
    referral = world.need("referral", data["referral_id"])
    world.save("referral", referral | {"status": "converted", "converted_at": world.now(), **_rewards(REWARD_CREDITS)})
    account = world.need("account", "me")
    world.save("account", account | {"credits_allocated": account["credits_allocated"] + REWARD_CREDITS})


@area.seeds
def seed(world: World) -> None:
    now = world.clock.now()
    shared = {
        "code": "SAMBOX",
        "is_active": True,
        "share_url": "https://kallyai.com/?ref=SAMBOX",
        "created_at": iso(now - timedelta(days=40)),
    }
    world.add("referral_code", shared, id="me")
    for name, days, converted_after in (("lee", 30, 5), ("noor", 21, 9), ("ana", 1, None)):
        created = now - timedelta(days=days)
        done = converted_after is not None
        referral = world.add(
            "referral",
            {
                "referred_email": f"{name}@mail.example",
                "status": "converted" if done else "pending",
                **_rewards(REWARD_CREDITS if done else 0.0),
                "created_at": iso(created),
                "converted_at": iso(created + timedelta(days=converted_after)) if converted_after else None,
            },
        )
        if not done:
            world.later(CONVERTS, "referral_converts", referral_id=referral["id"])


def _rewards(credits_: float) -> dict[str, float]:
    return {
        "referrer_reward_minutes": REWARD_MINUTES,
        "referred_reward_minutes": REWARD_MINUTES,
        "referrer_reward_credits": credits_,
        "referred_reward_credits": credits_,
    }
