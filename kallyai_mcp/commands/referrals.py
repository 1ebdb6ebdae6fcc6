"""Inviting others to KallyAI."""

from kallyai_mcp.model import Args, Domain, Effect, each

referrals = Domain("referrals", "Invite others and see what it earned.")

OLD_BILLING = "Leftover of an older billing; ignore."


@referrals.command(
    "code",
    "GET /v1/referrals/code",
    Effect.READ,
    idempotent=True,
    answer={
        "code": "The code.",
        "is_active": "Whether it can be used.",
        "share_url": "Link to pass on.",
        "created_at": "When it was made.",
    },
)
class ShowReferralCode(Args):
    """Show the user's referral code and the link to share; it is made on first use."""


@referrals.command(
    "stats",
    "GET /v1/referrals/stats",
    Effect.READ,
    idempotent=True,
    answer={
        "total_referrals": "People referred.",
        "pending": "How many of them have not converted yet.",
        "converted": "How many have converted.",
        "total_reward_minutes": OLD_BILLING,
        "total_reward_credits": "Credits earned.",
    },
)
class ShowReferralStats(Args):
    """Show how many people the user referred and the credits earned by it."""


@referrals.command(
    "history",
    "GET /v1/referrals/history",
    Effect.READ,
    idempotent=True,
    answer={
        "referrals": each(
            "The people referred.",
            {
                "id": "Identifier of the referral.",
                "referred_email": "Address of the person.",
                "status": "State of the referral, such as converted.",
                "referrer_reward_minutes": OLD_BILLING,
                "referred_reward_minutes": OLD_BILLING,
                "referrer_reward_credits": "Credits the user earned.",
                "referred_reward_credits": "Credits the person earned.",
                "created_at": "When the person was referred.",
                "converted_at": "When the referral converted.",
            },
        )
    },
)
class ListReferrals(Args):
    """List the people the user referred, with their states and rewards."""
