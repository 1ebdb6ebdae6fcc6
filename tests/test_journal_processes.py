"""Several processes with one journal, and processes that are killed: nothing twice, nothing over, nothing lost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from full import share
from journal_world import (
    ANN,
    CALL,
    QUESTION,
    ROOMY,
    Clock,
    a_draft,
    a_mandate,
    agreed_to,
    begun,
    in_state,
    journal_in,
    lines,
)

from kallyai_mcp.journal import Journal
from kallyai_mcp.model.acts import UNDER_WAY, Consent, State

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.anyio

PEER = Path(__file__).with_name("journal_peer.py")
PATIENCE = 120
RACES: list[tuple[dict[str, Any], str, float, int]] = [
    ({"credits": 1.7}, "max_credits_per_hour", 100.0, 58),
    ({"recipients": ["a", "b"]}, "max_new_recipients_per_day", 41, 20),
    ({}, "max_acts_in_flight", 16, 16),
    ({"credits": 0.1}, "max_credits_per_day", 10.0, 100),
    ({"places_call": True}, "max_calls_per_hour", 30, 30),
]


class Peer:
    """A process that uses the journal."""

    def __init__(self, folder: Path | str, *work: object) -> None:
        command = [sys.executable, str(PEER), str(folder), *map(str, work)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own script

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def ready(self) -> None:
        assert self.line() == "ready"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self) -> Counter[str]:
        return Counter(json.loads(self.line()))

    def end(self) -> int:
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


@contextmanager
def peers(folder: Path | str, *works: tuple[object, ...]) -> Generator[list[Peer]]:
    """Start processes, and let them go at the same moment; all of them live to the end of the block."""
    with ExitStack() as stack:
        started: list[Peer] = []
        for work in works:
            peer = Peer(folder, *work)
            stack.callback(peer.kill)
            started.append(peer)
        for peer in started:
            peer.ready()
        for peer in started:
            peer.go()
        yield started
        for peer in started:
            assert peer.end() == 0


def racing(folder: Path | str, draft: dict[str, Any], safety: dict[str, Any], *, processes: int = 4) -> Counter[str]:
    """Begin 200 acts at once in several processes; return what came of them."""
    roomy = {name: getattr(ROOMY, name) for name in ROOMY.__slots__ if name.startswith("max_")} | safety
    each = 200 // processes
    works = [("many", f"p{number}", each, json.dumps(draft), json.dumps(roomy)) for number in range(processes)]
    with peers(folder, *works) as started:
        return together(started)


def together(started: list[Peer]) -> Counter[str]:
    """What came of the work of all."""
    found: Counter[str] = Counter()
    for peer in started:
        found.update(peer.result())
    return found


@pytest.mark.parametrize(("draft", "limit", "most", "begun"), RACES[: share(3, 5)])
async def test_200_acts_at_once_in_four_processes_never_exceed_a_limit(
    tmp_path: Path, draft: dict[str, Any], limit: str, most: float, begun: int
) -> None:
    assert racing(tmp_path / "state", draft, {limit: most}) == {"begun": begun, limit: 200 - begun}
    async with Journal(tmp_path / "state") as journal:
        acts = await journal.acts(ANN, limit=None)
        assert len(acts) == begun
        assert sum(act.draft.credits for act in acts) <= most or "credits" not in limit


async def test_acts_under_a_mandate_never_exceed_it_in_several_processes(tmp_path: Path) -> None:
    async with Journal(tmp_path / "state") as journal:
        await journal.add_mandate(ANN, a_mandate(acts=50, credits=20.0, until=time.time() + 3600))
        found = racing(tmp_path / "state", {"credits": 0.7, "mandate": "m-1"}, {})
        assert found == {"begun": 28, "mandate_credits": 172}
        assert await journal.mandate_usage(ANN, "m-1") == (28, 19.6)


async def test_one_approval_is_one_act_however_often_it_arrives_in_two_processes(tmp_path: Path) -> None:
    async with Journal(tmp_path / "state") as journal:
        approval = await agreed_to(journal, a_draft())
        with peers(tmp_path / "state", *[("approve", approval.id, 25)] * 2) as started:
            found = together(started)
        assert found.pop("begun") == 1
        assert sum(found.values()) == 49
        assert set(found) <= {"approval_used", "act_under_way"}
        assert [act.state for act in await journal.acts(ANN)] == [State.DONE]


async def test_of_two_decisions_at_once_one_counts(tmp_path: Path) -> None:
    async with Journal(tmp_path / "state") as journal:
        asked = await journal.ask(ANN, CALL, a_draft().digest, QUESTION)
        works = [("decide", asked.id, True, Consent.PAGE.value), ("decide", asked.id, False, Consent.TERMINAL.value)]
        with peers(tmp_path / "state", *works) as started:
            first, second = (peer.result() for peer in started)
        assert first + second == {"decided": 1, "approval_used": 1}
        decided = await journal.approval(ANN, asked.id)
        assert decided is not None
        assert decided.decision is ("decided" in first)
        assert len(await lines(journal)) == ("decided" in second)


async def test_eight_processes_wait_for_one_another_and_lose_nothing(tmp_path: Path) -> None:
    count = share(12, 100)
    with peers(tmp_path / "state", *[("cycle", f"p{number}", count) for number in range(8)]) as started:
        assert together(started) == {"done": 8 * count}
    async with Journal(tmp_path / "state") as journal:
        assert Counter(act.state for act in await journal.acts(ANN, limit=None)) == {State.DONE: 8 * count}
        found = await journal.verify()
        assert (found.lines, found.broken) == (8 * count, None)


@pytest.mark.parametrize(
    ("at", "state", "note"),
    [
        ("prepared", State.NOT_SENT, "the process that had prepared it ended before anything was sent"),
        ("sent", State.UNKNOWN, "the process that had sent it ended before the answer came"),
        ("done", State.DONE, None),
    ],
)
async def test_an_act_whose_process_was_killed_is_settled_by_the_next_one(
    tmp_path: Path, at: str, state: State, note: str | None
) -> None:
    peer = Peer(tmp_path / "state", "die", at)
    peer.ready()
    async with Journal(tmp_path / "state") as journal:
        assert await journal.recover(ANN, "ask") == []
        peer.go()
        assert peer.end() == -signal.SIGKILL
        (left,) = await journal.acts(ANN)
        recovered = await journal.recover(ANN, "host")
        assert await journal.recover(ANN, "host") == []
        (act,) = await journal.acts(ANN)
        assert (act.state, act.note) == (state, note)
        assert recovered == ([] if at == "done" else [replace(left, state=state, note=note, settled=act.settled)])
        written = [(line["act"], line["outcome"], line["approval"]) for line in await lines(journal)]
        assert written == [(act.id, state, "host" if at != "done" else "ask")]
        assert (await journal.usage(ANN)).credits_hour == {"prepared": 0.0, "sent": 2.0, "done": 1.0}[at]
        assert len(alive(tmp_path)) == 1
    assert alive(tmp_path) == []


async def test_acts_of_a_living_process_are_left_alone(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "state", "many", "p", 3, "{}", "{}")
    peer.ready()
    async with Journal(tmp_path / "state") as journal:
        peer.go()
        assert peer.result() == {"begun": 3}
        assert await journal.recover(ANN, "ask") == []
        assert (await journal.usage(ANN)).in_flight == 3
        peer.kill()
        assert (await journal.usage(ANN)).in_flight == 0
        assert [act.state for act in await journal.recover(ANN, "ask")] == [State.NOT_SENT] * 3


async def test_acts_of_another_account_are_left_to_it(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as dead:
        await in_state(dead, a_draft(), State.SENT)
    async with journal_in(tmp_path) as journal:
        assert await journal.recover("somebody", "ask") == []
        assert [act.state for act in await journal.acts(ANN)] == [State.SENT]
        assert [act.state for act in await journal.recover(ANN, "ask")] == [State.UNKNOWN]


async def test_files_that_are_no_process_are_left_alone(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await begun(journal, a_draft())
        (own,) = alive(tmp_path)
        for name in ("notes.txt", "0" * 32, "f" * 31):
            (tmp_path / "state" / "live" / name).touch()
        await journal.recover(ANN, "ask")
        assert alive(tmp_path) == sorted([own, "notes.txt", "f" * 31])


async def test_a_process_killed_at_any_moment_leaves_a_whole_journal(tmp_path: Path) -> None:
    """What it has told is there; of what it was about to do, one step at most."""
    chance = random.Random(7)  # noqa: S311 - decides when a process is killed
    may_be = {
        "begun": {State.NOT_SENT, State.UNKNOWN},
        "sent": {State.UNKNOWN, State.DONE},
        "done": {State.DONE},
    }
    for number in range(share(6, 200)):
        told = killed_at_work(tmp_path / "state", f"r{number}", chance)
        async with Journal(tmp_path / "state") as journal:
            left = await journal.acts(ANN, states=UNDER_WAY)
            assert len(left) <= 1
            recovered = await journal.recover(ANN, "ask")
            ends = {State.PREPARED: State.NOT_SENT, State.SENT: State.UNKNOWN}
            assert [(act.id, act.state) for act in recovered] == [(act.id, ends[act.state]) for act in left]
            acts = await journal.acts(ANN, limit=None)
            states = {act.id: act.state for act in acts}
            assert all(states[name] in may_be[step] for name, step in told.items())
            found = await journal.verify()
            assert (found.broken, found.lines) == (None, len(acts))


def killed_at_work(folder: Path, name: str, chance: random.Random) -> dict[str, str]:
    """Have a process work, and kill it; return how far it has told that each act was."""
    peer = Peer(folder, "work", name)
    peer.ready()
    peer.go()
    told = [peer.line() for _ in range(chance.randrange(1, 12))]
    time.sleep(chance.uniform(0, 0.006))
    peer.process.kill()
    assert peer.process.stdout is not None
    told += peer.process.stdout.read().splitlines()  # `communicate` would leave out what was read ahead
    peer.kill()
    steps = (line.split() for line in told)
    return {step[1]: step[0] for step in steps if len(step) == 2 and len(step[1]) == 36}


async def test_what_an_act_pays_for_its_journal_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = 50
    spent: Counter[str] = Counter()
    async with journal_in(tmp_path, Clock()) as journal:
        await begun(journal, a_draft("first"))

        async def timed(name: str, work: Any) -> Any:
            start = time.perf_counter()
            done = await work
            spent[name] += round((time.perf_counter() - start) * 1e6)
            return done

        for number in range(count):
            draft = a_draft(str(number), credits=1.0, recipients=(str(number),), places_call=True)
            act = await timed("begin", journal.begin(ANN, draft, ROOMY))
            await timed("sending", journal.sending(ANN, act.id))
            await timed("settle", journal.settle(ANN, act.id, State.DONE, answer={"call_id": "c"}, charged=1.0))
            await timed("stopped", journal.stopped(ANN))
            await timed("taint", journal.taint(ANN, "calls transcript", 1.0))
    with capsys.disabled():
        sys.stdout.write("\n" + ", ".join(f"{name} {us / count / 1000:.2f} ms" for name, us in spent.items()) + "\n")


def alive(tmp_path: Path) -> list[str]:
    """The processes that live, as far as their files tell."""
    return sorted(path.name for path in (tmp_path / "state" / "live").iterdir())
