"""The MCP server object: it lists the tools it was given and runs them through the engine."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    Icon,
    InputRequiredResult,
    ListToolsResult,
)

from kallyai_mcp import __version__
from kallyai_mcp.errors import KallyError
from kallyai_mcp.server import answer, identity
from kallyai_mcp.server.reports import Reports
from kallyai_mcp.server.seal import boundary

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.context import ServerRequestContext
    from mcp.server.request_state import RequestStateCodec
    from mcp_types import PaginatedRequestParams

    from kallyai_mcp.engine import Result
    from kallyai_mcp.server.people import People

logger = logging.getLogger(__name__)

LIST_LIFETIME_MS = 3_600_000
"""How long a host may keep the list: it changes only with the program or its settings."""


def build_server(
    tools: list[dict[str, Any]],
    people: People,
    *,
    codec: RequestStateCodec | None = None,
    started: Callable[[], None] = lambda: None,
) -> Server[Any]:
    """Return a server for every version of the protocol that the SDK speaks.

    Args:
        tools: Definitions to list, in this order; only these can be run.
        people: Tells whose call it is.
        codec: Seals the state of a run that waits for a person; without it only this object opens what it has sealed.
        started: Called with the first list or run.
    """
    schemas = {tool["name"]: tool["inputSchema"] for tool in tools}

    async def list_tools(_: ServerRequestContext[Any], params: PaginatedRequestParams | None) -> ListToolsResult:
        if params is not None and params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "Invalid cursor: all tools are on the first page")
        started()
        # The definitions are in wire form already; the SDK checks them against the version of the connection.
        return cast("ListToolsResult", {"tools": tools, "resultType": "complete"})

    async def call_tool(
        ctx: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        started()
        if params.name not in schemas:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
        reports = Reports.of(ctx)
        try:
            from kallyai_mcp import catalog

            command = catalog.find(params.name)
            person = await people.person(ctx)
            desk, consent = person.sign_in, person.consent

            async def run() -> Result:
                return await (await person.engine()).run(command, params.arguments or {}, progress=reports)

            async def signed_in(params: CallToolRequestParams, until: float | None) -> Result | InputRequiredResult:
                return await (run() if desk is None else desk.run(ctx, params, run, until))

            result = await (
                signed_in(params, None) if consent is None else consent.run(ctx, params, signed_in, reports)
            )
        except MCPError:
            raise
        except KallyError as error:
            return cast("CallToolResult", answer.failure(error))
        except Exception:
            logger.exception("%s failed unexpectedly", params.name)
            unexpected = KallyError(
                "The server failed in a way that was not foreseen.",
                next_step="Look whether anything happened before running it again; the server's log has the details.",
                details={"outcome": "unknown"},
            )
            return cast("CallToolResult", answer.failure(unexpected))
        if isinstance(result, InputRequiredResult):
            return result
        return cast("CallToolResult", answer.success(result))

    server: Server[Any] = Server(
        identity.NAME,
        version=__version__,
        title=identity.TITLE,
        description=identity.DESCRIPTION,
        instructions=identity.INSTRUCTIONS,
        website_url=identity.WEBSITE,
        icons=[Icon(src=identity.icon_uri(), mime_type="image/svg+xml", sizes=["any"])],
        cache_hints={"tools/list": CacheHint(ttl_ms=LIST_LIFETIME_MS, scope="public")},
        get_tool_input_schema=schemas.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    server.lifespan = people.living
    server.middleware.append(boundary(people.account, codec))
    return server
