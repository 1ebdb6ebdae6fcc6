"""The state of one sandbox: documents, a queue of events, an account that pays. All of it lives in the store."""

from __future__ import annotations

import hashlib
import logging
import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from kallyai_mcp.model.codes import UPGRADE_PAGE
from kallyai_mcp.model.sandbox_marks import ID_PREFIX
from kallyai_mcp.sandbox.clock import SandboxClock, iso, moment
from kallyai_mcp.sandbox.refusal import Refusal
from kallyai_mcp.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kallyai_mcp.sandbox.area import Area, Handler, Happening

logger = logging.getLogger(__name__)
AreaEvent = TypeVar("AreaEvent")

_TIME_WRITTEN_EVERY = timedelta(seconds=10)
"""How far the clock in the file may be behind: a world that is killed goes on from there."""


class World:
    """Everything a sandbox knows. The same seed and the same requests make the same world."""

    def __init__(
        self,
        seed: int = 1,
        *,
        clock: SandboxClock | None = None,
        file: Path | None = None,
        areas: Sequence[Area] | None = None,
    ) -> None:
        """Make a world, or go on with the one in `file`.

        Args:
            seed: Decides every identifier and every chance.
            clock: Its time; the present one at the usual speed if not given.
            file: Database to keep it in; in memory if not given.
            areas: The subjects it knows; all of them if not given.
        """
        if areas is None:
            from kallyai_mcp.sandbox.areas import AREAS as areas  # noqa: N811 - the default of the parameter
        self.clock = clock or SandboxClock()
        self.seed = seed
        self.origin = "http://127.0.0.1"
        """Where it is served; addresses in its answers begin with it."""
        self.random = random.Random(seed)  # noqa: S311 - chance in a world that must be repeatable
        self.handlers: dict[str, Handler] = {}
        self.events: dict[str, Happening] = {}
        self._areas = tuple(areas)
        for area in self._areas:
            _merge(self.handlers, area.handlers)
            _merge(self.events, area.events)
        self._store = Store(file)
        self._written = self.clock.now()
        self._change = anyio.Event()
        self._begin()

    def _begin(self) -> None:
        with self._store.transaction():
            last = self._store.fact("clock")
            if last is None:
                self._store.state("seed", str(self.seed))
                self._write_time()
                for area in self._areas:
                    for seed in area.seeders:
                        seed(self)
                return
        self.seed = int(self._store.fact("seed") or self.seed)
        self.random.seed(f"{self.seed}:{self._store.fact('ids')}")
        self.clock.catch_up(moment(last), moment(self._store.fact("wall") or last))

    def reset(self, seed: int | None = None, *, start: datetime | None = None) -> None:
        """Forget everything and begin anew, tokens included; `start` puts the clock."""
        self.seed = self.seed if seed is None else seed
        self.random.seed(self.seed)
        self._store.clear()
        if start is not None:
            self.clock.restart(start)
        self._begin()
        self.changed()

    def close(self) -> None:
        """Write down the time and close the store."""
        self._write_time()
        self._store.close()

    def _write_time(self) -> None:
        self._written = self.clock.now()
        self._store.state("clock", self._written.isoformat())
        self._store.state("wall", self.clock.wall().isoformat())

    def transaction(self) -> Any:
        """Keep all that a block writes, or nothing of it if it raises. The block must not wait."""
        return self._store.transaction()

    # Documents

    def now(self) -> str:
        """Return the time in the world, ISO 8601 in UTC with Z."""
        return iso(self.clock.now())

    def new_id(self, kind: str) -> str:
        """Return an identifier never used before in this world: `sbx_<kind>_` and twelve hexadecimal digits."""
        return self._counted(kind, "ids")

    def new_request_id(self) -> str:
        """Return the identifier of a request. They are counted by themselves: looking on changes no other one."""
        return self._counted("req", "requests")

    def _counted(self, kind: str, counter: str) -> str:
        digest = hashlib.sha256(f"{self.seed}:{kind}:{self._store.count(counter)}".encode()).hexdigest()
        return f"{ID_PREFIX}{kind}_{digest[:12]}"

    def add(self, kind: str, data: dict[str, Any], *, id: str | None = None) -> dict[str, Any]:  # noqa: A002 - the field's name in every document
        """Store a new document and return it, with its `id`."""
        key = id or data.get("id") or self.new_id(kind)
        stored = {"id": key} | data | {"id": key}
        self._store.insert(kind, key, stored)
        self.changed()
        return stored

    def get(self, kind: str, id: str) -> dict[str, Any] | None:  # noqa: A002 - the field's name in every document
        """Return a document, or None."""
        return self._store.find(kind, id)

    def need(self, kind: str, id: str, code: str | None = None) -> dict[str, Any]:  # noqa: A002 - the field's name in every document
        """Return a document.

        Raises:
            Refusal: There is none: the documented code, or a bare 404.
        """
        found = self._store.find(kind, id)
        if found is None:
            raise Refusal(code, None if code else f"There is no {kind.replace('_', ' ')} with this id.", status=404)
        return found

    def save(self, kind: str, data: dict[str, Any]) -> None:
        """Replace a document by its `id`; it keeps its place in the order."""
        self._store.replace(kind, data["id"], data)
        self.changed()

    def delete(self, kind: str, id: str) -> None:  # noqa: A002 - the field's name in every document
        """Remove a document."""
        self._store.remove(kind, id)
        self.changed()

    def all(self, kind: str, **equal: Any) -> list[dict[str, Any]]:
        """Return the documents of a kind whose fields have the values given, in order of creation."""
        documents = self._store.list(kind)
        return [d for d in documents if all(d.get(field) == value for field, value in equal.items())]

    def counts(self) -> dict[str, int]:
        """Return how many documents there are of each kind."""
        return self._store.counts()

    # Credits and actions

    def can_pay(self, credits: float) -> bool:  # noqa: A002 - the unit of billing
        """Whether the balance covers an amount."""
        account = self.need("account", "me")
        return account["credits_used"] + credits <= account["credits_allocated"] + 1e-9

    def charge(
        self,
        credits: float,  # noqa: A002 - the unit of billing
        *,
        type: str,  # noqa: A002 - the field's name in the ledger
        description: str,
        goal_id: str | None = None,
    ) -> None:
        """Take credits from the account and enter it in the ledger.

        Raises:
            Refusal: `quota_exceeded`, when the balance does not cover it; nothing is charged then.
        """
        account = self.need("account", "me")
        if not self.can_pay(credits):
            facts = {
                name: account[name] for name in ("plan_type", "credits_allocated", "credits_used") if name in account
            }
            raise Refusal("quota_exceeded", details=facts | {"upgrade_url": UPGRADE_PAGE})
        self.save("account", account | {"credits_used": round(account["credits_used"] + credits, 2)})
        entry = {"type": type, "description": description, "credits": round(credits, 2), "timestamp": self.now()}
        self.add("ledger", entry | ({"goal_id": goal_id} if goal_id else {}))

    def act(
        self,
        type: str,  # noqa: A002 - the field's name in the log
        description: str,
        *,
        undoable: bool = False,
        undo: dict[str, Any] | None = None,
        status: str = "completed",
    ) -> dict[str, Any]:
        """Enter an action in the log. `undo` names the event, and its data, that takes the action back."""
        action = {
            "type": type,
            "description": description,
            "status": status,
            "created_at": self.now(),
            "undoable": undoable,
            "undo": undo,
        }
        return self.add("action", action)

    # Time

    def later(self, seconds: float, event: str, **data: Any) -> None:
        """Let an event happen so many seconds from now by the sandbox's clock. It outlives a restart."""
        if event not in self.events:
            raise ValueError(f"no area knows the event {event}")
        due = self.clock.now() + timedelta(seconds=seconds)
        self._store.push(due.isoformat(timespec="microseconds"), event, data)
        self.changed()

    def happen(self, event: str, **data: Any) -> None:
        """Let an event happen at once."""
        with self._store.transaction():
            self.events[event](self, data)

    def run_due(self) -> None:
        """Run, in order, every event that is due by now, each at its own moment."""
        now = self.clock.now()
        while (due := self._store.next()) is not None and (at := moment(due.due)) <= now:
            # Dropped first: an event that fails is not tried for ever, and one that another process took is left to it.
            if self._store.drop(due.position) and due.name in self.events:
                with self.clock.showing(at), self._store.transaction():
                    self.events[due.name](self, due.data)
        if abs(now - self._written) >= _TIME_WRITTEN_EVERY:
            self._write_time()

    async def until(self, end: datetime | float) -> None:
        """Wait for a moment, or for so many seconds, by the sandbox's clock; events run meanwhile."""
        if not isinstance(end, datetime):
            end = self.clock.now() + timedelta(seconds=end)
        self.run_due()
        while self.clock.now() < end:
            due = self._store.next()
            await self._changed_or(end if due is None else min(end, moment(due.due)))
            self.run_due()

    async def _changed_or(self, end: datetime) -> None:
        # Another task may queue an earlier event while this one waits.
        change = self._change

        async def watch() -> None:
            await change.wait()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await self.clock.until(end)
            group.cancel_scope.cancel()

    async def keep_running(self) -> None:
        """Run events as they come due, for as long as the sandbox is served."""
        while True:
            try:
                self.run_due()
            except Exception:
                logger.exception("An event of the sandbox failed")
            due = self._store.next()
            change = self._change
            if due is None or self.clock.speed in (0, float("inf")):
                await change.wait()
            else:
                await self._changed_or(moment(due.due))

    def changed(self) -> None:
        """Wake whoever watches the world, such as the live page."""
        waiting, self._change = self._change, anyio.Event()
        waiting.set()

    async def change(self) -> None:
        """Wait for the next change."""
        await self._change.wait()


def _merge(known: dict[str, AreaEvent], more: dict[str, AreaEvent]) -> None:
    if twice := known.keys() & more.keys():
        raise ValueError(f"two areas know {', '.join(sorted(twice))}")
    known.update(more)
