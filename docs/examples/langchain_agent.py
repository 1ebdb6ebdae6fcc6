"""LangChain: an agent with this server's tools places a call in the sandbox. The model is scripted, so it needs no key.

pip install langchain langchain-mcp-adapters
python langchain_agent.py          asks you; with --yes it agrees by itself, which is for the sandbox only
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_mcp_adapters.callbacks import Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient
from mcp.types import ElicitRequestParams, ElicitResult

SANDBOX = {
    "KALLYAI_SANDBOX": "1",  # nothing leaves the machine, and no real number rings
    "KALLYAI_ACCESS_TOKEN": "kallyai_sandbox_at_demo",  # good in every sandbox; leave it out to sign in
    "KALLYAI_CONTACT_HOURS": "off",  # nobody sleeps there
}
CALL = {
    "name": "kallyai_calls_make",
    "args": {"phone": "+12025550100", "task": "Ask whether they are open on Sunday."},
    "id": "1",
}


class ScriptedModel(GenericFakeChatModel):
    """Says what it was given to say, in place of a real chat model."""

    def bind_tools(self, tools: Any, **options: Any) -> ScriptedModel:
        """Take the tools and leave them alone."""
        return self


async def ask_the_person(mcp_context: Any, params: ElicitRequestParams, context: Any) -> ElicitResult:
    """Show what the server is about to do; only a person may agree to it."""
    print(params.message)
    agreed = "--yes" in sys.argv or input("Go ahead? [y/N] ").lower() == "y"
    return ElicitResult(action="accept", content={}) if agreed else ElicitResult(action="decline")


async def main() -> None:
    """Have the agent phone a restaurant, and print what came of it."""
    client = MultiServerMCPClient(
        {
            "kallyai": {
                "transport": "stdio",
                "command": shutil.which("kallyai-mcp") or "kallyai-mcp",
                "args": [],
                "env": {**os.environ, **SANDBOX},
            }
        },
        callbacks=Callbacks(on_elicitation=ask_the_person),
    )
    tools = [tool for tool in await client.get_tools() if tool.name == "kallyai_calls_make"]
    model = ScriptedModel(messages=iter([AIMessage("", tool_calls=[CALL]), AIMessage("They are open on Sunday.")]))
    agent = create_agent(model, tools)
    answer = await agent.ainvoke({"messages": [("user", "Are they open on Sunday? +12025550100")]})
    for message in answer["messages"]:
        if isinstance(message, ToolMessage):
            artifact: Any = message.artifact or {}
            outcome = artifact.get("structured_content") or {}
            print("Outcome:", outcome.get("status") or message.content)
    print("Agent:", answer["messages"][-1].content)


asyncio.run(main())
