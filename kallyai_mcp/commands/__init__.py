"""The commands of KallyAI, declared once each, one module per domain. Declarations only.

A new domain is one more module and one more name here; a new command is one class in its domain's module and one entry
in `kallyai_mcp/examples/<domain>.json`.
"""

from kallyai_mcp.commands.ask import ask
from kallyai_mcp.commands.calls import calls

DOMAINS = (ask, calls)

__all__ = ["DOMAINS"]
