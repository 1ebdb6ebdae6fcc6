"""The floor: one tool on the same SDK; `python -m bench.floor <library> <origin>` forwards it to an API.

It also runs an errand, which it does not list: the floor of an act. With a file as the third argument it writes each
errand down, as little as can be: a row on the disk before it is sent, and its end when the answer is there.
"""

from __future__ import annotations

import importlib
import json
import sqlite3
import sys
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

_TOOL = Tool(name="balance", description="Show the credits.", input_schema={"type": "object"})


async def _list_tools(_: Any, __: Any) -> ListToolsResult:
    return ListToolsResult(tools=[_TOOL])


class _Journal:
    """The least that writes an act down before it is sent, and when it is over."""

    def __init__(self, path: str) -> None:
        self._rows = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE act (given, answer)"):
            self._rows.execute(statement)

    def begin(self, given: Any) -> int | None:
        return self._rows.execute("INSERT INTO act (given) VALUES (?)", (json.dumps(given),)).lastrowid

    def end(self, number: int | None, answer: str) -> None:
        self._rows.execute("UPDATE act SET answer = ? WHERE rowid = ?", (answer, number))


async def _serve(library: str | None, origin: str, path: str | None = None) -> None:
    client: Any = importlib.import_module(library).AsyncClient(base_url=origin) if library else None
    journal = _Journal(path) if path else None

    async def call_tool(_: Any, params: Any) -> CallToolResult:
        headers = {"Authorization": "Bearer bench"}
        if params.name == "errand":
            number = await anyio.to_thread.run_sync(journal.begin, params.arguments) if journal else None
            answer = await client.post("/v1/actions/tasks/errand", headers=headers, json=params.arguments)
            if journal:
                await anyio.to_thread.run_sync(journal.end, number, answer.text)
        else:
            answer = await client.get("/v1/credits/balance", headers=headers)
        return CallToolResult(content=[TextContent(text=answer.text)], structured_content=answer.json())

    server: Server[Any] = Server("floor", version="1", on_list_tools=_list_tools, on_call_tool=call_tool)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    library, origin, path = (sys.argv[1:] + [None] * 3)[:3]
    anyio.run(_serve, library, origin or "", path)
