"""Pydantic AI: an agent whose model is a script calls the server's tools."""

import asyncio
import json
from typing import Any

from fastmcp.client import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from report import READ, command, environment, say

STEPS = (
    ("kallyai_credits_balance", {}),
    ("kallyai_calls_info", {"call_id": "../x"}),
    ("kallyai_actions_errand", {"description": "Collect a parcel"}),
)


async def main() -> None:
    listed: list[str] = []
    seen: dict[str, Any] = {}

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        listed[:] = [tool.name for tool in info.function_tools]
        for part in messages[-1].parts:
            if isinstance(part, ToolReturnPart):
                seen[part.tool_name] = [None, part.content if isinstance(part.content, dict) else str(part.content)]
            elif isinstance(part, RetryPromptPart) and part.tool_name is not None:
                seen[part.tool_name] = [None, str(part.content)]
        for tool, arguments in STEPS:
            if tool not in seen:
                return ModelResponse(parts=[ToolCallPart(tool, json.dumps(arguments))])
        return ModelResponse(parts=[TextPart("done")])

    asked: list[str] = []

    async def decline(message: str, *_: Any) -> ElicitResult[Any]:
        asked.append(message)
        return ElicitResult(action="decline")

    program, *arguments = command()
    client = Client(StdioTransport(program, arguments, env=environment()), elicitation_handler=decline)
    server = MCPToolset(client, max_retries=5)
    agent = Agent(FunctionModel(model), toolsets=[server])
    async with agent:
        await agent.run("Look after my credits.")
        read = await server.read_resource(READ)
    say(
        tools=listed,
        balance=seen["kallyai_credits_balance"][1],
        wrong=seen["kallyai_calls_info"],
        refused=seen["kallyai_actions_errand"],
        asked=asked,
        read=read if isinstance(read, str) else str(read),
    )


asyncio.run(main())
