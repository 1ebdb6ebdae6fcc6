"""What a person reads when the server has started: where it is, and what to paste into a host."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

from kallyai_mcp.server.http.endpoint import PATH
from kallyai_mcp.server.http.health import READY_PATH
from kallyai_mcp.server.http.local import FILE
from kallyai_mcp.serving import HTTP, SSE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kallyai_mcp.server.http.access import Bound
    from kallyai_mcp.serving import Serving


def welcome(options: Serving, bound: Bound, folder: Path, token: str | None, *, is_new: bool) -> None:
    """Write to stderr where the server is and how a host connects.

    The token is shown to a terminal, and once anywhere: when it was made. Else what a service manager keeps of stderr
    would hold it, too.
    """
    shown = token if token is None or is_new or sys.stderr.isatty() else None
    sys.stderr.write("".join(f"{line}\n" for line in _lines(options, bound, folder, token, shown)))
    sys.stderr.flush()


def _lines(options: Serving, bound: Bound, folder: Path, token: str | None, shown: str | None) -> Iterator[str]:
    if bound.uds is not None:
        yield f"Serving MCP on the Unix socket {bound.uds}, for this user alone."
        for path in _paths(options):
            yield f"Hosts that know Unix sockets reach it at http://localhost{path} there."
        yield f"Whether it can serve: curl --unix-socket {shlex.quote(str(bound.uds))} http://localhost{READY_PATH}"
        return
    origin = f"http://{f'[{bound.host}]' if ':' in bound.host else bound.host}:{bound.port}"
    for path in _paths(options):
        yield f"Serving MCP at {origin}{path}"
    yield f"Whether it can serve: {origin}{READY_PATH}"
    if token is not None and shown is None:
        yield f"Hosts need the token in {folder / FILE}."
        return
    yield "Paste this into the host's configuration, and keep it to yourself: it holds the server's token."
    yield configuration(origin, options, shown)


def configuration(origin: str, options: Serving, token: str | None) -> str:
    """Return the entry of a host's configuration, as most of them take it."""
    kind, path = ("http", PATH) if HTTP in options.transport else ("sse", "/sse")
    entry: dict[str, Any] = {"type": kind, "url": f"{origin}{path}"}
    if token is not None:
        entry["headers"] = {"Authorization": f"Bearer {token}"}
    return json.dumps({"mcpServers": {"kallyai": entry}}, indent=2)


def _paths(options: Serving) -> list[str]:
    return [path for name, path in ((HTTP, PATH), (SSE, "/sse")) if name in options.transport]
