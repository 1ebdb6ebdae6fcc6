"""What the server offers besides tools: resources, their changes, prompts, completion and apps.

Everything behind a method is imported with the first request for it, so that a start costs no more than before.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PromptReference

from kallyai_mcp.server import apps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from mcp.server.context import ServerRequestContext
    from mcp.server.subscriptions import SubscriptionBus
    from mcp_types import (
        CompleteRequestParams,
        CompleteResult,
        EmptyResult,
        GetPromptRequestParams,
        GetPromptResult,
        InputRequiredResult,
        ListPromptsResult,
        ListResourcesResult,
        ListResourceTemplatesResult,
        PaginatedRequestParams,
        ReadResourceRequestParams,
        ReadResourceResult,
        SubscribeRequestParams,
        SubscriptionsListenRequestParams,
        SubscriptionsListenResult,
        UnsubscribeRequestParams,
    )

    from kallyai_mcp.exposure import Exposure
    from kallyai_mcp.server.jobs.job import Language
    from kallyai_mcp.server.people import People
    from kallyai_mcp.server.resources.completing import Completing
    from kallyai_mcp.server.resources.watching import Pace, Watching

GROUP = "watching"
"""Name in the lifespan's context of the task group in which resources are watched for hosts of handshake versions."""


class Extras:
    """The handlers of one server.

    Args:
        exposure: Which tools may be run; what needs one that may not is not there either.
        people: Tells whose call it is.
        language: Language of prompts where none is given.
        bus: Carries what has changed to all streams; without one, within this process.
        pace: How often the service is asked for what is watched.
        tell: Told whose account something was done for, so that other servers look, too.
    """

    def __init__(
        self,
        exposure: Exposure,
        people: People,
        *,
        language: Language = "en",
        bus: SubscriptionBus | None = None,
        pace: Pace | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._exposure = exposure
        self._people = people
        self._is_exposed = exposure.allows
        self._language: Language = language
        self._bus = bus
        self._pace = pace
        self._tell = tell

    def handlers(self) -> dict[str, Any]:
        """Return the handlers, by the names under which the SDK's server takes them."""
        return {
            "on_list_resources": self.list_resources,
            "on_list_resource_templates": self.list_resource_templates,
            "on_read_resource": self.read_resource,
            "on_subscribe_resource": self.subscribe,
            "on_unsubscribe_resource": self.unsubscribe,
            "on_subscriptions_listen": self.listen,
            "on_list_prompts": self.list_prompts,
            "on_get_prompt": self.get_prompt,
            "on_completion": self.complete,
        }

    @asynccontextmanager
    async def living(self, server: Any) -> AsyncGenerator[dict[str, Any]]:
        """Keep what people need, and what is watched for them, for as long as somebody is served."""
        import anyio

        async with self._people.living(server) as kept, anyio.create_task_group() as group:
            yield {**kept, GROUP: group}
            group.cancel_scope.cancel()

    @cached_property
    def _tools(self) -> list[dict[str, Any]]:
        from kallyai_mcp.server.listing import load_tool

        return [load_tool(self._exposure, name) for name in self._exposure.runnable]

    def has_changed(self, ctx: ServerRequestContext[Any]) -> None:
        """Look at once at what the caller watches: something was done in their name."""
        account = self._people.account(ctx)
        self.hurry(lambda whose: whose == account)
        if self._tell is not None:
            self._tell(account)

    def hurry(self, concerns: Callable[[str], bool]) -> None:
        """Look at once at what people of such an account watch."""
        watching: Watching | None = self.__dict__.get("_watching")
        if watching is not None:
            watching.hurry(concerns)

    async def list_resources(
        self, ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """List what is there for everybody; to hosts that show apps, their pages too."""
        from kallyai_mcp.server.resources.reading import listed

        _require_first_page(params)
        if not apps.are_shown_by(ctx):
            return listed(self._is_exposed, [])
        from kallyai_mcp.server.apps.serving import pages

        return listed(self._is_exposed, pages(self._is_exposed))

    async def list_resource_templates(
        self, _: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """List the templates."""
        from kallyai_mcp.server.resources.reading import listed_templates

        _require_first_page(params)
        return listed_templates(self._is_exposed)

    async def read_resource(
        self, ctx: ServerRequestContext[Any], params: ReadResourceRequestParams
    ) -> ReadResourceResult | InputRequiredResult:
        """Read a resource as the caller, or the page of an app."""
        if params.uri.startswith("ui://"):
            from kallyai_mcp.server.apps.serving import page
            from kallyai_mcp.server.resources.reading import unknown

            found = page(params.uri, self._is_exposed)
            if found is None:
                raise unknown(ctx, params.uri)
            return found
        from kallyai_mcp.server.resources.reading import read

        return await read(ctx, params, self._people, self._tools, self._exposure)

    async def subscribe(self, ctx: ServerRequestContext[Any], params: SubscribeRequestParams) -> EmptyResult:
        """Watch a resource for a host of a handshake version."""
        return await self._watching.subscribe(ctx, params)

    async def unsubscribe(self, ctx: ServerRequestContext[Any], params: UnsubscribeRequestParams) -> EmptyResult:
        """Watch it no longer."""
        return await self._watching.unsubscribe(ctx, params)

    async def listen(
        self, ctx: ServerRequestContext[Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Serve a stream of changes."""
        return await self._watching.listen(ctx, params)

    async def list_prompts(
        self, _: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListPromptsResult:
        """List the prompts."""
        from kallyai_mcp.server.jobs.giving import listed

        _require_first_page(params)
        return listed(self._language, self._is_exposed)

    async def get_prompt(self, _: ServerRequestContext[Any], params: GetPromptRequestParams) -> GetPromptResult:
        """Give the text of a prompt."""
        from kallyai_mcp.server.jobs.giving import given

        return given(params.name, params.arguments or {}, self._language, self._is_there)

    def _is_there(self, tool: str) -> bool:
        """Whether a tool can be run or, on the search surface, finds and runs others."""
        return self._is_exposed(tool) or tool in self._exposure.listed

    async def complete(self, ctx: ServerRequestContext[Any], params: CompleteRequestParams) -> CompleteResult:
        """Complete an argument of a prompt or the variable of a template."""
        name, value = params.argument.name, params.argument.value
        if not isinstance(params.ref, PromptReference):
            return await self._completing.template(ctx, params.ref.uri, name, value)
        from kallyai_mcp.server.jobs.giving import offered
        from kallyai_mcp.server.resources.completing import completed

        return completed(value, offered(params.ref.name, name, self._is_exposed))

    @cached_property
    def _completing(self) -> Completing:
        from kallyai_mcp.server.resources.completing import Completing
        from kallyai_mcp.server.resources.kinds import tool_of

        names = list(self._exposure.runnable)
        return Completing(self._people, names, lambda command: self._is_exposed(tool_of(command)))

    @cached_property
    def _watching(self) -> Watching:
        from mcp.server.subscriptions import InMemorySubscriptionBus

        from kallyai_mcp.server.resources.watching import Watching

        return Watching(self._people, self._is_exposed, self._bus or InMemorySubscriptionBus(), self._pace)


def _require_first_page(params: PaginatedRequestParams | None) -> None:
    # Some hosts read the first page alone; so there is no other.
    if params is not None and params.cursor is not None:
        raise MCPError(INVALID_PARAMS, "Invalid cursor: all of it is on the first page")
