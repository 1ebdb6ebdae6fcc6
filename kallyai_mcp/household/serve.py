"""Serving an organisation: the parts of `household` behind the HTTP server, until a signal ends it."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from kallyai_mcp.auth.callers.checking import checker_of, provider_of
from kallyai_mcp.errors import KallyError
from kallyai_mcp.exposure import exposed
from kallyai_mcp.household.household import Household
from kallyai_mcp.household.member import Common
from kallyai_mcp.household.requirements import require_whole
from kallyai_mcp.household.ring import COOKIES, codec_of
from kallyai_mcp.server import build_server, load_tools
from kallyai_mcp.server.http import serve_http
from kallyai_mcp.server.http.watching import observer_for
from kallyai_mcp.server.organisation.access import ENDPOINTS, OrganisationAccess
from kallyai_mcp.server.organisation.elsewhere import NoPages
from kallyai_mcp.server.organisation.scopes import Scopes
from kallyai_mcp.shared import GAP, KeyRing, Shared

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio.abc import TaskGroup

    from kallyai_mcp.auth.callers.provider import Provider
    from kallyai_mcp.organisation import Organisation
    from kallyai_mcp.server.build import KallyServer
    from kallyai_mcp.server.http import Bound
    from kallyai_mcp.server.organisation.pages import PeoplePages
    from kallyai_mcp.settings import Settings
    from kallyai_mcp.shared.changes import Changes


logger = logging.getLogger(__name__)


async def serve_organisation(settings: Settings) -> None:
    """Serve many people over HTTP until a signal asks for the end.

    Raises:
        InvalidSettings: Something is missing, or the address cannot be listened on.
    """
    require_whole(settings)
    told = settings.organisation
    origin, issuer, ring = told.public_url or "", told.issuer or "", settings.vault_keys or ""
    folder = settings.state_folder if told.embedded_storage else None
    shared = Shared.open(settings.database_url, KeyRing.read(ring), folder=folder)
    background = _Background()
    provider = provider_of(told)
    scopes = Scopes(told.read_scope, told.act_scope)
    people: list[Household] = []
    pages = _pages(told, provider, origin, ring, people)
    link_page = None if pages is None else pages.link_page
    codec = codec_of(ring)
    exposure = exposed(settings.tools)
    where = f"at {origin}"
    common = Common(shared, codec, scopes, background.start, pages or NoPages(), link_page, where, exposure.allows)
    if pages is not None:
        common = replace(common, resuming=f"Only the user can go on, in a browser: {pages.resume_page}")
    observer = observer_for(settings.serving, os.environ)
    household = Household(settings, common, observer)
    people.append(household)
    server = build_server(
        load_tools(exposure),
        household,
        exposure=exposure,
        codec=codec,
        language="es" if settings.language == "es" else "en",
        tell=lambda account: background.start(partial(_tell_replicas, shared.changes, account)),
    )
    resources = [f"{origin}{path}" for path in ENDPOINTS]
    access = OrganisationAccess(
        origin,
        issuer,
        checker_of(told, provider, resources),
        scopes,
        ready=_Readiness(shared, provider).missing,
        pages=() if pages is None else pages.routes(),
    )

    def tasks(group: TaskGroup) -> None:
        background.group = group
        household.live_in(group)
        group.start_soon(_listen_to_replicas, shared.changes, server)

    async def close() -> None:
        await household.aclose()
        await shared.aclose()

    await serve_http(
        server,
        settings.serving,
        access,
        tasks=tasks,
        close=close,
        tools=exposure.runnable,
        started=lambda bound: _tell(bound, origin, issuer),
        stateless=True,
        observer=observer,
    )


WRITTEN = "written"
"""Topic of a change: something was done for an account, so that what it watches may be another now."""


async def _tell_replicas(changes: Changes, account: str) -> None:
    with suppress(KallyError):  # a hint: watchers look by themselves, too
        await changes.publish(account, WRITTEN)


async def _listen_to_replicas(changes: Changes, server: KallyServer) -> None:
    """Have watchers of this replica look at once when something was done on any."""
    async with changes.heard() as heard:
        async for change in heard:
            if change.topic in (WRITTEN, GAP):
                server.hurry(change.concerns)


def _pages(
    told: Organisation, provider: Provider, origin: str, ring: str, people: list[Household]
) -> PeoplePages | None:
    """Return the pages, where there is a client for them; who the people are is known once they are opened."""
    if told.pages_client_id is None or told.pages_client_secret is None:
        return None
    from kallyai_mcp.auth.callers.pages_client import PagesClient
    from kallyai_mcp.server.organisation.cookies import Cookies
    from kallyai_mcp.server.organisation.pages import CALLBACK, PeoplePages

    client = PagesClient(provider, (told.pages_client_id, told.pages_client_secret), f"{origin}{CALLBACK}")
    cookies = Cookies(codec_of(ring, COOKIES), secure=origin.startswith("https://"))
    return PeoplePages(origin, client, cookies, lambda principal: people[0].member(principal))


class _Background:
    """Runs what goes on after its request."""

    def __init__(self) -> None:
        self.group: TaskGroup | None = None

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it for as long as the server lives."""
        if self.group is not None:
            self.group.start_soon(self._kept_apart, work)

    async def _kept_apart(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception:  # one person's work must not end everybody's server
            logger.exception("Work in the background failed")


class _Readiness:
    """Tells what is missing to serve.

    Args:
        shared: What must be there at every moment.
        provider: What must have been there once: its keys stay in use while it is away.
    """

    def __init__(self, shared: Shared, provider: Provider) -> None:
        self._shared = shared
        self._provider = provider
        self._knows_provider = False

    async def missing(self) -> list[str]:
        """Return it in sentences without data."""
        away = {"storage_away": "The database cannot be reached for the moment."}
        found = [
            away.get(error.error_code, "The database cannot be used: kallyai-mcp migrate, or the server's log, tells.")
            for error in await self._shared.problems()
        ]
        if not self._knows_provider:
            try:
                await self._provider.metadata()
                self._knows_provider = True
            except KallyError:
                found.append("The identity provider cannot be reached, or is not the one of the settings.")
        return found


def _tell(bound: Bound, origin: str, issuer: str) -> None:
    where = bound.uds or f"{bound.host}:{bound.port}"
    sys.stderr.write(f"Listening on {where}. People with tokens of {issuer} reach it at {origin}{ENDPOINTS[0]}.\n")
    sys.stderr.flush()
