"""A host waits for the first answer: what is imported until then, and how long it takes beside a bare server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hosts import LEGACY, MODERN, environment

from bench.host import Host, Subject
from kallyai_mcp.sdk import HTTP_ONLY, PACKAGES

if TYPE_CHECKING:
    from pathlib import Path

NOT_BEFORE = (
    # of the SDK: its clients, its other server, what serves HTTP
    *("mcp.client", "mcp.server.mcpserver", "mcp.server.sse", "mcp.server.stdio", *HTTP_ONLY),
    *("starlette", "sse_starlette", "uvicorn", "httptools", "click", "jinja2", "python_multipart"),
    # of ours: what only runs need
    *("httpx", "httpx2", "authlib", "joserfc", "keyring", "filelock", "tenacity", "sqlite3", "psycopg"),
    *("phonenumbers", "email_validator", "tzlocal", "platformdirs", "rich", "shtab", "tomlkit", "ruamel", "uvloop"),
    *("opentelemetry.sdk", "prometheus_client", "jsonschema", "argparse", "tomllib"),
    *("kallyai_mcp.api", "kallyai_mcp.auth", "kallyai_mcp.catalog", "kallyai_mcp.commands", "kallyai_mcp.model"),
    *("kallyai_mcp.engine", "kallyai_mcp.journal", "kallyai_mcp.policy", "kallyai_mcp.sandbox", "kallyai_mcp.finder"),
    *("kallyai_mcp.cli", "kallyai_mcp.hosts", "kallyai_mcp.household", "kallyai_mcp.shared", "kallyai_mcp.export"),
    *("kallyai_mcp.server.http", "kallyai_mcp.server.resources", "kallyai_mcp.server.jobs"),
)
"""Modules of which nothing may be there when the first list is answered."""

LOADED = """
import os, sys
from kallyai_mcp import app

def report():
    ready = {name for name, module in sys.modules.items() if type(module).__name__ != "Deferred"}
    os.write(2, "\\n".join(sorted(ready)).encode())
    os._exit(0)

app.warm_up = report
from kallyai_mcp.__main__ import main
sys.argv = ["kallyai-mcp"]
main()
"""
FLOOR = Subject("floor", (sys.executable, "-m", "bench.floor"), {})


def request(number: int, method: str, params: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n"


def opening(version: str) -> str:
    about = {"name": "host", "version": "1"}
    if version == MODERN:
        meta = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": about,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        return request(1, "server/discover", {"_meta": meta}) + request(2, "tools/list", {"_meta": meta})
    begin = request(1, "initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": about})
    return begin + '{"jsonrpc": "2.0", "method": "notifications/initialized"}\n' + request(2, "tools/list", {})


@pytest.mark.parametrize("version", [MODERN, LEGACY[-1]])
def test_nothing_is_imported_before_the_first_list_that_it_does_not_need(tmp_path: Path, version: str) -> None:
    done = subprocess.run(  # noqa: S603 - this interpreter, and the code above
        [sys.executable, "-c", LOADED],
        input=opening(version),
        env=environment(tmp_path, "http://127.0.0.1:9"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = done.stderr.splitlines()
    assert "mcp.server.lowlevel.server" in loaded
    assert not set(PACKAGES) & set(loaded)
    assert not [name for name in loaded if any(name == one or name.startswith(f"{one}.") for one in NOT_BEFORE)]


LATER = """
import sys
from kallyai_mcp.sdk import Deferred, Later, import_for_stdio
import_for_stdio()
import mcp, mcp.server.lowlevel.server as made
assert type(mcp) is Deferred and type(made.Route) is Later
assert "starlette.routing" not in sys.modules
from starlette.routing import Route
assert isinstance(made.Route("/", endpoint=print), Route)
assert made.AuthSettings.model_fields
assert issubclass(type("Own", (Route,), {}), made.Route.mro()[0])
assert mcp.Client.__name__ == "Client" and type(mcp) is not Deferred
from mcp.server import MCPServer, Server
assert Server is made.Server and MCPServer
from pydantic import BaseModel
assert "defer_build" not in BaseModel.model_config
import_for_stdio()
"""


def test_what_was_put_off_works_once_it_is_asked_for() -> None:
    subprocess.run([sys.executable, "-c", LATER], timeout=60, check=True)  # noqa: S603 - this interpreter, the code above


OTHERWISE = """
import sys
from kallyai_mcp import sdk
sdk.SERVES = (*sdk.SERVES, "mcp.server.moved")
sdk.import_for_stdio()
assert "mcp" not in sys.modules
from kallyai_mcp.server import serve_stdio
from mcp.server import Server
from mcp.shared.exceptions import MCPError
assert issubclass(MCPError, Exception)
"""


def test_an_sdk_that_is_put_together_otherwise_is_imported_as_a_whole() -> None:
    subprocess.run([sys.executable, "-c", OTHERWISE], timeout=60, check=True)  # noqa: S603 - as above


def until_listed(subject: Subject) -> tuple[float, float]:
    """Return the seconds from the start of a server to its list of tools, and those of a processor that it took."""
    with Host(subject) as host:
        host.list_tools()
        return time.perf_counter() - host.started, host.processor()
