"""The composition root: puts the parts together for one set of settings. Heavy parts are made when first needed."""

from __future__ import annotations

import importlib
import importlib.util
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp import __version__
from kallyai_mcp.serving import HTTP

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
    from contextlib import AbstractAsyncContextManager
    from tempfile import TemporaryDirectory

    from anyio.abc import TaskGroup, TaskStatus

    from kallyai_mcp.api import ApiClient
    from kallyai_mcp.api.observer import Observer
    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.auth.session import Session
    from kallyai_mcp.auth.sign_in import SignIn
    from kallyai_mcp.engine import Engine, LocalCommand
    from kallyai_mcp.engine.consents import Consents
    from kallyai_mcp.engine.parts import Parts
    from kallyai_mcp.exposure import Exposure
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model import Defaults
    from kallyai_mcp.pipes import Pipes
    from kallyai_mcp.settings import Settings


class App:
    """One account, one API, one engine.

    Args:
        settings: What the program was told.
        observer: Is told of every request to the API.
    """

    def __init__(self, settings: Settings, observer: Observer | None = None) -> None:
        self.settings = settings
        self._observer = observer
        self._group: TaskGroup | None = None
        self._making = anyio.Lock()
        self._engine: Engine | None = None
        self._api: ApiClient | None = None
        self._session: Session | None = None
        self._sign_in: SignIn | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._parts: Callable[[], Parts] | None = None
        self.allows: Callable[[str], bool] = lambda _: True
        """Whether hosts may run a tool; set before the engine is made."""
        self._made: Parts | None = None
        self._journal: Journal | None = None
        """That of an organisation's servers, where the settings name their database."""
        self._owner: Owner | None = None

    def live_in(self, group: TaskGroup) -> None:
        """Take the task group in which the embedded sandbox is to run."""
        self._group = group

    async def engine(self) -> Engine:
        """Return the engine, made with the first call.

        Raises:
            InvalidSettings: The settings cannot be used together.
        """
        async with self._making:
            if self._engine is None:
                await self._make()
        assert self._engine is not None  # noqa: S101 - _make has set it
        return self._engine

    async def sign_in(self) -> SignIn:
        """Return the sign-in of this account."""
        await self.engine()
        assert self._sign_in is not None  # noqa: S101 - _make has set it
        return self._sign_in

    async def parts(self) -> Parts:
        """Return what acts need: the journal, who is asked, the brake."""
        await self.engine()
        assert self._parts is not None  # noqa: S101 - _make has set it
        return self._parts()

    async def consents(self) -> Consents:
        """Return what people are asked."""
        return (await self.parts()).consents

    def account(self) -> str:
        """Return the key of this account, known without network."""
        from kallyai_mcp.auth.owner import Owner
        from kallyai_mcp.auth.session import Session

        return (self._owner or Owner(self.settings, Session(self.settings))).key

    async def problems(self) -> list[str]:
        """Return what is missing to serve: the journal, without which nothing is done in the user's name."""
        from kallyai_mcp.errors import KallyError

        try:
            await (await self.parts()).journal.stopped(self.account())
        except KallyError:
            return ["The journal in the state folder cannot be used."]
        return []

    async def aclose(self) -> None:
        """Call off a sign-in under way and close what the runs used."""
        if self._sign_in is not None:
            await self._sign_in.close()
        if self._made is not None:
            await self._made.aclose()
        if self._journal is not None:
            await self._journal.aclose()
        if self._api is not None:
            await self._api.aclose()
        if self._folder is not None:
            self._folder.cleanup()

    async def _make(self) -> None:
        from kallyai_mcp.api import ApiClient
        from kallyai_mcp.auth.opener import open_in_browser
        from kallyai_mcp.auth.owner import Owner
        from kallyai_mcp.auth.session import Session
        from kallyai_mcp.auth.sign_in import STARTS_EVERY, SignIn
        from kallyai_mcp.engine import Engine
        from kallyai_mcp.engine.account import Account
        from kallyai_mcp.engine.more import Continued
        from kallyai_mcp.model import Defaults
        from kallyai_mcp.server.seal import CursorSeal, SharedCodec

        settings = await self._embedding() if self.settings.sandbox else self.settings
        api = ApiClient(
            settings.api_url,
            version=__version__,
            proxy=settings.proxy,
            sandbox=settings.sandbox,
            observer=self._observer,
        )
        session = Session(settings)
        scopes = _needed_scopes() if settings.client_id else ()
        sign_in = SignIn(session, opener=open_in_browser, starts_every=STARTS_EVERY, scopes=scopes)
        defaults = Defaults(settings.language, settings.zone, settings.credentials)
        owner = Owner(self.settings, session)

        @cache
        def parts() -> Parts:
            # Nothing of it is imported before it is needed: most runs only read.
            return self._acting(api, session, defaults, owner)

        local = {**Account(session, sign_in).commands(), **self._control(parts)}
        self._engine = Engine(
            api,
            session,
            defaults,
            local,
            lambda: parts().acts,
            lambda: parts().reading,
            past=lambda: parts().past,
            start=None if self._group is None else self._start,
            continued=Continued(CursorSeal(SharedCodec(lambda: self.settings.state_folder)), lambda: owner.key),
            allows=self.allows,
        )
        self._parts, self._owner = parts, owner
        self._api, self._session, self._sign_in = api, session, sign_in

    def _acting(self, api: ApiClient, session: Session, defaults: Defaults, owner: Owner) -> Parts:
        from kallyai_mcp.engine.parts import Parts

        if self.settings.database_url is not None:
            from kallyai_mcp.shared.shared import common_journal

            self._journal = common_journal(self.settings.database_url)
        self._made = Parts(self.settings, api, session, defaults, owner, self._start, self._journal, self.allows)
        return self._made

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._group is not None:
            self._group.start_soon(work)

    def _control(self, parts: Callable[[], Parts]) -> Mapping[str, LocalCommand]:
        def run(name: str) -> LocalCommand:
            return lambda args: parts().control.commands()[name](args)

        return {name: run(name) for name in ("stop", "acts", "mandate", "mandate-revoke")}

    async def _embedding(self) -> Settings:
        """Start the sandbox and return the settings that lead to it.

        A world in memory ends with this process, and so do its tokens: they are kept in a folder of this process.
        """
        if self._group is None:
            raise RuntimeError("live_in comes first")
        settings = self.settings
        origin = await self._group.start(_embedded_sandbox, settings)
        if settings.sandbox_data is None:
            from pathlib import Path
            from tempfile import TemporaryDirectory

            self._folder = TemporaryDirectory(prefix="kallyai-sandbox-", ignore_cleanup_errors=True)
            settings = replace(settings, token_file=Path(self._folder.name) / "token.json", store="file")
        return replace(settings, api_url=origin)


