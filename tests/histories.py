"""A life of acts with all that can befall them: processes over one journal, a sandbox, and faults between.

A process is an engine with a journal of its own over the shared folder. One that is killed does nothing more, whatever
its code would still like to do: its journal refuses, and its liveness ends.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import httpx2

from kallyai_mcp import __version__
from kallyai_mcp.api import ApiClient
from kallyai_mcp.catalog import find
from kallyai_mcp.engine import Engine
from kallyai_mcp.engine.parts import Parts
from kallyai_mcp.errors import ApprovalRequired, KallyError
from kallyai_mcp.journal import Journal
from kallyai_mcp.model import Consent, Defaults, State
from kallyai_mcp.safety import ALL_DAY, Safety
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.serve import SandboxOptions
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kallyai_mcp.engine import Result
    from kallyai_mcp.model import Command
    from kallyai_mcp.model.records import Act

ORIGIN = "http://127.0.0.1"
UNBOUND = Safety(
    approval="off",
    max_credits_per_hour=1e8,
    max_credits_per_day=1e8,
    max_calls_per_hour=10**8,
    max_new_recipients_per_day=10**8,
    max_acts_in_flight=10**8,
    contact_hours=ALL_DAY,
)

INTENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "call": ("kallyai_calls_make", {"phone": "+12025550100", "task": "Ask whether the blue coat is mended"}),
    "other call": ("kallyai_calls_make", {"phone": "+12025550100", "task": "Ask whether they are open on Sunday"}),
    "busy": ("kallyai_calls_make", {"phone": "+12025550101", "task": "Ask whether the cake is ready"}),
    "mail": ("kallyai_actions_email_send", {"to": "desk@hotel.example", "subject": "Parking", "body": "One space."}),
    "ride": ("kallyai_actions_ride", {"pickup": "1 Main Street", "destination": "The station"}),
}
"""What is wanted, by name; each is a request of its own."""

FAULTS = ("none", "refused", "no connection", "cut before", "cut after", "empty", "silent before", "silent after")
"""What becomes of a request: with "after" and "empty" the service has done what was asked."""


class Killed(BaseException):
    """The process ends here."""


class Mortal(Journal):
    """A journal whose process can be killed.

    Attributes:
        dies_at: The step before which it is killed: `sending` or `settle`; `sent` is after the first byte.
    """

    dies_at: str | None = None
    is_dead: bool = False

    def _die_at(self, step: str) -> None:
        if self.is_dead or self.dies_at == step:
            self.is_dead = True
            raise Killed

    async def begin(self, *given: Any, **named: Any) -> Any:
        self._die_at("begin")
        return await super().begin(*given, **named)

    async def sending(self, *given: Any, **named: Any) -> Any:
        self._die_at("sending")
        act = await super().sending(*given, **named)
        self._die_at("sent")
        return act

    async def settle(self, *given: Any, **named: Any) -> Any:
        self._die_at("settle")
        return await super().settle(*given, **named)


class Forgetful(Mortal):
    """No journal at all: what was done before is not known, so that nothing stands in the way of a repeat."""

    async def earlier(self, *given: Any, **named: Any) -> Act | None:
        del given, named
        return None

    async def begin(self, account: str, draft: Any, *given: Any, **named: Any) -> Any:
        from dataclasses import replace

        return await super().begin(
            account, replace(draft, is_harmless_twice=True, digest=draft.digest), *given, **named
        )


class Fixed:
    """A token that every sandbox takes."""

    async def token(self) -> str | None:
        return DEMO_TOKEN

    async def renew(self, refused: str) -> str | None:
        del refused
        return None


class Faulty(httpx2.AsyncBaseTransport):
    """The way to the sandbox, on which the next act meets a fault; reads pass."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        self.faults: list[str] = []
        self.posts: Counter[str] = Counter()
        self.leave: Callable[[], object] | None = None
        """Has a caller leave whom the service does not answer; without it their time is over."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a request on, or not."""
        if request.method == "GET":
            return await self._passed(request)
        fault = self.faults.pop(0) if self.faults else "none"
        self.posts[request.headers.get("idempotency-key", "")] += 1
        match fault:
            case "none":
                return await self._passed(request)
            case "refused":
                return httpx2.Response(422, json={"error": {"code": "safety_violation", "message": "No."}})
            case "no connection":
                raise httpx2.ConnectError("made up")
            case "cut before":
                raise httpx2.ReadError("made up")
            case "cut after":
                await self._passed(request)
                raise httpx2.ReadError("made up")
            case "empty":
                return httpx2.Response((await self._passed(request)).status_code)
            case "silent before":
                pass
            case _:
                await self._passed(request)
        if self.leave is not None:
            self.leave()
            await anyio.sleep_forever()
        raise httpx2.ReadTimeout("made up")

    async def _passed(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._inner.handle_async_request(request)
        body = await answer.aread()
        return httpx2.Response(answer.status_code, headers=answer.headers, content=body)


@dataclass
class Owner:
    """Whose acts they are."""

    key: str
    world: str = "sandbox"
    subject: str = ""


@dataclass
class Process:
    """One engine over the shared journal."""

    engine: Engine
    parts: Parts
    journal: Mortal
    wire: Faulty
    api: ApiClient


@dataclass
class Told:
    """What callers were told of one intent."""

    done: set[str] = field(default_factory=set[str])
    """Acts that were acknowledged."""
    unknown: set[str] = field(default_factory=set[str])
    """Acts whose outcome was said to be unknown."""


class Life:
    """Everything there is: a sandbox, a journal, and processes that come and go.

    Args:
        folder: Where the journal is.
        kind: Which journal the processes have.
        safety: The rules in force.
    """

    def __init__(self, folder: Path, kind: type[Mortal] = Mortal, safety: Safety = UNBOUND) -> None:
        self._folder = folder
        self._kind = kind
        self._safety = safety
        self.world = SandboxOptions.repeatable().world()
        account = self.world.need("account", "me")
        self.world.save("account", account | {"credits_allocated": 1e9})
        self._app = create_app(self.world)
        self._seeded = sqlite3.connect(":memory:", check_same_thread=False)
        self._store.backup(self._seeded)
        self._before = self._effects()
        self._number = 0
        self.owner = Owner("life-0")
        self.processes: dict[str, Process] = {}
        self.told: dict[str, Told] = {}

    @property
    def _store(self) -> sqlite3.Connection:
        return self.world._store._db  # pyright: ignore[reportPrivateUsage]  # the whole world is put back at once

    async def begin(self) -> None:
        """Begin a new history: the world as it was, and an account without a past."""
        for name in list(self.processes):
            await self.end(name)
        self._seeded.backup(self._store)
        self._number += 1
        self.owner = Owner(f"life-{self._number}")
        self.told = {name: Told() for name in INTENTS}

    async def end(self, name: str) -> None:
        """End a process; one that is killed is ended by its kernel in the same way."""
        process = self.processes.pop(name, None)
        if process is not None:
            await process.journal.aclose()
            await process.api.aclose()

    def process(self, name: str) -> Process:
        """Return a process, started if it is not there."""
        if name not in self.processes:
            wire = Faulty(self._app)
            api = ApiClient(ORIGIN, version=__version__, sandbox=True, transport=wire, sleep=_at_once)
            journal = self._kind(self._folder)
            settings = Settings(api_url=ORIGIN, state_dir=self._folder, safety=self._safety)
            tokens: Any = Fixed()
            owner: Any = self.owner
            parts = Parts(settings, api, tokens, Defaults(), owner, lambda _: None, journal)
            engine = Engine(api, tokens, Defaults(), {}, lambda: parts.acts, lambda: parts.reading)
            self.processes[name] = Process(engine, parts, journal, wire, api)
        return self.processes[name]

    async def run(
        self,
        name: str,
        intent: str,
        *,
        faults: list[str],
        dies_at: str | None = None,
        leaves: bool = False,
        again: bool = False,
    ) -> None:
        """Have a process run what is wanted, and note what it tells.

        Args:
            name: Which process.
            intent: What is wanted.
            faults: What becomes of its requests, in their order.
            dies_at: Where the process is killed.
            leaves: Whether the caller leaves while the service says nothing.
            again: Whether another one is wanted, where there was one.
        """
        process = self.process(name)
        process.wire.faults = list(faults)
        process.journal.dies_at = dies_at
        tool, arguments = INTENTS[intent]
        if again and (before := await self._latest(process, tool, arguments)) is not None:
            arguments = arguments | {"repeat_of": before}
        try:
            with anyio.move_on_after(60) as waiting:
                process.wire.leave = waiting.cancel if leaves else None
                result = await self.agreed(process, find(tool), arguments)
                self.told[intent].done.add(result.structured["_act"]["id"])
        except Killed:
            await self.end(name)
        except KallyError as error:
            self._note(intent, error)
        finally:
            if process.journal.is_dead:
                await self.end(name)

    async def look_up(self, name: str) -> None:
        """Have a process look up what is unknown; it may be killed at that as well."""
        process = self.process(name)
        try:
            await process.parts.settler.look_all()
        except Killed:
            await self.end(name)

    async def agreed(self, process: Process, command: Command, arguments: dict[str, Any]) -> Result:
        """Run; where a person is asked, since others' words were read just before, they agree."""
        try:
            return await process.engine.run(command, arguments)
        except ApprovalRequired as asked:
            await process.journal.decide(
                self.owner.key, asked.approval, agreed=True, how=Consent.ELICITATION, shown=asked.question
            )
        return await process.engine.run(command, arguments)

    def _note(self, intent: str, error: KallyError) -> None:
        details = error.details
        if details.get("outcome") in {"unknown", "not_found"}:
            assert error.retryable is False
            assert details["retry_safe"] is False
            self.told[intent].unknown.add(str(details["act"]))

    async def _latest(self, process: Process, tool: str, arguments: dict[str, Any]) -> str | None:
        acts = await process.journal.acts(self.owner.key, limit=None)
        equal = [a for a in acts if a.draft.tool == tool and a.draft.arguments == arguments]
        settled = [a for a in equal if a.state in {State.DONE, State.UNKNOWN, State.NOT_FOUND}]
        return settled[0].id if settled else None

    async def check(self, wanted: Counter[str]) -> None:
        """Check what has happened against what was told and what was wanted.

        Args:
            wanted: How often another one was asked for on purpose, by intent.
        """
        process = self.process("checker")
        await process.journal.recover(self.owner.key, "off")
        acts = await process.journal.acts(self.owner.key, limit=None)
        happened = self._effects()
        for intent, (tool, arguments) in INTENTS.items():
            mine = [a for a in acts if (a.draft.tool, a.draft.arguments) == (tool, arguments)]
            states = Counter(a.state for a in mine)
            effects = happened[intent] - self._before[intent]
            open_ = states[State.UNKNOWN] + states[State.NOT_FOUND]
            assert not states[State.PREPARED] + states[State.SENT], f"{intent}: left in between"
            assert effects <= 1 + wanted[intent], f"{intent}: happened {effects} times"
            assert states[State.DONE] <= effects <= states[State.DONE] + open_, f"{intent}: {effects} of {states}"
            done = {a.id for a in mine if a.state is State.DONE}
            assert self.told[intent].done <= done, f"{intent}: told to be done, and is not"
            assert self.told[intent].unknown <= done | {
                a.id for a in mine if a.state in {State.UNKNOWN, State.NOT_FOUND}
            }, f"{intent}: an unknown one is not reported"

    def _effects(self) -> Counter[str]:
        happened: Counter[str] = Counter()
        for intent, (_, arguments) in INTENTS.items():
            if "task" in arguments:
                orders = self.world.all("call")
                happened[intent] = sum(call["submission"]["task_description"] == arguments["task"] for call in orders)
            elif "subject" in arguments:
                happened[intent] = len(self.world.all("outbox_email", subject=arguments["subject"]))
            else:
                happened[intent] = len(self.world.all("action", type="ride"))
        return happened


async def _at_once(_: float) -> None:
    await anyio.lowlevel.checkpoint()
