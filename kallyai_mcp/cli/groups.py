"""Subcommands that stand together: each with its summary here, and filled by its group's module once it is reached."""

from __future__ import annotations

OVERSIGHT = {
    "approve": "Agree to something that waits for a person, or decline it.",
    "stop": "Stop at once everything that is being done, and all that is to come.",
    "resume": "Let acts run again after a stop.",
    "audit": "List, check or export the log of what was done.",
    "mandates": "List, add or revoke what may be done without a further question.",
}
"""By which a person watches over acts."""

SETTING_UP = {
    "install": "Connect a host, such as Claude Desktop or Cursor, with this program.",
    "uninstall": "Take this program out of a host's configuration.",
    "doctor": "Look whether everything works, and say what to do where it does not.",
}
"""Which connect hosts."""

STORING = {
    "migrate": "Make or update the tables of the servers' PostgreSQL.",
    "vault": "Make a key for the servers' vault, or change to a new one.",
}
"""Of whoever runs servers for others."""

GROUPS = {"oversight": OVERSIGHT, "setting_up": SETTING_UP, "storing": STORING}
"""The groups by their module, whose `FILL` has a function for each name."""

BRANCHED = frozenset({"run", "audit", "mandates", "vault"})
"""Subcommands with commands of their own."""
