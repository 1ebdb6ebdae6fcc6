"""Random histories of acts: run, repeated, cancelled, cut, killed, restarted, all at once; nothing happens twice.

What was acknowledged happened exactly once, and every act that may have happened without is reported as unknown.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from full import share
from histories import FAULTS, INTENTS, Forgetful, Life, Mortal
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

if TYPE_CHECKING:
    from collections.abc import Generator

    from anyio.from_thread import BlockingPortal

HISTORIES = share(150, 1_250)
SHARES = share(1, 8)
"""Of all histories, for as many cores as there are."""

STEPS = 8

NAMES = st.sampled_from(["one", "two"])
WANTED = st.sampled_from(sorted(INTENTS))
MISHAPS = st.lists(st.sampled_from(FAULTS), max_size=3)
DEATHS = st.sampled_from(["begin", "sending", "sent", "settle"])


class History(RuleBasedStateMachine):
    """One history; `life` and `portal` are shared by all of them."""

    life: Life
    portal: BlockingPortal

    def __init__(self) -> None:
        super().__init__()
        self.wanted: Counter[str] = Counter()

    @initialize()
    def begin(self) -> None:
        self.portal.call(self.life.begin)

    @rule(name=NAMES, intent=WANTED, faults=MISHAPS)
    def run(self, name: str, intent: str, faults: list[str]) -> None:
        self._do(name, intent, faults=faults)

    @rule(name=NAMES, intent=WANTED)
    def run_again(self, name: str, intent: str) -> None:
        """Another one is wanted, and asked for as such."""
        self.wanted[intent] += 1
        self._do(name, intent, faults=[], again=True)

    @rule(name=NAMES, intent=WANTED, fault=st.sampled_from(["silent before", "silent after"]))
    def run_and_leave(self, name: str, intent: str, fault: str) -> None:
        self._do(name, intent, faults=[fault], leaves=True)

    @rule(name=NAMES, intent=WANTED, dies_at=DEATHS, faults=MISHAPS)
    def run_and_be_killed(self, name: str, intent: str, dies_at: str, faults: list[str]) -> None:
        self._do(name, intent, faults=faults, dies_at=dies_at)

    @rule(intent=WANTED, count=st.integers(2, 4), faults=MISHAPS)
    def run_at_once(self, intent: str, count: int, faults: list[str]) -> None:
        async def all_at_once() -> None:
            async with anyio.create_task_group() as group:
                for number in range(count):
                    name = ("one", "two")[number % 2]

                    async def one(name: str = name) -> None:
                        await self.life.run(name, intent, faults=faults)

                    group.start_soon(one)

        self.portal.call(all_at_once)

    @rule(name=NAMES)
    def restart(self, name: str) -> None:
        self.portal.call(self.life.end, name)

    @rule(name=NAMES)
    def look_up(self, name: str) -> None:
        """Unknown ones are looked up, as happens by itself after a while."""
        self.portal.call(self.life.look_up, name)

    def teardown(self) -> None:
        self.portal.call(self.life.check, self.wanted)

    def _do(self, name: str, intent: str, **how: Any) -> None:
        async def run() -> None:
            await self.life.run(name, intent, **how)

        self.portal.call(run)


@contextmanager
def histories(folder: Path, kind: type[Mortal]) -> Generator[type[History]]:
    with start_blocking_portal() as portal:

        class Bound(History):
            life = Life(folder, kind)

        Bound.portal = portal
        yield Bound


def _settings(count: int, *, shrinks: bool = True) -> settings:
    return settings(
        phases=[Phase.generate, *([Phase.shrink] if shrinks else [])],
        max_examples=count,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        print_blob=False,
    )


@pytest.mark.parametrize("_", range(SHARES))
def test_nothing_happens_twice_and_what_is_told_is_true(tmp_path: Path, _: int) -> None:
    with TemporaryDirectory(dir=_quick(tmp_path)) as folder, histories(Path(folder), Mortal) as history:
        run_state_machine_as_test(history, settings=_settings(HISTORIES))


def test_without_a_journal_something_happens_twice(tmp_path: Path) -> None:
    """What the test above is worth: it fails where nothing is remembered."""
    with histories(tmp_path, Forgetful) as history, pytest.raises(AssertionError, match=r"happened \d+ times"):
        run_state_machine_as_test(history, settings=_settings(500, shrinks=False))


def _quick(folder: Path) -> Path:
    """Return a folder in memory, where there is one: syncing to a disk is what takes the time here."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    return memory if memory.is_dir() else folder
