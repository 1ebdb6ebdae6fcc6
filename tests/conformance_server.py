"""Serves the program over HTTP for the conformance suite, which brings no token. Prints the port it listens on."""

from __future__ import annotations

import os
from functools import partial

import anyio

from kallyai_mcp.app import Served
from kallyai_mcp.server.http import serve_http
from kallyai_mcp.server.http.local import LocalAccess
from kallyai_mcp.settings import Settings

if __name__ == "__main__":
    settings = Settings.read(os.environ)
    served = Served(settings)
    run = partial(
        serve_http,
        served.server,
        settings.serving,
        LocalAccess(None),
        tasks=served.tasks,
        close=served.app.aclose,
        started=lambda bound: print(bound.port, flush=True),  # noqa: T201 - stdout is how it reports
    )
    anyio.run(run)
