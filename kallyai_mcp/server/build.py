"""The MCP server object: it lists the tools it was given and runs them through the engine."""

from __future__ import annotations

import logging
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio import to_thread
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
from kallyai_mcp.exposure import exposed
from kallyai_mcp.exposure.surface import TOOLS
from kallyai_mcp.server import answer, apps, identity
from kallyai_mcp.server.extras import Extras
from kallyai_mcp.server.reports import Reports
from kallyai_mcp.server.seal import boundary

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.context import ServerRequestContext
    from mcp.server.request_state import RequestStateCodec
    from mcp.server.subscriptions import SubscriptionBus
    from mcp_types import PaginatedRequestParams
    from mcp_types.methods import CacheableMethod

    from kallyai_mcp.engine import Result
    from kallyai_mcp.exposure import Exposure
    from kallyai_mcp.server.jobs.job import Language
    from kallyai_mcp.server.people import People
    from kallyai_mcp.server.resources.watching import Pace

logger = logging.getLogger(__name__)

LIST_LIFETIME_MS = 3_600_000
"""How long a host may keep the list: it changes only with the program or its settings."""

_LISTS: tuple[CacheableMethod, ...] = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")


class KallyServer(Server[Any]):
    """A server that says who it is without copying that for each answer: nothing here changes an answer in place."""

    hurry: Callable[[Callable[[str], bool]], None]
    """Looks at once at what people of such an account watch."""

    @property
    def server_info_stamp(self) -> dict[str, Any]:
        """Who it is, as it goes over the wire."""
        return self._stamp

    @cached_property
    def _stamp(self) -> dict[str, Any]:
        return self.server_info.model_dump(by_alias=True, mode="json", exclude_none=True)


def build_server(
    tools: list[dict[str, Any]],
    people: People,
    *,
    exposure: Exposure | None = None,
    codec: RequestStateCodec | None = None,
    started: Callable[[], None] = lambda: None,
    language: Language = "en",
    bus: SubscriptionBus | None = None,
    pace: Pace | None = None,
    tell: Callable[[str], None] | None = None,
) -> KallyServer:
    """Return a server for every version of the protocol that the SDK speaks.

    Args:
        tools: Definitions to list, in this order.
        people: Tells whose call it is.
        exposure: What can be run, and what the definitions were loaded for; everything if not given.
        codec: Seals the state of a run that waits for a person; without it only this object opens what it has sealed.
        started: Called with the first list or run.
        language: Language of prompts where none is given.
        bus: Carries what has changed to all streams; without one, within this process.
        pace: How often the service is asked for what is watched.
        tell: Told whose account something was done for, so that other servers can `hurry`, too.
    """
    shown = exposed() if exposure is None else exposure
    schemas = {tool["name"]: tool["inputSchema"] for tool in tools}
    extras = Extras(shown, people, language=language, bus=bus, pace=pace, tell=tell)

    async def list_tools(ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None) -> ListToolsResult:
        if params is not None and params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "Invalid cursor: all tools are on the first page")
        started()
        # The definitions are in wire form already; the SDK checks them against the version of the connection.
        if apps.are_shown_by(ctx):
            # What the host declares decides, so that nobody else may be given this list from a cache.
            own = {"tools": apps.with_pages(tools), "resultType": "complete", "cacheScope": "private"}
            return cast("ListToolsResult", own)
        return cast("ListToolsResult", {"tools": tools, "resultType": "complete"})

    async def call_tool(
        ctx: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        started()
        begun = anyio.current_time()
        # What the search surface runs by its name runs by its own, too: texts name it.
        if params.name not in schemas and not (shown.searches and shown.allows(params.name)):
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
        reports = Reports.of(ctx)
        try:
            if params.name in TOOLS:
                from kallyai_mcp.server import searching

                if not searching.is_run(params.name):
                    look = partial(searching.looked_up, shown, params.name, params.arguments or {})
                    return cast("CallToolResult", await to_thread.run_sync(look))
                params = searching.wanted(shown, params)

            from kallyai_mcp import catalog
            from kallyai_mcp.model import Effect
            from kallyai_mcp.server.resources import links

            command = catalog.find(params.name)
            person = await people.person(ctx)
            due = None if person.within is None else begun + person.within
            desk, consent = person.sign_in, person.consent

            async def run() -> Result:
                engine = await person.engine()
                return await engine.run(command, params.arguments or {}, progress=reports, until=due)

            async def signed_in(params: CallToolRequestParams, until: float | None) -> Result | InputRequiredResult:
                return await (run() if desk is None else desk.run(ctx, params, run, until))

            result = await (
                signed_in(params, None) if consent is None else consent.run(ctx, params, signed_in, reports)
            )
        except MCPError:
            raise
        except KallyError as error:
            return cast("CallToolResult", answer.failure(shown.told(error)))
        except Exception:
            logger.exception("%s failed unexpectedly", params.name)
            unexpected = KallyError(
                "The server failed in a way that was not foreseen.",
                next_step="Look whether anything happened before running it again; the server's log has the details.",
                details={"outcome": "unknown"},
            )
            return cast("CallToolResult", answer.failure(shown.told(unexpected)))
        if isinstance(result, InputRequiredResult):
            return result
        if command.effect is not Effect.READ:
            extras.has_changed(ctx)
        return cast("CallToolResult", answer.success(result, links.of(ctx, command, result, shown.allows)))

    server = KallyServer(
        identity.NAME,
        version=__version__,
        title=identity.TITLE,
        description=identity.DESCRIPTION,
        instructions=identity.instructions(shown),
        website_url=identity.WEBSITE,
        icons=[Icon(src=identity.icon_uri(), mime_type="image/svg+xml", sizes=["any"])],
        cache_hints=dict.fromkeys(_LISTS, CacheHint(ttl_ms=LIST_LIFETIME_MS, scope="public")),
        get_tool_input_schema=schemas.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        **extras.handlers(),
    )
    server.extensions[apps.EXTENSION] = {}
    server.hurry = extras.hurry
    server.lifespan = extras.living
    server.middleware.append(boundary(people.account, codec))
    return server
