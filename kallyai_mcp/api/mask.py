"""Make a text of the service fit for an error: one line, cleaned, without anything personal or secret."""

from __future__ import annotations

from kallyai_mcp.api.clean import clean_text
from kallyai_mcp.privacy import mask as mask_personal


def mask(text: str, limit: int = 500) -> str:
    """Return the text on one line, cleaned, masked and cut to `limit` characters."""
    line = " ".join(clean_text(text[: 4 * limit]).split())
    # Whole things are masked before the cut, so that none is cut to a form that is no longer recognised.
    line = mask_personal(line)
    return line if len(line) <= limit else line[: limit - 1] + "…"
