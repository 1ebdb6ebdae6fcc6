"""LangChain's adapter: the server's tools as LangChain tools, its prompts and resources as messages and blobs."""

import asyncio
from typing import Any

from langchain_core.tools import ToolException
from langchain_mcp_adapters.callbacks import Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient
from mcp import McpError
from mcp.types import ElicitResult
from report import PROMPT, READ, command, environment, say


async def main() -> None:
    asked: list[str] = []

    async def decline(_: Any, params: Any, *__: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="decline")

    program, *arguments = command()
    server: Any = {"transport": "stdio", "command": program, "args": arguments, "env": environment()}
    client = MultiServerMCPClient({"kallyai": server}, callbacks=Callbacks(on_elicitation=decline))
    tools = {tool.name: tool for tool in await client.get_tools()}
    balance = await tools["kallyai_credits_balance"].ainvoke(
        {"type": "tool_call", "id": "1", "name": "kallyai_credits_balance", "args": {}}
    )
    failures: dict[str, list[Any]] = {}
    for name, tool, given in (
        ("wrong", "kallyai_calls_info", {"call_id": "../x"}),
        ("refused", "kallyai_actions_errand", {"description": "Collect a parcel"}),
    ):
        try:
            answer = await tools[tool].ainvoke(given)
            failures[name] = [None, str(answer)]
        except ToolException as error:
            failures[name] = [None, str(error)]
    async with client.session("kallyai") as session:
        try:
            await session.call_tool("kallyai_nothing", {})
            unknown = None
        except McpError as error:
            unknown = error.error.code
    read = await client.get_resources("kallyai", uris=[READ])
    prompt = await client.get_prompt("kallyai", PROMPT[0], arguments=PROMPT[1])
    say(
        tools=list(tools),
        balance=balance.artifact["structured_content"],
        asked=asked,
        unknown=unknown,
        read=read[0].as_string(),
        prompt=prompt[0].content,
        **failures,
    )


asyncio.run(main())
