"""Approvals where a host cannot ask and the organisation has configured no pages."""

from __future__ import annotations


class NoPages:
    """There are none: what is to be approved needs a host that can ask its person."""

    async def address(self, approval: str) -> str | None:
        """There is no address."""
        del approval

    def advice(self, address: str | None) -> str | None:
        """Say what can be done."""
        del address
        return (
            "Tell the user that this host cannot show a server's questions, so that nobody can approve this from here. "
            "A host that supports MCP elicitation can; or the operator sets KALLYAI_PAGES_CLIENT_ID for approvals on a "
            "web page. Nothing that you write can approve it."
        )

    async def close(self) -> None:
        """Nothing is held."""
