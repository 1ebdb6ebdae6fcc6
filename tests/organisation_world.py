"""An organisation: its identity provider, its replicas as processes, the service behind them, its people's hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from hosts import UNATTENDED
from ports import free_port
from provider_world import TestProvider, provider, wait_for

from kallyai_mcp.auth.callers.principal import Principal
from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.shared import KeyRing, Shared, new_key

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

ROOT = Path(__file__).parent.parent
MODERN = "2026-07-28"
FORMS: dict[str, Any] = {"elicitation": {"form": {}}}
URLS: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
BALANCE = "kallyai_credits_balance"
ERRAND = "kallyai_actions_errand"


@dataclass
class Organisation:
    """What the tests see of it.

    Attributes:
        folder: For logs and state.
        idp: The identity provider.
        origin: Of the server, as people reach it.
        api: Origin of the service.
        database: Address of PostgreSQL; None where there is a file.
        keys: Of the vault.
        more: Further variables of the replicas.
        ports: Where the replicas listen.
        record: What the service was sent, line by line.
    """

    folder: Path
    idp: TestProvider
    origin: str
    api: str
    database: str | None
    keys: str = field(default_factory=new_key)
    more: dict[str, str] = field(default_factory=dict[str, str])
    ports: list[int] = field(default_factory=list[int])
    record: Path | None = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    @property
    def resource(self) -> str:
        """What tokens are for."""
        return f"{self.origin}/mcp"

    def environment(self) -> dict[str, str]:
        """Return the whole environment of a replica."""
        stored = {"KALLYAI_DATABASE_URL": self.database} if self.database else {"KALLYAI_EMBEDDED_STORAGE": "1"}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "KALLYAI_API_URL": self.api,
            "KALLYAI_ORGANISATION": "1",
            "KALLYAI_PUBLIC_URL": self.origin,
            "KALLYAI_ISSUER": self.idp.issuer,
            "KALLYAI_VAULT_KEYS": self.keys,
            "KALLYAI_STATE_DIR": str(self.folder / "state"),
            "KALLYAI_TIMEZONE": "America/New_York",
            "KALLYAI_MAX_RUNS_PER_MINUTE": "1000000",
            "KALLYAI_LOG_LEVEL": "info",
            **stored,
            **UNATTENDED,
            **self.more,
        }

    def start(self, port: int) -> None:
        """Start a replica, without waiting for it."""
        with (self.folder / f"replica-{port}.log").open("ab") as log:
            command = [sys.executable, "-m", "kallyai_mcp", "serve", "--port", str(port)]
            self.processes.append(
                subprocess.Popen(command, env=self.environment(), cwd=self.folder, stdout=log, stderr=log)  # noqa: S603 - the server under test
            )
        if port not in self.ports:
            self.ports.append(port)

    def log(self) -> str:
        """Return what all replicas have logged."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("replica-*.log")))

    def ready(self) -> None:
        """Wait until all replicas can serve."""
        for port in self.ports:
            wait_for(f"http://127.0.0.1:{port}/readyz")

    def stop(self) -> None:
        """End all replicas."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    def requests(self) -> list[dict[str, Any]]:
        """Return what the service was sent on anybody's behalf."""
        assert self.record is not None
        found = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [one for one in found if "authorization" in one["headers"]]

    def principal(self, name: str) -> Principal:
        """Return a person."""
        return Principal(self.idp.issuer, name)

    async def link(self, *names: str) -> None:
        """Put tokens of the service into the vault, as if these people had linked their accounts."""
        folder = None if self.database else self.folder / "state"
        async with Shared.open(self.database, KeyRing.read(self.keys), folder=folder) as shared:
            for name in names:
                store = shared.tokens(self.principal(name).key)
                async with store.locked():
                    await store.write(TokenPair(f"at-{name}", f"rt-{name}", time.time() + 86_400))

    def token(self, name: str, **facts: Any) -> str:
        """Return an access token of a person for this server."""
        return self.idp.token(name, self.resource, **facts)