def _needed_scopes() -> tuple[str, ...]:
    from kallyai_mcp.catalog import all_commands
    from kallyai_mcp.engine.scopes import needed_scopes

    return needed_scopes(all_commands())


async def _embedded_sandbox(settings: Settings, *, task_status: TaskStatus[str]) -> None:
    from kallyai_mcp.sandbox.serve import SandboxOptions, serving

    async with serving(SandboxOptions(file=settings.sandbox_data)) as served:
        task_status.started(served.origin)
        await anyio.sleep_forever()


@asynccontextmanager
async def running(settings: Settings) -> AsyncGenerator[App]:
    """Give an app for as long as the block lasts, its sandbox included."""
    app = App(settings)
    async with anyio.create_task_group() as group:
        app.live_in(group)
        try:
            yield app
        finally:
            with anyio.CancelScope(shield=True):
                await app.aclose()
            group.cancel_scope.cancel()


class Served:
    """One account's server, for whatever carries it.

    Args:
        settings: What the program was told.
        observer: Is told of every request to the API.
    """

    def __init__(self, settings: Settings, observer: Observer | None = None) -> None:
        from kallyai_mcp.exposure import exposed
        from kallyai_mcp.server import build_server, load_tools
        from kallyai_mcp.server.people import OnePerson, Person
        from kallyai_mcp.server.seal import SharedCodec

        self.app = app = App(settings, observer)
        self.exposure = exposure = exposed(settings.tools)
        app.allows = exposure.allows
        self._group: TaskGroup | None = None
        self._warmed = False
        person = Person(app.engine, sign_in=app.sign_in, consents=app.consents, within=settings.answer_within)
        codec = SharedCodec(lambda: settings.state_folder)
        people = OnePerson(person, app.account)
        self.server = build_server(
            load_tools(exposure),
            people,
            exposure=exposure,
            codec=codec,
            started=self._started,
            language="es" if settings.language == "es" else "en",
        )

    def tasks(self, group: TaskGroup) -> None:
        """Take the task group that lives as long as the server."""
        self._group = group
        self.app.live_in(group)

    def _started(self) -> None:
        if not self._warmed and self._group is not None:
            self._warmed = True
            self._group.start_soon(anyio.to_thread.run_sync, warm_up)


