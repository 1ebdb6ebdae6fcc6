"""Serving a sandbox: embedded in a running event loop, or as a program of its own.

The server is bound to loopback, logs nothing on stdout, and ends within a second whatever is still connected.
"""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
import sys
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TextIO

import anyio

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.sandbox.clock import DEFAULT_SPEED, FIXED_START, SandboxClock, checked_speed, moment
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN
from kallyai_mcp.sandbox.world import World
from kallyai_mcp.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from datetime import datetime
    from pathlib import Path

_log = logging.getLogger(__name__)

DEFAULT_PORT = 8770
_NEXT_PORTS = 10
_GRACE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """How a world is to be made.

    Attributes:
        seed: Decides identifiers and chances.
        file: Where to keep it; in memory if None.
        speed: Sandbox seconds per real second; 0 stands still, infinite jumps whenever something waits.
        start: Where the clock begins: the present time if None. `FIXED_START` makes repeatable dates.
    """

    seed: int = 1
    file: Path | None = None
    speed: float = DEFAULT_SPEED
    start: datetime | None = None

    @classmethod
    def repeatable(cls, **more: Any) -> SandboxOptions:
        """Return options for tests: a fixed beginning, and no waiting."""
        return replace(cls(start=FIXED_START, speed=math.inf), **more)

    def world(self) -> World:
        """Make the world."""
        return World(self.seed, clock=SandboxClock(self.start, speed=self.speed), file=self.file)


@dataclass(frozen=True, slots=True)
class Served:
    """A sandbox that answers at `origin`, such as `http://127.0.0.1:8770`."""

    origin: str
    world: World

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.origin.rpartition(":")[2])


