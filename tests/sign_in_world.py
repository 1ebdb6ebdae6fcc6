"""Nobody is signed in: a server of this process, the sandbox behind it, and the person who opens its page."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
from hosts import UNATTENDED, engine_of
from mcp_types import ElicitRequestURLParams, ElicitResult
from sandbox_browser import decide

from kallyai_mcp import __version__
from kallyai_mcp.api import ApiClient
from kallyai_mcp.auth.clock import SystemClock
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.sign_in import STARTS_EVERY, SignIn
from kallyai_mcp.engine.account import Account
from kallyai_mcp.model import Defaults
from kallyai_mcp.sandbox import tokens
from kallyai_mcp.sandbox.serve import SandboxOptions, Served
from kallyai_mcp.sandbox.serve import serving as serving_sandbox
from kallyai_mcp.sandbox.signin import set_options
from kallyai_mcp.server import build_server, load_tools, people
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from mcp.client import ClientRequestContext
    from mcp.server.lowlevel import Server
    from mcp_types import ElicitRequestParams

    from kallyai_mcp.engine import Engine

READ = "kallyai_credits_balance"
WRITE = "kallyai_actions_email_send"
MAIL = {"to": "front.desk@hotel.example", "subject": "One parking space", "body": "We would like one parking space."}


class ShiftedClock(SystemClock):
    """The machine's clock, put ahead by the test; it tells when somebody begins to wait."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.waited_on = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        self.waited_on.set()
        await super().sleep(seconds)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@dataclass
class House:
    """All that takes part."""

    server: Server[Any]
    sandbox: Served
    sign_in: SignIn
    session: Session
    clock: ShiftedClock
    opened: list[str] = field(default_factory=list[str])

    @property
    def codes(self) -> list[str]:
        """The user codes that were issued."""
        return [grant["user_code"] for grant in self.sandbox.world.all("device_grant")]

    def sent(self) -> list[str]:
        """Paths of the requests that were to change or cost something, without those for signing in."""
        paths = [request["path"] for request in self.sandbox.world.all("request")]
        return [path for path in paths if "/auth/" not in path]

    async def decide(self, address: str, decision: str = "approve") -> None:
        """Open the page and press a button, as a person does."""
        async with httpx2.AsyncClient(base_url=self.sandbox.origin, trust_env=False) as browser:
            path = address.removeprefix(self.sandbox.origin)
            answer = await decide(browser, path, decision)
            assert answer.status_code == 200


@asynccontextmanager
async def house(folder: Path, **settings: Any) -> AsyncGenerator[House]:
    """Give a server without a token, whose service polls every second."""
    clock = ShiftedClock()
    async with serving_sandbox(SandboxOptions.repeatable()) as sandbox:
        set_options(sandbox.world, {"interval": 1})
        values: dict[str, Any] = {"token_file": folder / "token.json", "state_dir": folder / "state", "display": True}
        values |= {"safety": Settings.read(UNATTENDED).safety, **settings}
        made = Settings(api_url=sandbox.origin, **values)
        async with ApiClient(sandbox.origin, version=__version__) as api:
            session = Session(made, clock=clock)
            opened: list[str] = []

            def open_in_browser(address: str) -> bool:
                opened.append(address)
                return True

            sign_in = SignIn(session, opener=open_in_browser, starts_every=STARTS_EVERY)
            local = Account(session, sign_in).commands()
            engine, parts = engine_of(made, api, session, Defaults(), local)

            async def give_engine() -> Engine:
                return engine

            async def give_sign_in() -> SignIn:
                return sign_in

            server = build_server(load_tools(), people.OnePerson(people.Person(give_engine, sign_in=give_sign_in)))
            yield House(server, sandbox, sign_in, session, clock, opened)
            await sign_in.close()
            await parts.aclose()


class Person:
    """Answers a host's requests to open an address, and keeps what was shown.

    Args:
        house: Where the page is.
        action: What the host is told.
        decision: Which button is pressed first; None to press none.
    """

    def __init__(self, house: House, action: Any = "accept", decision: str | None = "approve") -> None:
        self.house = house
        self.action = action
        self.decision = decision
        self.shown: list[ElicitRequestURLParams] = []

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        del context
        assert isinstance(params, ElicitRequestURLParams)
        self.shown.append(params)
        if (decision := self.decision) is not None:
            self.decision = None
            await self.house.decide(params.url, decision)
        return ElicitResult(action=self.action)


def issue_pair(house: House) -> tokens.Pair:
    """Return tokens as a sign-in in another program brings them."""
    return tokens.issue(house.sandbox.world, ["credits:read"], expires_in=3600)
