"""The pages on which a person watches the agent: everything at `/`, one call, its recording, and the live stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from kallyai_mcp.sandbox.pages import overview, views
from kallyai_mcp.sandbox.pages.guard import policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from kallyai_mcp.sandbox.pages.render import Pages
    from kallyai_mcp.sandbox.world import World

MAX_WATCHERS = 16
"""Streams open at once; a browser opens no more than six to one host."""

_QUIET = 15.0
"""Real seconds after which a stream says something even if nothing changed, so that lost readers are noticed."""

_TOGETHER = 0.1
"""Real seconds within which changes are told as one."""


class Watching:
    """The pages' answers."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world = world
        self._pages = pages
        self._watchers = 0

    async def everything(self, request: Request) -> Response:
        """Answer with the watch page."""
        allowed = policy(script_src="'self'", connect_src="'self'")
        return self._pages.answer(
            "watch.html", headers={"Content-Security-Policy": allowed}, **overview.watch(self._world)
        )

    async def one_call(self, request: Request) -> Response:
        """Answer with the page of one call."""
        document = self._world.get("call", request.path_params["call_id"])
        if document is None:
            link = ("/", "All that the agent did")
            return self._pages.message(
                "There is no such call", "It may be from another sandbox.", status=404, link=link
            )
        shown = views.call(document)
        return self._pages.answer(
            "call.html",
            headers={"Content-Security-Policy": policy(media_src="'self'")},
            call=shown,
            facts=views.call_facts(document, shown),
            recording=f"/recordings/{shown.path}.wav" if document.get("duration_seconds") and not shown.live else None,
        )

    async def sound(self, request: Request) -> Response:
        """Answer with the recording of a call or voicemail."""
        from kallyai_mcp.sandbox.areas.recordings import recording_seconds, recording_wav

        name = request.path_params["name"]
        seconds = recording_seconds(self._world, name)
        if seconds is None:
            return PlainTextResponse("There is no such recording.", status_code=404)
        return Response(recording_wav(seconds), media_type="audio/wav")

    async def events(self, request: Request) -> Response:
        """Answer with a stream of server-sent events, one for every change."""
        if self._watchers >= MAX_WATCHERS:
            return PlainTextResponse("Too many pages are watching.", status_code=503, headers={"Retry-After": "5"})
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        self._watchers += 1
        try:
            yield "retry: 1000\ndata: hello\n\n"
            while True:
                with anyio.move_on_after(_QUIET):
                    await self._world.change()
                    await anyio.sleep(_TOGETHER)
                yield "data: changed\n\n"
        finally:
            self._watchers -= 1