def message(
    tool: str, arguments: dict[str, Any], capabilities: dict[str, Any] | None = None, number: int = 1, **more: Any
) -> dict[str, Any]:
    """Return a request of a 2026-07-28 host."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "host", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities or {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta, **more}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


class Host:
    """One person's host, which reaches whichever replica it is told to.

    Args:
        organisation: Whose server.
        token: The person's access token.
    """

    def __init__(self, organisation: Organisation, token: str) -> None:
        self._ports = organisation.ports
        self._headers = {
            "Host": organisation.origin.partition("://")[2],
            "Authorization": f"Bearer {token}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MODERN,
            "Mcp-Method": "tools/call",
        }
        self.http = httpx2.AsyncClient(timeout=90, limits=httpx2.Limits(keepalive_expiry=2))

    async def __aenter__(self) -> Host:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def post(self, replica: int, body: dict[str, Any]) -> httpx2.Response:
        """Send a request to a replica by its number."""
        headers = self._headers | {"Mcp-Name": body["params"]["name"]}
        return await self.http.post(f"http://127.0.0.1:{self._ports[replica]}/mcp", json=body, headers=headers)

    async def call(self, replica: int, tool: str, *, can: dict[str, Any] | None = None, **arguments: Any) -> Any:
        """Run a tool at a replica, and return the result, or the error of the protocol."""
        return answer_of(await self.post(replica, message(tool, arguments, can)))

    async def retry(
        self, replica: int, tool: str, can: dict[str, Any], asked: dict[str, Any], action: str, **arguments: Any
    ) -> Any:
        """Answer what a result asks for, at a replica."""
        answer: dict[str, Any] = {"action": action, "content": {}}
        responses: dict[str, Any] = dict.fromkeys(asked["inputRequests"], answer)
        more: dict[str, Any] = {"requestState": asked["requestState"], "inputResponses": responses}
        return answer_of(await self.post(replica, message(tool, arguments, can, 1, **more)))


def answer_of(response: httpx2.Response) -> Any:
    """Return the result or the error in an answer, which may be a stream of events."""
    text = response.text
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        text = next(line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: "))
    assert response.status_code in {200, 400, 404}, (response.status_code, text)
    told = json.loads(text)
    return told.get("result") or told["error"]


@contextmanager
def upstream(folder: Path) -> Generator[tuple[str, Path]]:
    """Give the service of many accounts: its origin, and where it writes down what it was sent."""
    port, record = free_port(), folder / "requests"
    record.touch()
    command = [sys.executable, str(Path(__file__).parent / "organisation_upstream.py"), str(port), str(record)]
    process = subprocess.Popen(command, cwd=folder, env={"PATH": os.environ["PATH"]})  # noqa: S603 - our own program
    try:
        wait_for(f"http://127.0.0.1:{port}/", 401)
        yield f"http://127.0.0.1:{port}", record
    finally:
        process.kill()
        process.wait()


@contextmanager
def organisation(
    folder: Path, database: str | None, *, replicas: int = 2, idp: TestProvider | None = None, api: str | None = None,
    ports: Sequence[int] = (), more: Mapping[str, str] | None = None,
) -> Generator[Organisation]:  # fmt: skip
    """Give an organisation with so many replicas, all of them ready."""
    with ExitStack() as stack:
        record = None
        if idp is None:
            (folder / "idp").mkdir()
            idp = stack.enter_context(provider(folder / "idp"))
        if api is None:
            api, record = stack.enter_context(upstream(folder))
        listening = [*ports] or [free_port() for _ in range(replicas)]
        made = Organisation(
            folder, idp, f"http://127.0.0.1:{listening[0]}", api, database, more=dict(more or {}), record=record
        )
        stack.callback(made.stop)
        for port in listening:
            made.start(port)
        made.ready()
        yield made
