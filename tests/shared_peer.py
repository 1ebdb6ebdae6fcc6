"""One replica of the tests with several: what it does with an account's tokens is named by its arguments.

refresh URL ORIGIN TASKS    ask for the token so often at once; prints how many got one, and which
pause URL                   takes the lock, waits for a line, writes, and prints what came of it
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio
import anyio.to_thread
from shared_world import ANN, a_pair, ring, session

from kallyai_mcp.errors import KallyError
from kallyai_mcp.shared import Shared, tokens


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def refresh(shared: Shared, origin: str, tasks: str) -> None:
    own = session(shared, ANN, Path.cwd(), api_url=origin)
    found: list[str | None] = []

    async def one() -> None:
        found.append(await own.token())

    tell("ready")
    await anyio.to_thread.run_sync(sys.stdin.readline)
    async with anyio.create_task_group() as group:
        for _ in range(int(tasks)):
            group.start_soon(one)
    tell(json.dumps({"ok": sum(token is not None for token in found), "tokens": sorted({str(each) for each in found})}))


async def pause(shared: Shared) -> None:
    tokens.LONGEST_WAIT = 1.0
    store = shared.tokens(ANN)
    async with store.locked():
        tell("held")
        sys.stdin.readline()  # the whole process waits, as one that is paused does
        try:
            await store.write(a_pair("late"))
        except KallyError as error:
            tell(error.error_code)
        else:
            tell("written")


async def main(*arguments: str) -> None:
    what, url, *how = arguments
    async with Shared.open(url, ring()) as shared:
        await (refresh(shared, *how) if what == "refresh" else pause(shared))


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
