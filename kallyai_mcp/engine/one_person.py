"""The tokens of an act under way: what one person has agreed to is not done with another one's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.api import Tokens


class OnePersonsTokens:
    """Tokens for one act: a newer one is taken only of the person whose act it is.

    Args:
        tokens: Where they come from.
        require_same: Raises where somebody else has signed in.
    """

    def __init__(self, tokens: Tokens, require_same: Callable[[], None]) -> None:
        self._tokens = tokens
        self._require_same = require_same

    async def token(self) -> str | None:
        """Return a valid token; None when signed out."""
        return await self._tokens.token()

    async def renew(self, refused: str) -> str | None:
        """Return a newer token than one that the service refused; None when there is none.

        Raises:
            ActRefused: It is somebody else's.
        """
        token = await self._tokens.renew(refused)
        if token is not None:
            self._require_same()
        return token
