"""Pydantic AI: an agent with this server's tools places a call in the sandbox. The model is scripted: no key is needed.

pip install "pydantic-ai-slim[mcp]"
python pydantic_ai_agent.py          asks you; with --yes it agrees by itself, which is for the sandbox only
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from typing import Any

from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

SANDBOX = {
    "KALLYAI_SANDBOX": "1",  # nothing leaves the machine, and no real number rings
    "KALLYAI_ACCESS_TOKEN": "kallyai_sandbox_at_demo",  # good in every sandbox; leave it out to sign in
    "KALLYAI_CONTACT_HOURS": "off",  # nobody sleeps there
}
CALL = {"phone": "+12025550100", "task": "Ask whether they are open on Sunday."}


def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Ask for the call, then sum up, in place of a real model."""
    called = any(isinstance(part, ToolReturnPart) for message in messages for part in message.parts)
    return ModelResponse([TextPart("They are open on Sunday.") if called else ToolCallPart("kallyai_calls_make", CALL)])


async def ask_the_person(message: str, response_type: Any, params: Any, context: Any) -> Any:
    """Show what the server is about to do; only a person may agree to it."""
    print(message)
    agreed = "--yes" in sys.argv or input("Go ahead? [y/N] ").lower() == "y"
    return ElicitResult(action="accept", content={}) if agreed else ElicitResult(action="decline")


async def main() -> None:
    """Have the agent phone a restaurant, and print what came of it."""
    server = StdioTransport(shutil.which("kallyai-mcp") or "kallyai-mcp", [], env={**os.environ, **SANDBOX})
    toolset = MCPToolset(server, elicitation_handler=ask_the_person, init_timeout=60, read_timeout=660)
    agent = Agent(FunctionModel(scripted), toolsets=[toolset])
    async with agent:
        result = await agent.run("Are they open on Sunday? +12025550100")
    for message in result.all_messages():
        for part in message.parts:
            if isinstance(part, ToolReturnPart):
                outcome: Any = part.content  # the text, and addresses of more, where there are any
                print("Outcome:", outcome[0] if isinstance(outcome, list) else outcome)
    print("Agent:", result.output)


asyncio.run(main())
