"""The subjects of the sandbox, one module each. In this order they put into a new world what it begins with."""

from kallyai_mcp.sandbox.areas import (
    actions,
    budget,
    calls,
    channels,
    coord,
    credits,  # noqa: A004 - the domain's name
    email,
    inbound,
    messages,
    notifications,
    outreach,
    phone,
    referrals,
    search,
    subscription,
)

AREAS = (
    credits.area,
    budget.area,
    subscription.area,
    referrals.area,
    calls.area,
    inbound.area,
    phone.area,
    coord.area,
    actions.area,
    messages.area,
    email.area,
    channels.area,
    search.area,
    outreach.area,
    notifications.area,
)

__all__ = ["AREAS"]
