"""What was done, who agreed, and what it may cost: one database on this machine, shared by all processes.

    prepared ─► sent ─► done | failed | unknown ─► done | failed | not_found ─► done
        └─────────┴───► not_sent

It judges nothing but what it alone can count: whether an equal act was done before, whether an approval is still
unused, whether there is room within the limits, whether everything is stopped.
"""

from kallyai_mcp.journal.journal import Journal
from kallyai_mcp.journal.stops import ALL

__all__ = ["ALL", "Journal"]
