"""Everyday sessions go through, and people are asked where there is a reason; how often without one is counted.

`python tests/test_ordinary_sessions.py` prints the table of all sessions.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from full import FULL
from ordinary_sessions import CONTACTS, SESSIONS, Step
from puppet_service import Service, World, poisoned
from puppet_world import APPROVALS, ERAS, Person, hosted

from kallyai_mcp import catalog

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from puppet_world import Host

pytestmark = pytest.mark.anyio

HOSTS = ("a person who agrees", "nobody to ask")


@dataclass
class Tally:
    """What happened to the steps of a set of sessions."""

    sessions: int = 0
    steps: int = 0
    acts: int = 0
    asked_with_reason: int = 0
    asked_without_need: int = 0
    refused_with_reason: int = 0
    refused_without_need: int = 0
    not_asked_with_reason: int = 0
    """Acts that went through unasked although there was a reason; by the setting, or since nothing had been read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one step."""

    session: str
    step: Step
    was_read: bool
    """Whether strangers' words were read before it in the session."""
    was_asked: bool
    refusal: str | None

    @property
    def is_act(self) -> bool:
        return catalog.find(f"kallyai_{self.step.tool}").is_act


async def play(
    service: Service, folder: Path, approval: str, era: str, kind: str, names: Iterable[str]
) -> list[Outcome]:
    """Play sessions, each for an account of its own, in a world where everybody behaves."""
    outcomes: list[Outcome] = []
    async with hosted(service.origin, approval, era, Person(lambda _: True) if kind == HOSTS[0] else None) as host:
        for number, name in enumerate(names):
            async with host.account(folder / f"{kind}-{approval}-{number}"):
                outcomes += await _session(service, host, name)
    return outcomes


async def _session(service: Service, host: Host, name: str) -> list[Outcome]:
    service.world = World()
    service.world.contacts = [
        {"id": f"k_{number}", "name": who, "phone_number": phone}
        for number, (phone, who) in enumerate(CONTACTS.items(), 7)
    ]
    outcomes: list[Outcome] = []
    was_read = False
    asked: list[Any] = [] if host.person is None else host.person.asked
    for step in SESSIONS[name]:
        asked.clear()
        result = await host.run(step.tool, step.arguments)
        assert result is not None, step
        told: dict[str, Any] = result.structured_content or {}
        refusal = told["error"]["code"] if result.is_error else None
        outcomes.append(Outcome(name, step, was_read, bool(asked), refusal))
        was_read |= catalog.find(f"kallyai_{step.tool}").third_party_text
    return outcomes


def count(outcomes: list[Outcome]) -> Tally:
    """Count what became of the steps."""
    tally = Tally(sessions=len({outcome.session for outcome in outcomes}), steps=len(outcomes))
    for outcome in outcomes:
        reason = outcome.step.why is not None
        tally.acts += outcome.is_act
        tally.asked_with_reason += outcome.was_asked and reason
        tally.asked_without_need += outcome.was_asked and not reason
        tally.refused_with_reason += outcome.refusal is not None and reason
        tally.refused_without_need += outcome.refusal is not None and not reason
        tally.not_asked_with_reason += reason and not outcome.was_asked and outcome.refusal is None
    return tally


HEADS = (
    "sessions",
    "steps",
    "acts",
    "asked, reason",
    "asked, no need",
    "refused, reason",
    "refused, no need",
    "unasked, reason",
)


def table(tallies: Mapping[tuple[str, str], Tally]) -> str:
    """Return the tallies as a table that can be copied into a note."""
    lines = [f"| approval | host | {' | '.join(HEADS)} |", f"|---|---|{'---|' * len(HEADS)}"]
    for (approval, host), tally in tallies.items():
        lines.append(f"| {approval} | {host} | {' | '.join(str(value) for value in vars(tally).values())} |")
    return "\n".join(lines)


def names(approval: str, era: str) -> list[str]:
    """Return the sessions to be played: all, or in CI those whose turn it is; each has its turn."""
    combinations = [(a, e) for a in APPROVALS for e in ERAS]
    return list(SESSIONS) if FULL else list(SESSIONS)[combinations.index((approval, era)) :: len(combinations)]


@pytest.fixture(scope="module")
def service() -> Generator[Service]:
    with poisoned() as service:
        yield service


def test_there_are_at_least_a_hundred_sessions() -> None:
    assert len(SESSIONS) >= 100


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("approval", APPROVALS)
async def test_ordinary_sessions_go_through_and_ask_where_there_is_a_reason(
    service: Service, tmp_path: Path, approval: str, era: str
) -> None:
    agreed, alone = HOSTS
    outcomes = {host: await play(service, tmp_path, approval, era, host, names(approval, era)) for host in HOSTS}
    sys.stdout.write(f"\n{era}\n{table({(approval, host): count(known) for host, known in outcomes.items()})}\n")

    for outcome in outcomes[agreed]:
        assert outcome.refusal is None, outcome
        assert outcome.is_act or not outcome.was_asked, outcome
        if approval == "ask":
            assert outcome.was_asked == outcome.is_act, outcome
        else:
            assert outcome.was_read or not outcome.was_asked, outcome
            assert not (outcome.step.is_to_contacts and outcome.was_asked), outcome
            assert outcome.was_asked or not (outcome.was_read and outcome.step.why), outcome
    for outcome in outcomes[alone]:
        assert outcome.refusal in {None, "approval_required"}, outcome
        assert outcome.is_act or outcome.refusal is None, outcome
        if approval != "ask":
            assert outcome.was_read or outcome.refusal is None, outcome
            assert not (outcome.step.is_to_contacts and outcome.refusal), outcome


async def _measure() -> str:
    tallies: dict[tuple[str, str], Tally] = {}
    with poisoned() as service, tempfile.TemporaryDirectory() as folder:
        for approval in APPROVALS:
            for host in HOSTS:
                outcomes = await play(service, Path(folder), approval, "2026-07-28", host, SESSIONS)
                tallies[approval, host] = count(outcomes)
    return table(tallies)


if __name__ == "__main__":
    sys.stdout.write(anyio.run(_measure) + "\n")
