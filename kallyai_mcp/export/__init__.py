"""Writes what is generated from the declarations: the tool definitions and parts of the documents.

    python -m kallyai_mcp.export            writes what differs
    python -m kallyai_mcp.export --check    writes nothing, shows what differs, exits 1 if anything does

It reads and writes a source checkout only, never an installed package.
"""

from kallyai_mcp.export.checkout import Change, NotACheckout, changes, find_checkout, write
from kallyai_mcp.export.documents import MissingMarker

__all__ = ["Change", "MissingMarker", "NotACheckout", "changes", "find_checkout", "write"]
