"""The sockets that are listened on: of this machine only, unless callers prove who they are."""

from __future__ import annotations

import os
import socket
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.journal.private import require_folder
from kallyai_mcp.readers import is_loopback
from kallyai_mcp.server.http.access import Bound

if TYPE_CHECKING:
    from pathlib import Path

STALL_MS = 15_000
"""Milliseconds after which a connection ends whose other side does not even acknowledge (RFC 5482)."""

KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds and tries until a silent connection is found to be dead."""


WHY_NOT = (
    "where one token for everybody is not enough: whoever gets hold of it phones and spends in your name. Nothing is "
    "served.",
    "Leave out --host to serve this machine alone, and reach it through a tunnel (ssh -L); or serve people who sign in "
    "one by one with --organisation.",
)
"""Why hosts are not served beyond this machine, and what to do."""

WHY_NO_METRICS = (
    "where nothing would keep strangers from the metrics of a server that is yours alone. Nothing is served.",
    "Leave out --metrics-host; whoever collects metrics elsewhere reaches them through a tunnel (ssh -L).",
)
"""The same of metrics."""


def bind(
    host: str,
    port: int,
    *,
    for_strangers: bool,
    set_by: tuple[str, str] = ("--host", "--port"),
    why_not: tuple[str, str] = WHY_NOT,
) -> tuple[list[socket.socket], int]:
    """Return sockets for every address of a host, and the port.

    Args:
        host: Address or name.
        port: Port; 0 takes a free one.
        for_strangers: Whether addresses beyond this machine may be listened on.
        set_by: The settings of the two, for errors.
        why_not: What is said where they may not: why, and what to do.

    Raises:
        InvalidSettings: They may not, or the system does not give the port.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise InvalidSettings(
            f"{host} is no address of this machine.", next_step=f"Correct {set_by[0]}; 127.0.0.1 is this machine alone."
        ) from None
    addresses = list(dict.fromkeys((family, address[0]) for family, _, _, _, address in found))
    if not for_strangers and not all(is_loopback(str(address).partition("%")[0]) for _, address in addresses):
        raise InvalidSettings(f"{host} can be reached from other machines, {why_not[0]}", next_step=why_not[1])
    opened: list[socket.socket] = []
    try:
        for family, address in addresses:
            opened.append(_listening(family, str(address), port))
            port = opened[0].getsockname()[1]
    except OSError as error:
        for each in opened:
            each.close()
        raise InvalidSettings(
            f"Port {port} of {host} cannot be listened on: {error.strerror or error}.",
            next_step=f"End the program that uses it, or choose another with {set_by[1]}; 0 takes one that is free.",
        ) from None
    return opened, port


def bind_unix(path: Path) -> socket.socket:
    """Return a Unix socket that only this user can open, in a folder where only this user can put one.

    Raises:
        InvalidSettings: The path cannot be used, or another server listens there.
    """
    if sys.platform == "win32":
        raise InvalidSettings("There are no Unix sockets on this system.", next_step="Leave out --uds.")
    try:
        _require_own_folder(path)
        _remove_stale(path)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            made.bind(str(path))
        except OSError:
            made.close()
            raise
        finally:
            os.umask(before)
        path.chmod(0o600)
        made.listen()
    except InvalidSettings as error:
        raise InvalidSettings(
            f"The socket {path} cannot be made. {error.message}",
            next_step=f"{error.next_step} Or choose another --uds.",
        ) from None
    except OSError as error:
        raise InvalidSettings(
            f"The socket {path} cannot be made: {error.strerror or error}.",
            next_step="Choose another --uds, in a folder of your own.",
        ) from None
    return made


def _require_own_folder(path: Path) -> None:
    try:
        require_folder(path.parent)
    except InvalidSettings:
        raise InvalidSettings(
            f"{path.parent} must be a folder of your own, to which nobody else may write.",
            next_step=f"Run: chmod go-w {path.parent}.",
        ) from None


def place(path: Path) -> tuple[int, int] | None:
    """Return what stands at a path, by the numbers of the file system; None for nothing."""
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def remove_unix(path: Path, made: tuple[int, int] | None) -> None:
    """Remove a socket of ours, unless another one stands there by now."""
    if made is not None and place(path) == made:
        with suppress(OSError):
            path.unlink()


def bound_to(host: str, port: int, uds: Path | None) -> Bound:
    """Return what is listened on."""
    return Bound(host, 0 if uds is not None else port, uds)


def _listening(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] - Windows only
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in {**KEEPALIVE, "TCP_USER_TIMEOUT": STALL_MS}.items():
            if hasattr(socket, name):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)  # connections inherit them
        made.bind((address, port))
        made.listen()
    except OSError:
        made.close()
        raise
    return made


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise InvalidSettings(
                "Something else stands at that path.", next_step="Move it away if you do not need it there."
            )
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        tried.settimeout(1)
        try:
            tried.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
    raise InvalidSettings("Another server listens there.", next_step="End it first.")
