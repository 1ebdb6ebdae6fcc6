"""The world of the sandbox: its clocks, its store, its events, its account, its tokens."""

from __future__ import annotations

import math
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.model.codes import CODES
from kallyai_mcp.sandbox import tokens
from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.clock import FIXED_START, SandboxClock, iso
from kallyai_mcp.sandbox.refusal import Refusal
from kallyai_mcp.sandbox.world import World

if TYPE_CHECKING:
    from pathlib import Path


class Ticks:
    """Real seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def small_area() -> Area:
    area = Area()

    @area.event("ring")
    def ring(world: World, data: dict[str, Any]) -> None:
        world.add("ring", {"at": world.now()})
        if data["more"]:
            world.later(5, "ring", more=data["more"] - 1)

    @area.event("burn")
    def burn(world: World, _: dict[str, Any]) -> None:
        world.add("ring", {"at": "never kept"})
        raise RuntimeError("this event fails")

    @area.seeds
    def account(world: World) -> None:
        facts = {"plan_type": "starter", "credits_allocated": 3, "credits_used": 1}
        world.add("account", facts, id="me")

    return area


def small_world(speed: float = math.inf, file: Path | None = None, **more: Any) -> World:
    return World(areas=[small_area()], clock=SandboxClock(FIXED_START, speed=speed, **more), file=file)


def test_the_world_runs_faster_than_the_wall() -> None:
    real = Ticks()
    clock = SandboxClock(FIXED_START, speed=20, real=real)
    real.seconds = 3
    assert (iso(clock.now()), iso(clock.wall())) == ("2026-03-02T09:01:00Z", "2026-03-02T09:00:03Z")


def test_putting_the_clock_moves_the_wall_as_far() -> None:
    clock = SandboxClock(FIXED_START, speed=0, real=Ticks())
    clock.advance(60)
    clock.set(FIXED_START + timedelta(hours=1))
    assert (iso(clock.now()), iso(clock.wall())) == ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z")


def test_a_change_of_speed_loses_no_time() -> None:
    real = Ticks()
    clock = SandboxClock(FIXED_START, speed=10, real=real)
    real.seconds = 1
    clock.speed = 0
    real.seconds = 100
    assert iso(clock.now()) == "2026-03-02T09:00:10Z"


@pytest.mark.parametrize("speed", [-1, math.nan])
def test_time_does_not_run_backwards(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        SandboxClock(FIXED_START, speed=speed)


@pytest.mark.anyio
async def test_a_standing_clock_ends_a_wait_when_it_is_advanced() -> None:
    clock = SandboxClock(FIXED_START, speed=0)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(clock.until, FIXED_START + timedelta(seconds=30))
            await anyio.wait_all_tasks_blocked()
            clock.advance(30)


@pytest.mark.anyio
async def test_events_happen_in_order_each_at_its_own_moment() -> None:
    world = small_world()
    world.later(20, "ring", more=0)
    world.later(10, "ring", more=3)
    with anyio.fail_after(60):
        await world.until(60)
    at = [f"2026-03-02T09:00:{seconds}Z" for seconds in ("10", "15", "20", "20", "25")]
    assert [ring["at"] for ring in world.all("ring")] == at


@pytest.mark.anyio
async def test_an_event_queued_during_a_wait_happens_in_it() -> None:
    world = small_world(speed=0)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(world.until, 60)
            await anyio.wait_all_tasks_blocked()
            world.later(1, "ring", more=0)
            world.clock.advance(60)
    assert len(world.all("ring")) == 1


@pytest.mark.anyio
async def test_events_show_while_something_waits_longer() -> None:
    world = small_world(speed=0)
    world.later(10, "ring", more=0)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(world.until, 60)
            await anyio.wait_all_tasks_blocked()
            world.clock.advance(10)
            await anyio.wait_all_tasks_blocked()
            assert [ring["at"] for ring in world.all("ring")] == ["2026-03-02T09:00:10Z"]
            world.clock.advance(50)


@pytest.mark.anyio
async def test_a_failing_event_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = small_world()
    world.later(0, "burn")
    world.later(0, "ring", more=0)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(world.keep_running)
            await anyio.wait_all_tasks_blocked()
            world.changed()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert [ring["at"] for ring in world.all("ring")] == ["2026-03-02T09:00:00Z"]
    assert [record.message for record in caplog.records] == ["An event of the sandbox failed"]


def test_an_event_nobody_knows_cannot_be_queued() -> None:
    with pytest.raises(ValueError, match="no area knows"):
        small_world().later(1, "rings")


def test_documents_keep_their_place_when_they_change() -> None:
    world = small_world()
    first = world.add("goal", {"title": "a"})
    world.add("goal", {"title": "b"}, id="sbx_goal_b")
    world.save("goal", first | {"title": "c"})
    assert [goal["title"] for goal in world.all("goal")] == ["c", "b"]
    assert world.all("goal", title="b") == [{"id": "sbx_goal_b", "title": "b"}]
    world.delete("goal", "sbx_goal_b")
    assert world.get("goal", "sbx_goal_b") is None


def test_what_is_missing_is_refused_with_its_documented_code_or_a_bare_404() -> None:
    world = small_world()
    with pytest.raises(Refusal) as coded:
        world.need("goal", "nothing", "goal_not_found")
    with pytest.raises(Refusal) as bare:
        world.need("phone_number", "nothing")
    assert (coded.value.code, coded.value.status) == ("goal_not_found", 404)
    assert (bare.value.code, bare.value.status, bare.value.message) == (
        None,
        404,
        "There is no phone number with this id.",
    )


def test_the_same_seed_makes_the_same_world() -> None:
    def identifiers(seed: int) -> list[str]:
        world = World(seed, areas=[small_area()], clock=SandboxClock(FIXED_START, speed=0))
        return [world.new_id("call"), world.new_id("call"), world.new_id("goal"), str(world.random.random())]

    assert identifiers(1) == identifiers(1)
    assert set(identifiers(1)).isdisjoint(identifiers(2))
    assert len(set(identifiers(1))) == 4


def test_a_charge_is_entered_in_the_ledger() -> None:
    world = small_world()
    world.charge(1.7, type="call", description="Call to Corner Bakery", goal_id="sbx_goal_1")
    assert world.need("account", "me")["credits_used"] == 2.7
    (entry,) = world.all("ledger")
    assert entry == {
        "id": entry["id"],
        "type": "call",
        "description": "Call to Corner Bakery",
        "credits": 1.7,
        "timestamp": "2026-03-02T09:00:00Z",
        "goal_id": "sbx_goal_1",
    }


def test_what_the_balance_does_not_cover_is_refused_and_not_charged() -> None:
    world = small_world()
    world.charge(2, type="call", description="all that is left")
    with pytest.raises(Refusal) as refused:
        world.charge(0.1, type="search", description="one more")
    assert (refused.value.code, refused.value.status) == ("quota_exceeded", 402)
    assert refused.value.details == {
        "plan_type": "starter",
        "credits_allocated": 3,
        "credits_used": 3,
        "upgrade_url": "https://kallyai.com/app?upgrade=true",
    }
    assert len(world.all("ledger")) == 1


def test_a_transaction_that_fails_leaves_nothing() -> None:
    world = small_world()
    with pytest.raises(ValueError, match="already"), world.transaction():
        list(map(partial(world.add, "goal"), [{"id": "sbx_goal_1"}] * 2))
    assert world.all("goal") == []


def test_a_world_in_a_file_goes_on_where_it_was_left(tmp_path: Path) -> None:
    file = tmp_path / "world.db"
    world = small_world(0, file)
    world.later(100, "ring", more=0)
    first = world.new_id("call")
    world.clock.advance(50)
    world.close()

    again = small_world(0, file)
    assert again.now() == "2026-03-02T09:00:50Z"
    assert again.new_id("call") != first
    again.clock.advance(50)
    again.run_due()
    assert again.counts() == {"account": 1, "ring": 1}
    again.close()


@pytest.mark.parametrize("content", [b"this is no database, and long enough to be seen as none" * 40, None])
def test_a_file_that_is_no_world_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "world.db"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(InvalidSettings, match=r"world\.db"):
        small_world(file=file)


def test_two_worlds_on_one_file_share_it(tmp_path: Path) -> None:
    one, two = (small_world(0, tmp_path / "new" / "world.db") for _ in range(2))
    assert one.new_id("call") != two.new_id("call")
    one.later(10, "ring", more=0)
    for world in (one, two):
        world.clock.advance(10)
        world.run_due()
    assert two.counts() == {"account": 1, "ring": 1}
    one.close()
    two.close()


def test_reset_begins_anew() -> None:
    world = small_world(0)
    before = world.new_id("goal")
    world.add("goal", {})
    world.clock.advance(1000)
    world.reset(start=FIXED_START)
    assert (world.counts(), world.now(), world.new_id("goal")) == ({"account": 1}, "2026-03-02T09:00:00Z", before)


def test_a_token_is_good_for_an_hour_by_the_wall() -> None:
    real = Ticks()
    world = small_world(20, real=real)
    pair = tokens.issue(world, ["calls:read"])
    real.seconds = 3599
    assert tokens.lookup(world, pair.access_token) == tokens.Access(frozenset({"calls:read"}))
    real.seconds = 3600
    assert tokens.lookup(world, pair.access_token) is None


def test_advancing_the_clock_lets_a_token_expire_but_not_the_demo_token() -> None:
    world = small_world()
    pair = tokens.issue(world)
    world.clock.advance(3600)
    assert tokens.lookup(world, pair.access_token) is None
    assert tokens.lookup(world, tokens.DEMO_TOKEN) is not None


def test_a_refresh_rotates_and_keeps_the_scopes() -> None:
    world = small_world()
    first = tokens.issue(world, ["calls:read"])
    second = tokens.refresh(world, first.refresh_token)
    assert second is not None
    assert second.scopes == ("calls:read",)
    assert {first.access_token, first.refresh_token}.isdisjoint({second.access_token, second.refresh_token})
    assert all(text.startswith("kallyai_sandbox_") for text in (second.access_token, second.refresh_token))


def test_a_refresh_token_used_twice_ends_its_family_only() -> None:
    world = small_world()
    first, other = tokens.issue(world), tokens.issue(world)
    second = tokens.refresh(world, first.refresh_token)
    assert second is not None
    assert tokens.refresh(world, first.refresh_token) is None
    assert tokens.lookup(world, second.access_token) is None
    assert tokens.refresh(world, second.refresh_token) is None
    assert tokens.lookup(world, other.access_token) is not None


@pytest.mark.parametrize("code", CODES)
def test_both_forms_of_the_envelope_are_as_documented(code: str) -> None:
    refusal = Refusal(code, "text for people", {"reason": "optional background"})
    assert refusal.status == CODES[code].http_status
    assert refusal.envelope("c1") == {
        "error": {
            "code": code,
            "message": "text for people",
            "details": {"reason": "optional background"},
            "correlation_id": "c1",
        }
    }
    assert refusal.envelope("c1", "b") == {
        "error": {
            "code": code,
            "details": {"message": "text for people", "reason": "optional background"},
            "correlation_id": "c1",
        }
    }


def test_a_code_that_is_not_documented_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        Refusal("no_such_code")
