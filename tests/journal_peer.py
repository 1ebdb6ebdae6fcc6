"""One process among several that use the same journal, started by a test; what it does is named by its arguments.

It opens the journal, writes a line, waits for one, does its work, writes what came of it as JSON, and lives until its
input ends. `die` and `work` end by a kill instead.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from journal_world import ANN, ROOMY, SHOWN, a_draft
from postgres_world import GRACE, PATIENCE

from kallyai_mcp.errors import KallyError
from kallyai_mcp.journal import Journal
from kallyai_mcp.journal.postgresql import PostgreSQL
from kallyai_mcp.model.acts import Consent, State
from kallyai_mcp.model.records import Act
from kallyai_mcp.safety import Safety


async def many(journal: Journal, name: str, count: str, draft: str, safety: str) -> dict[str, int]:
    """Begin acts all at once; tell how many were begun, and why the others were not."""
    limits = Safety(**json.loads(safety))
    facts: dict[str, Any] = json.loads(draft)
    found: Counter[str] = Counter()

    async def one(number: int) -> None:
        asked = facts | {"recipients": tuple(f"{name}-{number}-{each}" for each in facts.get("recipients", ()))}
        try:
            await journal.begin(ANN, a_draft(f"{name}-{number}", **asked), limits)
        except KallyError as error:
            found[str(error.details.get("limit", error.error_code))] += 1
        else:
            found["begun"] += 1

    async with anyio.create_task_group() as group:
        for number in range(int(count)):
            group.start_soon(one, number)
    return found


async def approve(journal: Journal, approval: str, count: str) -> dict[str, int]:
    """Begin the same act with the same approval, as often as that is wanted at once."""
    found: Counter[str] = Counter()

    async def one() -> None:
        try:
            act = await journal.begin(ANN, a_draft(approval=approval, is_harmless_twice=True), ROOMY)
        except KallyError as error:
            found[error.error_code] += 1
        else:
            assert isinstance(act, Act)
            found["begun"] += 1
            await journal.sending(ANN, act.id)
            await journal.settle(ANN, act.id, State.DONE)

    async with anyio.create_task_group() as group:
        for _ in range(int(count)):
            group.start_soon(one)
    return found


async def decide(journal: Journal, approval: str, agreed: str, how: str) -> dict[str, int]:
    """Decide one question."""
    try:
        await journal.decide(ANN, approval, agreed=agreed == "True", how=Consent(how), shown=SHOWN)
    except KallyError as error:
        return {error.error_code: 1}
    return {"decided": 1}


async def cycle(journal: Journal, name: str, count: str) -> dict[str, int]:
    """Take acts from their begin to their end, one after another, with reads between."""
    for number in range(int(count)):
        act = await journal.begin(ANN, a_draft(f"{name}-{number}"), ROOMY)
        assert isinstance(act, Act)
        await journal.sending(ANN, act.id)
        await journal.stopped(ANN)
        await journal.taint(ANN, name, 1.0)
        await journal.settle(ANN, act.id, State.DONE)
        await journal.recover(ANN, "ask")
    return {"done": int(count)}


async def die(journal: Journal, at: str) -> None:
    """Take an act so far, and be killed."""
    act = await journal.begin(ANN, a_draft(credits=2.0), ROOMY)
    assert isinstance(act, Act)
    if at != "prepared":
        await journal.sending(ANN, act.id)
    if at == "done":
        await journal.settle(ANN, act.id, State.DONE, charged=1.0)
    os.kill(os.getpid(), signal.SIGKILL)


async def work(journal: Journal, name: str) -> None:
    """Take acts from their begin to their end, telling each step, until somebody kills this process."""
    number = 0
    while True:
        number += 1
        act = await journal.begin(ANN, a_draft(f"{name}-{number}"), ROOMY)
        assert isinstance(act, Act)
        tell(f"begun {act.id}")
        await journal.sending(ANN, act.id)
        tell(f"sent {act.id}")
        await journal.settle(ANN, act.id, State.DONE)
        tell(f"done {act.id}")


WORK: dict[str, Any] = {"many": many, "approve": approve, "decide": decide, "cycle": cycle, "die": die, "work": work}


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(*arguments: str) -> None:
    folder, what, *how = arguments
    where = PostgreSQL(folder, grace=GRACE) if folder.startswith("postgresql:") else Path(folder)
    if isinstance(where, PostgreSQL):
        await anyio.to_thread.run_sync(where.presence.begin, PATIENCE)
    async with Journal(where, busy=PATIENCE) as journal:
        await journal.distrust(ANN, "opened", [str(os.getpid())])
        tell("ready")
        await anyio.to_thread.run_sync(sys.stdin.readline)
        tell(json.dumps(await WORK[what](journal, *how)))
        await anyio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
