"""The commands of KallyAI, declared once each, one module per domain. Declarations only.

A new domain is one more module and one more name here; a new command is one class in its domain's module and one entry
in `kallyai_mcp/examples/<domain>.json`.
"""

from kallyai_mcp.commands.actions import actions
from kallyai_mcp.commands.acts import acts
from kallyai_mcp.commands.answers import answers
from kallyai_mcp.commands.ask import ask
from kallyai_mcp.commands.auth import auth
from kallyai_mcp.commands.budget import budget
from kallyai_mcp.commands.calls import calls
from kallyai_mcp.commands.channels import channels
from kallyai_mcp.commands.coord import coord
from kallyai_mcp.commands.credits import credits_
from kallyai_mcp.commands.email import email
from kallyai_mcp.commands.inbound import inbound
from kallyai_mcp.commands.messages import messages
from kallyai_mcp.commands.notifications import notifications
from kallyai_mcp.commands.outreach import outreach
from kallyai_mcp.commands.phone import phone
from kallyai_mcp.commands.referrals import referrals
from kallyai_mcp.commands.search import search
from kallyai_mcp.commands.subscription import subscription

DOMAINS = (
    ask,
    coord,
    calls,
    inbound,
    phone,
    actions,
    messages,
    search,
    email,
    channels,
    outreach,
    budget,
    credits_,
    subscription,
    referrals,
    notifications,
    acts,
    answers,
    auth,
)

__all__ = ["DOMAINS"]
