"""The floor over HTTP: what the SDK's documentation has one write, with one tool that forwards to an API.

`python -m bench.floor_http <port> <origin>`. It is the high-level `MCPServer` with its own `run`, as in the SDK's
README: Streamable HTTP with its default settings, under uvicorn as the SDK starts it. One client of httpx is kept, as
the documentation of httpx advises. uvicorn finds httptools and uvloop here, since this project installs them, so that
the floor is faster than after `pip install mcp httpx`.
"""

from __future__ import annotations

import sys
from typing import Any

import httpx
from mcp.server import MCPServer

PORT, ORIGIN = int(sys.argv[1]), sys.argv[2]

server = MCPServer("floor", log_level="WARNING")
client = httpx.AsyncClient(base_url=ORIGIN, headers={"Authorization": "Bearer bench"})


@server.tool()
async def balance() -> dict[str, Any]:
    """Show the credits."""
    answer = await client.get("/v1/credits/balance")
    return answer.json()


if __name__ == "__main__":
    server.run(transport="streamable-http", port=PORT)
