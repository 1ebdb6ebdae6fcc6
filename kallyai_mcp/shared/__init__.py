"""What many people, in several processes, have in common: journal, tokens, sign-ins under way, states, rates, changes.

In PostgreSQL for several replicas, in a file of the state folder for one machine; both are used in the same way.
"""

from kallyai_mcp.shared.changes import GAP, Change, Changes
from kallyai_mcp.shared.keys import KeyRing, new_key
from kallyai_mcp.shared.shared import Shared, account_of

__all__ = ["GAP", "Change", "Changes", "KeyRing", "Shared", "account_of", "new_key"]
