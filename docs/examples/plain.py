"""Plain Python with the MCP SDK: place a call in the sandbox, and answer the server's question in the terminal.

pip install mcp
python plain.py          asks you; with --yes it agrees by itself, which is for the sandbox only
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import ElicitRequestParams, ElicitResult

SANDBOX = {
    "KALLYAI_SANDBOX": "1",  # nothing leaves the machine, and no real number rings
    "KALLYAI_ACCESS_TOKEN": "kallyai_sandbox_at_demo",  # good in every sandbox; leave it out to sign in
    "KALLYAI_CONTACT_HOURS": "off",  # nobody sleeps there
}
SERVER = StdioServerParameters(command=shutil.which("kallyai-mcp") or "kallyai-mcp", env={**os.environ, **SANDBOX})


async def ask_the_person(context: Any, question: ElicitRequestParams) -> ElicitResult:
    """Show what the server is about to do; only a person may agree to it."""
    print(question.message)
    agreed = "--yes" in sys.argv or input("Go ahead? [y/N] ").lower() == "y"
    return ElicitResult(action="accept", content={}) if agreed else ElicitResult(action="decline")


async def main() -> None:
    """Phone a restaurant, and print what came of it."""
    async with (
        stdio_client(SERVER) as (read, write),
        ClientSession(read, write, elicitation_callback=ask_the_person) as session,
    ):
        await session.initialize()
        result = await session.call_tool(
            "kallyai_calls_make", {"phone": "+12025550100", "task": "Ask whether they are open on Sunday."}
        )
        outcome = result.structuredContent or {}
        print("Outcome:", outcome.get("status") or outcome.get("error"))
        print("Credits:", outcome.get("credits_used", 0))


asyncio.run(main())
