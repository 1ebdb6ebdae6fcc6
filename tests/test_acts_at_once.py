"""Limits and approvals where much happens at once, in two processes: never one credit, call or use too much."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from histories import UNBOUND, Life

from kallyai_mcp.catalog import find
from kallyai_mcp.errors import ApprovalRequired, KallyError
from kallyai_mcp.model import Consent

if TYPE_CHECKING:
    from pathlib import Path

    from kallyai_mcp.safety import Safety

MANY = 200
CALL = find("kallyai_calls_make")
MAIL = find("kallyai_actions_email_send")


async def _all_at_once(life: Life, count: int, first: int = 0) -> Counter[str]:
    """Have two processes place so many calls, each another one; return how many came out how."""
    came: Counter[str] = Counter()

    async def one(number: int) -> None:
        process = life.process(("one", "two")[number % 2])
        arguments: dict[str, Any] = {"phone": "+12025550100", "task": f"Ask whether coat number {number} is mended"}
        try:
            await life.agreed(process, CALL, arguments)
        except KallyError as error:
            came[str(error.details.get("limit", error.error_code))] += 1
        else:
            came["done"] += 1

    async with anyio.create_task_group() as group:
        for number in range(first, first + count):
            group.start_soon(one, number)
    return came


def _spent(life: Life) -> float:
    return life.world.need("account", "me")["credits_used"]


@pytest.mark.parametrize(
    ("rules", "limit"),
    [
        (replace(UNBOUND, max_credits_per_hour=20.0), "max_credits_per_hour"),
        (replace(UNBOUND, max_credits_per_day=20.0), "max_credits_per_day"),
    ],
    ids=["hour", "day"],
)
@pytest.mark.anyio
async def test_many_calls_at_once_never_cost_a_credit_too_much(tmp_path: Path, rules: Safety, limit: str) -> None:
    life = Life(tmp_path, safety=rules)
    await life.begin()
    before = _spent(life)
    came = await _all_at_once(life, MANY)
    assert came.keys() == {"done", limit}
    assert came["done"] >= 5
    assert 0 < _spent(life) - before <= 20.0
    usage = await life.process("one").journal.usage(life.owner.key)
    assert usage.credits_day == pytest.approx(_spent(life) - before)  # settled by what was charged
    assert usage.in_flight == 0
    for name in ("one", "two"):
        await life.end(name)


@pytest.mark.anyio
async def test_many_calls_at_once_are_no_more_than_the_hour_allows(tmp_path: Path) -> None:
    life = Life(tmp_path, safety=replace(UNBOUND, max_calls_per_hour=10))
    await life.begin()
    before = len(life.world.all("call"))
    came = await _all_at_once(life, MANY)
    assert came == {"done": 10, "max_calls_per_hour": MANY - 10}
    assert len(life.world.all("call")) - before == 10
    for name in ("one", "two"):
        await life.end(name)
    assert await _all_at_once(life, 5, first=MANY) == {"max_calls_per_hour": 5}  # a restart forgets nothing
    for name in ("one", "two"):
        await life.end(name)


@pytest.mark.anyio
async def test_one_approval_is_one_act_however_many_come_with_it(tmp_path: Path) -> None:
    life = Life(tmp_path, safety=replace(UNBOUND, approval="ask"))
    await life.begin()
    arguments = {"to": "desk@hotel.example", "subject": "Parking", "body": "One space."}
    with pytest.raises(ApprovalRequired) as missing:
        await life.process("one").engine.run(MAIL, arguments)
    approval = str(missing.value.details["approval"])
    shown = missing.value.question
    await life.process("two").journal.decide(life.owner.key, approval, agreed=True, how=Consent.PAGE, shown=shown)
    came: Counter[str] = Counter()

    async def run(name: str) -> None:
        try:
            result = await life.process(name).engine.run(MAIL, arguments)
        except KallyError as error:
            came[error.error_code] += 1
        else:
            came["earlier" if "_earlier" in result.structured else "done"] += 1

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(run, ("one", "two")[number % 2])
    assert came["done"] == 1
    assert came.keys() <= {"done", "earlier", "act_under_way", "approval_used", "approval_required"}
    assert len(life.world.all("outbox_email", to="desk@hotel.example")) == 1
    for name in ("one", "two"):
        await life.end(name)
