"""Make a text of the service fit for an error: one line, all of it to be seen, without anything personal or secret."""

from __future__ import annotations

from kallyai_mcp.api.clean import clean_text
from kallyai_mcp.markup import defused
from kallyai_mcp.privacy import mask as mask_personal
from kallyai_mcp.visible import neutral


def mask(text: str, limit: int = 500) -> str:
    """Return the text on one line, neutral, masked and cut to `limit` characters.

    A service may repeat in it what a stranger wrote, so that no markup in it fetches or hides anything either.
    """
    line = defused(" ".join(neutral(clean_text(text[: 4 * limit])).split()))
    # Whole things are masked before the cut, so that none is cut to a form that is no longer recognised.
    line = mask_personal(line)
    return line if len(line) <= limit else line[: limit - 1] + "…"