@asynccontextmanager
async def serving(
    world: World | SandboxOptions | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[Served]:
    """Serve a sandbox in this event loop for the length of the block; a world made here is closed at its end.

    Raises:
        InvalidSettings: The host is no loopback name.
        OSError: The port is taken.
    """
    if not is_loopback(host):
        raise InvalidSettings(
            "The sandbox serves this machine only.", next_step="Use 127.0.0.1, ::1 or localhost as its host."
        )
    from kallyai_mcp.sandbox.app import create_app
    from kallyai_mcp.sandbox.listener import Listener, server_for

    async with AsyncExitStack() as stack:
        listening = stack.enter_context(_bound(host, port))
        if not isinstance(world, World):
            world = (world or SandboxOptions()).world()
            stack.callback(world.close)
        listener = Listener(create_app(world))
        server = server_for(listener, grace=_GRACE)
        shown = f"[{host}]" if ":" in host else host
        world.origin = f"http://{shown}:{listening.getsockname()[1]}"
        # A task of asyncio, since a task group would wrap what the block raises.
        task = asyncio.create_task(server.serve([listening]), name="kallyai-sandbox")
        try:
            await server.ready.wait()
            yield Served(world.origin, world)
        finally:
            # The block may end by cancellation; the sockets must be closed all the same.
            with anyio.CancelScope(shield=True):
                server.should_exit = True
                listener.stop()
                await task


@contextmanager
def _bound(host: str, port: int) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        if sys.platform != "win32":  # there the option would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(512)
        listening.setblocking(False)
        yield listening


def run(
    state_dir: Path | None = None,
    *,
    data: Path | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    seed: int = 1,
    speed: float | None = None,
    start: str = "now",
    out: TextIO | None = None,
) -> int:
    """Serve a sandbox until SIGINT or SIGTERM, as `kallyai-mcp sandbox` does. Return the exit status.

    Args:
        state_dir: Folder in which `sandboxes/<port>` says that a sandbox is running.
        data: File to keep the world in; in memory if not given.
        host: Loopback name to listen on.
        port: Port to listen on; if not given 8770, or the next that is free.
        seed: Decides identifiers and chances.
        speed: Sandbox seconds per real second.
        start: Where the clock begins, as `start_from` reads it.
        out: Where to say how to connect; stderr if not given.

    Raises:
        InvalidSettings: One of these cannot be used, or the port is taken.
    """
    try:
        options = SandboxOptions(seed=seed, file=data, speed=_speed(speed), start=start_from(start))
    except ValueError as error:
        raise InvalidSettings(
            f"The sandbox cannot start: {error}.",
            next_step="Give speed as a number from 0, and start as now, fixed or an ISO 8601 date and time.",
        ) from None
    # Where signals cannot be received as events (Windows), Ctrl-C arrives as an exception.
    with suppress(KeyboardInterrupt):
        anyio.run(_run, options, host, port, state_dir, out or sys.stderr)
    return 0


def _speed(speed: float | None) -> float:
    if speed is None:
        return DEFAULT_SPEED
    return checked_speed(speed)


async def _run(options: SandboxOptions, host: str, port: int | None, state_dir: Path | None, out: TextIO) -> None:
    async with AsyncExitStack() as stack:
        served = await _first_free(stack, options, host, port)
        # Before anybody can know where it is: who does may end it at once.
        ended = stack.enter_context(_signalled())
        if state_dir is not None:
            stack.enter_context(_marked(state_dir / "sandboxes" / str(served.port), served.origin))
        out.write(_greeting(served, options))
        out.flush()
        await ended()
        out.write("The sandbox has ended.\n")


async def _first_free(stack: AsyncExitStack, options: SandboxOptions, host: str, port: int | None) -> Served:
    if port is not None:
        try:
            return await stack.enter_async_context(serving(options, host, port))
        except (OSError, OverflowError) as error:
            raise InvalidSettings(
                f"The sandbox cannot listen on {host}, port {port}: {error}.",
                next_step="Choose another port, or leave it out to take a free one.",
            ) from None
    for candidate in range(DEFAULT_PORT, DEFAULT_PORT + _NEXT_PORTS):
        try:
            return await stack.enter_async_context(serving(options, host, candidate))
        except OSError:
            continue
    return await stack.enter_async_context(serving(options, host, 0))


@contextmanager
def _marked(file: Path, origin: str) -> Generator[None]:
    try:
        for folder in (file.parent.parent, file.parent):  # `mode` holds for the last folder of a path only
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(f"{origin}\n", encoding="utf-8")
    except OSError as error:
        # The mark keeps other programs from sending live tokens here; the sandbox itself refuses them without it.
        _log.warning("The mark of the sandbox cannot be written to %s: %s", file, error.strerror)
        yield
        return
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _greeting(served: Served, options: SandboxOptions) -> str:
    where = f"kept in {options.file}" if options.file else "in memory; it is gone when the sandbox ends"
    return (
        f"The KallyAI sandbox is at {served.origin}\n"
        "  Nothing leaves this machine: no call is placed, no mail is sent, nothing is charged.\n"
        f"  Its world is {where}.\n"
        f"  Access token for tests: {DEMO_TOKEN}\n"
        f"  Connect the MCP server: KALLYAI_API_URL={served.origin} KALLYAI_ACCESS_TOKEN={DEMO_TOKEN} kallyai-mcp\n"
        f"  Watch it in a browser: {served.origin}/\n"
        "  End it with Ctrl-C.\n"
    )


@contextmanager
def _signalled() -> Generator[Callable[[], Awaitable[None]]]:
    """Take SIGINT and SIGTERM as events from now on; what is given waits for one."""
    with ExitStack() as stack:
        ended = anyio.sleep_forever
        with suppress(NotImplementedError):  # on Windows
            signals = stack.enter_context(anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM))

            async def ended() -> None:
                async for _ in signals:
                    return

        yield ended


def start_from(text: str) -> datetime | None:
    """Read a beginning for the clock: `now` (None), `fixed`, or an ISO 8601 moment.

    Raises:
        ValueError: It is none of these.
    """
    return {"now": None, "fixed": FIXED_START}[text] if text in ("now", "fixed") else moment(text)
