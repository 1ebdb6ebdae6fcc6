"""What an act brings and costs is written down once it is over, also where it was found while it still went on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from histories import INTENTS, Life

from kallyai_mcp.catalog import find
from kallyai_mcp.errors import ActRefused, KallyError
from kallyai_mcp.model import State

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from kallyai_mcp.model.records import Act

pytestmark = pytest.mark.anyio

TOOL, ARGUMENTS = INTENTS["call"]
PRICE = {"credits_used": 1.1}


@pytest.fixture
async def life(tmp_path: Path) -> AsyncGenerator[Life]:
    life = Life(tmp_path)
    await life.begin()
    yield life
    for name in list(life.processes):
        await life.end(name)


class Line:
    """What the service shows of every call, in place of what the sandbox does."""

    def __init__(self, read: Any) -> None:
        self.shown: dict[str, Any] = {"status": "ringing"}
        self._read = read

    async def read(self, name: str, arguments: Any) -> Any:
        answer = await self._read(name, arguments)
        if name != "calls history" or answer is None:
            return answer
        kept = ("call_id", "to", "created_at", "submission")
        return {"items": [{field: item.get(field) for field in kept} | self.shown for item in answer["items"]]}


async def lost(life: Life, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Line]:
    """Place a call, lose its answer, and find it while it rings."""
    process = life.process("one")
    line = Line(process.parts.reader.read)
    monkeypatch.setattr(process.parts.reader, "read", line.read)
    process.wire.faults = ["cut after", "no connection", "no connection"]
    with pytest.raises(KallyError):
        await process.engine.run(find(TOOL), ARGUMENTS)
    await process.parts.settler.look_all()
    return process, line


async def only(life: Life, process: Any) -> Act:
    (act,) = await process.journal.acts(life.owner.key, limit=None)
    return act


async def outcomes(life: Life, process: Any) -> list[tuple[str, float | None]]:
    receipts = await process.journal.receipts(life.owner.key)
    return [(line["outcome"], line["charged"]) for line in (json.loads(receipt.line) for receipt in receipts)]


async def test_a_call_that_was_found_while_it_rang_is_charged_once_it_is_over(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, line = await lost(life, monkeypatch)
    ringing = await only(life, process)
    assert (ringing.state, ringing.charged) == (State.DONE, None)
    set_aside = (await process.journal.usage(life.owner.key)).credits_hour
    assert set_aside > PRICE["credits_used"]
    line.shown = {"status": "success", **PRICE}
    await process.parts.settler.look_all()
    over = await only(life, process)
    assert (over.state, over.charged, (over.answer or {})["status"]) == (State.DONE, 1.1, "success")
    assert over.settled == ringing.settled
    assert (await process.journal.usage(life.owner.key)).credits_hour == pytest.approx(1.1)
    await process.parts.settler.look_all()
    assert await outcomes(life, process) == [("unknown", None), ("done", None), ("charged", 1.1)]


async def test_whoever_asks_again_is_told_how_it_ended(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    process, line = await lost(life, monkeypatch)
    line.shown = {"status": "cancelled", "credits_used": 0.0}
    again = (await process.engine.run(find(TOOL), ARGUMENTS)).structured
    assert (again["status"], again["_act"]["charged_credits"]) == ("cancelled", 0.0)
    assert "_earlier" in again
    assert (await process.journal.usage(life.owner.key)).credits_hour == 0.0


async def test_a_call_that_is_over_and_whose_price_is_not_shown_keeps_what_was_set_aside_and_is_looked_at_no_more(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, line = await lost(life, monkeypatch)
    before = await process.journal.usage(life.owner.key)
    line.shown = {"status": "success"}
    await process.parts.settler.look_all()
    act = await only(life, process)
    assert ((act.answer or {})["status"], act.charged) == ("success", None)
    assert not process.parts.settler.is_going_on(act)
    assert await process.journal.usage(life.owner.key) == before
    assert await outcomes(life, process) == [("unknown", None), ("done", None)]


async def test_a_charge_is_written_once_and_for_what_was_done_only(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    process, _ = await lost(life, monkeypatch)
    act, account = await only(life, process), life.owner.key
    for amount in (1.1, 2.2):
        charged = await process.journal.charge(account, act.id, answer={"status": "success"}, charged=amount)
        assert charged.charged == 1.1
    with pytest.raises(ActRefused):
        await process.journal.charge("nobody", act.id, answer={}, charged=1.0)
