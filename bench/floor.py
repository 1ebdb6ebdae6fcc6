"""The floor: one tool on the same SDK; `python -m bench.floor <library> <origin>` forwards it to an API.

It also runs an errand, which it does not list: the floor of an act.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

_TOOL = Tool(name="balance", description="Show the credits.", input_schema={"type": "object"})


async def _list_tools(_: Any, __: Any) -> ListToolsResult:
    return ListToolsResult(tools=[_TOOL])


async def _serve(library: str | None, origin: str) -> None:
    client: Any = importlib.import_module(library).AsyncClient(base_url=origin) if library else None

    async def call_tool(_: Any, params: Any) -> CallToolResult:
        headers = {"Authorization": "Bearer bench"}
        if params.name == "errand":
            answer = await client.post("/v1/actions/tasks/errand", headers=headers, json=params.arguments)
        else:
            answer = await client.get("/v1/credits/balance", headers=headers)
        return CallToolResult(content=[TextContent(text=answer.text)], structured_content=answer.json())

    server: Server[Any] = Server("floor", version="1", on_list_tools=_list_tools, on_call_tool=call_tool)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    library, origin = sys.argv[1:] or (None, "")
    anyio.run(_serve, library, origin)