async def serve(settings: Settings, pipes: Pipes) -> None:
    """Serve one host over its pipes until it leaves."""
    from kallyai_mcp.sdk import import_for_stdio

    import_for_stdio()
    from kallyai_mcp.server import serve_stdio

    served = Served(settings)
    await serve_stdio(served.server, pipes, tasks=served.tasks, close=served.app.aclose)


async def serve_over_http(settings: Settings) -> None:
    """Serve the hosts of this machine over HTTP until a signal ends it."""
    from kallyai_mcp.server.http import serve_http
    from kallyai_mcp.server.http.local import LocalAccess, local_token
    from kallyai_mcp.server.http.watching import observer_for
    from kallyai_mcp.server.http.welcome import welcome

    options = settings.serving
    token, is_new = (None, False) if options.uds is not None else local_token(settings.state_folder)
    observer = observer_for(options, os.environ)
    served = Served(settings, observer)
    await serve_http(
        served.server,
        options,
        LocalAccess(token),
        tasks=served.tasks,
        close=served.app.aclose,
        tools=served.exposure.runnable,
        started=lambda bound: welcome(options, bound, settings.state_folder, token, is_new=is_new),
        problems=served.app.problems,
        observer=observer,
    )


def warm_up() -> None:
    """Import what the first run needs, and let the garbage collector work again, without what will stay anyway.

    It was off since the start of the program: collecting while importing is a tenth of the start-up.
    """
    import gc

    for module in ("api", "auth.sign_in", "catalog", "engine.account"):
        importlib.import_module(f"kallyai_mcp.{module}")
    gc.freeze()
    gc.enable()


def _run_over_http(settings: Settings) -> None:
    serve_it: Callable[[Settings], Coroutine[Any, Any, None]] = serve_over_http
    if settings.organisation.many_people:
        from kallyai_mcp.household.requirements import require_whole
        from kallyai_mcp.household.serve import serve_organisation as serve_it

        require_whole(settings)
        if not settings.serving.is_http:
            settings = replace(settings, serving=replace(settings.serving, transport=(HTTP,)))
    warm_up()  # nobody waits for the start, and everybody for the first run
    options: dict[str, Any] = {}
    if importlib.util.find_spec("uvloop") is not None:
        options["loop_factory"] = importlib.import_module("uvloop").new_event_loop
    anyio.run(serve_it, settings, backend_options=options)


class Program:
    """What the terminal can have done. The parts it needs are made here, since they are no business of its floor.

    Args:
        pipes: To the host, where they are taken already.
    """

    def __init__(self, pipes: Pipes | None = None) -> None:
        self._pipes = pipes

    def serve(self, settings: Settings) -> None:
        """Serve stdio until the host leaves, with nothing but the protocol on stdout; or HTTP until a signal."""
        from kallyai_mcp.logs import configure

        if settings.serving.is_http or settings.organisation.many_people:
            configure(settings.log_level)
            _run_over_http(settings)
            return
        from kallyai_mcp.pipes import take_pipes

        pipes = self._pipes or take_pipes()
        configure(settings.log_level)
        anyio.run(serve, settings, pipes)

    def running(self, settings: Settings) -> AbstractAsyncContextManager[App]:
        """Give an app for as long as the block lasts.

        In a sandbox that ends with this process nobody could have signed in, so its own token for tests is used.
        """
        if settings.sandbox and settings.sandbox_data is None and settings.access_token is None:
            from kallyai_mcp.sandbox.tokens import DEMO_TOKEN

            settings = replace(settings, access_token=DEMO_TOKEN)
        return running(settings)

    def tools(self, exposure: Exposure) -> list[dict[str, Any]]:
        """Return the definitions of the tools that are listed."""
        from kallyai_mcp.server.listing import load_tools

        return load_tools(exposure)

    def sandbox(self, settings: Settings, *, port: int | None, seed: int, speed: float | None, start: str) -> int:
        """Serve the sandbox until a signal ends it, and return the exit status."""
        from kallyai_mcp.sandbox.serve import run

        state, data = settings.state_folder, settings.sandbox_data
        return run(state, data=data, port=port, seed=seed, speed=speed, start=start)

    def demo(self, pace: float) -> int:
        """Play a session with the server and a sandbox."""
        play = importlib.import_module("kallyai_mcp.cli.demo").play
        return play(pace)
