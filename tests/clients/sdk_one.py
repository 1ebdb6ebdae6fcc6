"""The first generation of the Python SDK: its own client over stdio."""

import asyncio
import sys
from typing import Any

from mcp import ClientSession, McpError, StdioServerParameters, stdio_client
from mcp.types import ElicitResult, PromptReference, ResourceTemplateReference
from pydantic import AnyUrl
from report import COMPLETED, PROMPT, READ, command, environment, say


async def main() -> None:
    asked: list[str] = []

    async def decline(_: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="decline")

    program, *arguments = command()
    server = StdioServerParameters(command=program, args=arguments, env=environment())
    async with (
        stdio_client(server, errlog=sys.stderr) as (reading, writing),
        ClientSession(reading, writing, elicitation_callback=decline) as session,
    ):
        about = await session.initialize()
        tools = (await session.list_tools()).tools
        balance = await session.call_tool("kallyai_credits_balance", {})
        wrong = await session.call_tool("kallyai_calls_info", {"call_id": "../x"})
        refused = await session.call_tool("kallyai_actions_errand", {"description": "Collect a parcel"})
        try:
            await session.call_tool("kallyai_nothing", {})
            unknown = None
        except McpError as error:
            unknown = error.error.code
        read = await session.read_resource(AnyUrl(READ))
        reference = ResourceTemplateReference(type="ref/resource", uri=COMPLETED[0])
        completed = await session.complete(reference, {"name": COMPLETED[1], "value": ""})
        prompt = await session.get_prompt(PROMPT[0], PROMPT[1])
        language = await session.complete(
            PromptReference(type="ref/prompt", name=PROMPT[0]), {"name": "language", "value": "e"}
        )
        say(
            version=about.protocolVersion,
            tools=[tool.name for tool in tools],
            balance=balance.structuredContent,
            wrong=[wrong.isError, wrong.content[0].text],
            refused=[refused.isError, refused.content[0].text],
            asked=asked,
            unknown=unknown,
            read=read.contents[0].text,
            completed=completed.completion.values,
            language=language.completion.values,
            prompt=prompt.messages[0].content.text,
        )


asyncio.run(main())
