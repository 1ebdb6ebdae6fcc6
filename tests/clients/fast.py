"""FastMCP's client over stdio."""

import asyncio
from typing import Any

from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceTemplateReference
from report import COMPLETED, PROMPT, READ, command, environment, say


async def main() -> None:
    asked: list[str] = []

    async def decline(message: str, *_: Any) -> ElicitResult[Any]:
        asked.append(message)
        return ElicitResult(action="decline")

    program, *arguments = command()
    transport = StdioTransport(program, arguments, env=environment())
    async with Client(transport, elicitation_handler=decline) as client:
        tools = await client.list_tools()
        balance = await client.call_tool("kallyai_credits_balance", {})
        wrong = await client.call_tool("kallyai_calls_info", {"call_id": "../x"}, raise_on_error=False)
        refused = await client.call_tool(
            "kallyai_actions_errand", {"description": "Collect a parcel"}, raise_on_error=False
        )
        try:
            await client.call_tool("kallyai_nothing", {})
            unknown = None
        except MCPError as error:
            unknown = error.error.code
        read = await client.read_resource(READ)
        reference = ResourceTemplateReference(type="ref/resource", uri=COMPLETED[0])
        completed = await client.complete(reference, {"name": COMPLETED[1], "value": ""})
        prompt = await client.get_prompt(PROMPT[0], PROMPT[1])
        say(
            tools=[tool.name for tool in tools],
            balance=balance.structured_content,
            wrong=[wrong.is_error, wrong.content[0].text],
            refused=[refused.is_error, refused.content[0].text],
            asked=asked,
            unknown=unknown,
            read=read[0].text,
            completed=completed.values,
            prompt=prompt.messages[0].content.text,
        )


asyncio.run(main())
