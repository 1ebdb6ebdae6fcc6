"""Settings of how hosts reach the server: over the pipes of the host that started it, or over HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from kallyai_mcp import readers
from kallyai_mcp.setting import Setting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STDIO = "stdio"
HTTP = "http"
SSE = "sse"
TRANSPORTS = (STDIO, HTTP, SSE)

_HOST = re.compile(r"(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
"""A Host header (RFC 9110, 7.2), in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What was set. See `SERVING` for the meaning of each."""

    transport: tuple[str, ...] = (STDIO,)
    host: str = "127.0.0.1"
    port: int = 8765
    uds: Path | None = None
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    max_connections: int = 1024
    max_connections_per_client: int = 512
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"

    @property
    def is_http(self) -> bool:
        """Whether hosts come over HTTP, by either of its transports."""
        return STDIO not in self.transport


def _transports(text: str) -> tuple[str, ...]:
    named = {part.strip().lower() for part in text.split(",")}
    if not named <= set(TRANSPORTS) or not named or (STDIO in named and len(named) > 1):
        raise ValueError("must be stdio, http, sse or http,sse")
    return tuple(name for name in TRANSPORTS if name in named)


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) > 65535:
        raise ValueError("must be a port, from 1 to 65535; 0 takes one that is free")
    return int(text)


def _address(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:%-]{1,253}", text, re.ASCII):
        raise ValueError("must be an address or a name of this machine, such as 127.0.0.1 or ::1")
    return text.lower()


def _hosts(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    if not all(_HOST.fullmatch(host) for host in found):
        raise ValueError("must be hosts with their ports, such as mcp.example.com or localhost:9000; * is not taken")
    return found


def _origins(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    for each in found:
        scheme, _, host = each.partition("://")
        if scheme not in {"https", "http"} or not _HOST.fullmatch(host):
            raise ValueError("must be origins such as https://app.example.com, with no path; * is not taken")
    return found


def _limit(text: str) -> int:
    number = readers.count(text)
    if not 1 <= number <= 100_000:
        raise ValueError("must be a whole number from 1 to 100000")
    return number


_DEFAULTS = Serving()


def _setting(name: str, help: str, read: Callable[[str], object], default: str | None = None) -> Setting:  # noqa: A002 - the attribute's name
    shown = getattr(_DEFAULTS, name)
    if default is None:
        default = "" if shown in ((), None) else str(shown)
    return Setting(name, f"KALLYAI_{name.upper()}", help, read, f"--{name.replace('_', '-')}", default)


SERVING = (
    _setting(
        "transport",
        "How hosts reach the server: stdio, http (Streamable HTTP at /mcp), sse (at /sse, for hosts that know nothing "
        "newer), or http,sse.",
        _transports,
        STDIO,
    ),
    _setting("host", "Address that is listened on; others than this machine's need --organisation.", _address),
    _setting("port", "Port that is listened on.", _port),
    _setting("uds", "Unix socket to listen on instead of a port; it needs no token.", readers.path),
    _setting(
        "allow_hosts",
        "Further Host headers that are accepted, such as the far end of a tunnel, localhost:9000; comma-separated.",
        _hosts,
    ),
    _setting(
        "allow_origins",
        "Origins of web pages that may use the server from a browser, comma-separated; without it, none.",
        _origins,
    ),
    _setting("max_connections", "Most connections at once.", _limit),
    _setting("max_connections_per_client", "Most connections at once from one address.", _limit),
    _setting("metrics_port", "Port on which Prometheus finds metrics, at /metrics; without it, none.", _port),
    _setting("metrics_host", "Address on which the port for metrics is listened on.", _address),
)
"""The rows of the table."""

assert {setting.name for setting in SERVING} == {field.name for field in fields(Serving)}  # noqa: S101 - one table
