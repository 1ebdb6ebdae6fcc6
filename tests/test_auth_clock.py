"""A wall clock that jumps, and lifetimes that are not true: both cost one refresh too many at most, and no run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest
from auth_world import Refreshing, VirtualClock, session_in, write_pair
from full import share
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from kallyai_mcp.auth.session import Session

HOUR = 3600.0
YEARS = 10 * 365 * 24 * HOUR
JUMPS = (HOUR, -HOUR, YEARS, -YEARS)
STEP = 300.0


class Timed(Refreshing):
    """A service by the true time: an access token is good for an hour, whatever the clock of this machine says."""

    def __init__(self, clock: VirtualClock, states: object = 3600) -> None:
        super().__init__()
        self.clock = clock
        self.states = states
        self.since = 0.0
        self.jump = 0.0
        """How far the wall clock jumps while a refresh is under way; once."""
        inner = self.routes["/v1/auth/refresh"]

        def refresh(request: httpx2.Request) -> httpx2.Response:
            answer = inner(request)
            self.clock.pass_(1.0)
            self.clock.wall += self.jump
            self.jump, self.since = 0.0, self.clock.elapsed
            if answer.status_code != 200:
                return answer
            fields = {"access_token": f"at-{self.issued}", "refresh_token": f"rt-{self.issued}"}
            return httpx2.Response(200, json=fields | ({} if self.states is ... else {"expires_in": self.states}))

        self.at("/v1/auth/refresh", refresh)

    def accepts(self, token: str | None) -> bool:
        return token == f"at-{self.issued}" and self.clock.elapsed - self.since < HOUR


async def work(session: Session, service: Timed, runs: int = 3) -> None:
    """Run as the API client does: with the token, and once more with another one after a 401."""

    async def run() -> None:
        token = await session.token()
        if not service.accepts(token):
            assert token is not None
            token = await session.renew(token)
        assert service.accepts(token)

    async with anyio.create_task_group() as group:
        for _ in range(runs):
            group.start_soon(run)


def refreshes(jump: float, at: int, *, inside: bool) -> int:
    """Work for four hours, with a jump at one of the steps; how many refreshes that took."""
    clock = VirtualClock()
    service = Timed(clock)
    with tempfile.TemporaryDirectory() as folder:
        write_pair(Path(folder), seconds=3000)
        session = session_in(Path(folder), service, clock)

        async def four_hours() -> None:
            for step in range(int(4 * HOUR / STEP)):
                if step == at:
                    if inside:
                        service.jump = jump
                    else:
                        clock.wall += jump
                await work(session, service)
                clock.pass_(STEP)

        anyio.run(four_hours)
    assert not service.revoked
    return service.issued


UNDISTURBED = 4
"""Refreshes in four hours: for the first hour's token, and then one about every fifty minutes."""


def test_without_a_jump_there_is_one_refresh_for_each_token() -> None:
    assert refreshes(0.0, 0, inside=False) == UNDISTURBED


@given(jump=st.sampled_from(JUMPS) | st.floats(-YEARS, YEARS), at=st.integers(0, 47), inside=st.booleans())
@settings(max_examples=share(40, 1000), deadline=None)
def test_a_jump_of_the_clock_costs_one_refresh_too_many_at_most_and_no_run(jump: float, at: int, inside: bool) -> None:
    assert refreshes(jump, at, inside=inside) <= UNDISTURBED + 1


WRONG: tuple[object, ...] = (..., None, 0, -1, 0.2, 1, 5, 59, 60, "1", "soon", True, [], {}, 1e12, 10**400, 86400)


@pytest.mark.parametrize("states", WRONG, ids=lambda value: str(value)[:9])
@pytest.mark.parametrize("jump", [0.0, *JUMPS])
def test_a_lifetime_that_is_not_true_costs_those_who_wait_one_refresh_too_many_at_most(
    tmp_path: Path, states: object, jump: float
) -> None:
    write_pair(tmp_path, seconds=-1)
    clock = VirtualClock()
    service = Timed(clock, states)
    service.jump = jump
    session = session_in(tmp_path, service, clock)

    async def twice() -> None:
        await work(session, service, 50)
        await work(session, service, 50)

    anyio.run(twice)
    assert service.issued <= (2 if jump else 1)


def test_several_processes_spread_their_refreshes_over_a_minute_before_the_last_ten() -> None:
    """Each session draws its own moment; nobody refreshes earlier than eleven minutes ahead, nor later than ten."""
    with tempfile.TemporaryDirectory() as folder:
        leads: set[float] = set()
        for drawn in (0.0, 0.25, 0.5, 1.0):
            clock = VirtualClock()
            service = Timed(clock)
            write_pair(Path(folder), seconds=700)
            session = session_in(Path(folder), service, clock)
            session = type(session)(session.settings, http=service.http, clock=clock, jitter=lambda drawn=drawn: drawn)

            async def until_refreshed(session: Session = session, service: Timed = service) -> float:
                start = service.clock.elapsed
                while not service.issued:
                    await session.token()
                    service.clock.pass_(1.0)
                return 700 - (service.since - start)

            leads.add(anyio.run(until_refreshed))
        assert len(leads) == 4
        assert all(598 <= lead <= 661 for lead in leads)
