"""The life of the HTTP server: listen, serve until a signal, end in time."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.server.ending import end_in_time, leave
from kallyai_mcp.server.http.application import Application
from kallyai_mcp.server.http.connections import Connections
from kallyai_mcp.server.http.listener import Listener
from kallyai_mcp.server.http.runs import Runs
from kallyai_mcp.server.http.sockets import WHY_NO_METRICS, bind, bind_unix, bound_to, place, remove_unix
from kallyai_mcp.server.http.telemetry import made

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Collection, Generator

    from anyio.abc import TaskGroup
    from mcp.server.lowlevel import Server

    from kallyai_mcp.server.http.access import Access, Bound
    from kallyai_mcp.server.http.metrics import Metrics
    from kallyai_mcp.server.http.telemetry import Telemetry
    from kallyai_mcp.server.http.watching import ApiObserver
    from kallyai_mcp.serving import Serving

GRACE = 1.5
"""Seconds that runs under way may take to end by themselves, once the end is asked for."""

CLOSING_TIME = 2.0
"""Seconds that closing connections may take before the process ends without them."""

MOST_SCRAPERS = 16
"""Connections at once to the port for metrics."""

LAST_MOMENT = 4.5
"""Seconds after which the process ends, whatever still holds it."""


async def serve_http(
    server: Server[Any],
    options: Serving,
    access: Access,
    *,
    tasks: Callable[[TaskGroup], None],
    close: Callable[[], Awaitable[None]],
    tools: Collection[str] = (),
    started: Callable[[Bound], None] = lambda _: None,
    problems: Callable[[], Awaitable[list[str]]] | None = None,
    stateless: bool = False,
    observer: ApiObserver | None = None,
) -> None:
    """Serve until a signal asks for the end.

    On SIGTERM and SIGINT nothing new is taken, runs under way get a moment to end and are then cancelled, and the
    process ends with 128 plus the signal's number.

    Args:
        server: What to serve.
        options: Transports, addresses and limits.
        access: Who may use it.
        tasks: Handed the task group that lives as long as the server.
        close: Closes what the runs used.
        tools: Names of the tools that are served; metrics name no other.
        started: Called once the server listens.
        problems: Tells what is missing to serve, besides what `access` knows of.
        stateless: Whether hosts of versions before 2026-07-28 get no sessions, so that any replica serves them; then
            they cannot be asked anything.
        observer: Watches the requests to the API, where metrics or traces are wanted (`observer_for`).

    Raises:
        InvalidSettings: The address cannot be listened on, or must not be.
    """
    sockets, bound = _open(options, access)
    made = None if bound.uds is None else place(bound.uds)
    runs = Runs(tools)
    server.middleware.insert(0, runs)
    connections = Connections(options.max_connections, options.max_connections_per_client)
    application = Application(server, options, access, bound, problems=problems, stateless=stateless)
    figures, telemetry = _watch(options, access.for_strangers, tools, runs, connections, observer)
    listener = Listener(application if figures is None else figures[0].counting(application), connections)
    quiet_server_logs()
    with _signals() as signalled:
        async with anyio.create_task_group() as group:
            tasks(group)
            try:
                async with application.living():
                    await listener.start(sockets)
                    if figures is not None:
                        await figures[1].start(figures[2])
                    started(bound)
                    received = await signalled()
                    end_in_time(LAST_MOMENT, 128 + received)
                    application.health.is_closing = True
                    listener.stop_listening()
                    with anyio.move_on_after(GRACE):
                        await runs.none_left()
                        await anyio.sleep(0.05)  # until what they answered is on its way
                    await listener.close()
            finally:
                if bound.uds is not None:
                    remove_unix(bound.uds, made)
                with anyio.move_on_after(CLOSING_TIME, shield=True):
                    await close()
                    if telemetry is not None:
                        await anyio.to_thread.run_sync(telemetry.close, abandon_on_cancel=True)
            leave(128 + received)


def _watch(
    options: Serving,
    for_strangers: bool,
    tools: Collection[str],
    runs: Runs,
    connections: Connections,
    observer: ApiObserver | None,
) -> tuple[tuple[Metrics, Listener, list[socket.socket]] | None, Telemetry | None]:
    """Set up what counts, as far as it is wanted: the figures with their own listener, and the telemetry."""
    if observer is None:
        return None, None
    figures = None
    if options.metrics_port is not None:
        from kallyai_mcp.server.http.metrics import Metrics

        metrics = observer.metrics = Metrics(lambda: len(connections.all))
        runs.watches.append(metrics)
        by = ("--metrics-host", "--metrics-port")
        scraped, _ = bind(
            options.metrics_host, options.metrics_port, for_strangers=for_strangers, set_by=by, why_not=WHY_NO_METRICS
        )
        figures = metrics, Listener(metrics.page, Connections(MOST_SCRAPERS, MOST_SCRAPERS)), scraped
    observer.telemetry = telemetry = made(os.environ, tools)
    if telemetry is not None:
        runs.watches.append(telemetry)
    return figures, telemetry


def quiet_server_logs() -> None:
    """Keep what strangers send out of the log: the server warns of every request that is none."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    for name in ("mcp.server.streamable_http", "mcp.server.streamable_http_manager", "mcp.server.sse"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _open(options: Serving, access: Access) -> tuple[list[socket.socket], Bound]:
    if options.uds is not None:
        return [bind_unix(options.uds)], bound_to(options.host, 0, options.uds)
    sockets, port = bind(options.host, options.port, for_strangers=access.for_strangers)
    return sockets, bound_to(options.host, port, None)


@contextmanager
def _signals() -> Generator[Callable[[], Awaitable[int]]]:
    """Give what waits for the first signal that asks for the end; within the block those that follow change nothing."""
    if sys.platform == "win32":
        yield _signal_on_windows
        return
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        yield lambda: anext(aiter(received))


async def _signal_on_windows() -> int:
    # The event loop takes no signals there; Python's own handlers run between two looks.
    received: list[int] = []
    for name in ("SIGINT", "SIGBREAK", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda number, _: received.append(number))
    while not received:  # noqa: ASYNC110 - a handler runs in no task, and cannot set an event of the loop
        await anyio.sleep(0.2)
    return received[0]
