"""Refreshes and saves without end, in a child that is killed at some moment, again and again.

Arguments: token file, origin of a service ("-" for saves only), number of kills, seed.
Writes to stdout what was found after each kill, counted.
"""

import json
import os
import random
import signal
import stat
import sys
import time
from collections import Counter
from pathlib import Path

import anyio

from kallyai_mcp.auth.clock import SystemClock
from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.token_file import TokenFile
from kallyai_mcp.settings import Settings

MAY_STAY = {"token.json", "token.json.lock", "token.json.tmp"}


def save_for_ever(path: Path) -> None:
    file = TokenFile(path, SystemClock())
    number = 0
    while True:
        number += 1
        file.replace(TokenPair(f"at-{number}", f"rt-{number}", 2e9 + number))


async def refresh_for_ever(path: Path, origin: str, ready: int) -> None:
    session = Session(Settings(token_file=path, api_url=origin, state_dir=path.parent / "state"))
    token = await session.token()
    os.write(ready, b".")
    while token is not None:
        token = await session.renew(token)


async def warm_up(path: Path, origin: str) -> float:
    """Have everything imported before the forks, so that the kills meet refreshes; return how long one takes.

    That is the shortest of several, and a second at most: the machine may have been busy with something else.
    """
    took = 1.0
    session = Session(Settings(token_file=path, api_url=origin, state_dir=path.parent / "state"))
    for _ in range(3):
        began = time.monotonic()
        await session.renew(await session.token() or "")
        took = min(took, time.monotonic() - began)
    return took


def stamp(path: Path) -> tuple[int, int]:
    """Tell one file from the next; the number alone is given out again after two saves."""
    facts = path.stat()
    return facts.st_ino, facts.st_mtime_ns


def look(path: Path) -> str:
    if stat.S_IMODE(path.stat().st_mode) != 0o600:
        return "wrong mode"
    try:
        fields = json.loads(path.read_text())
    except ValueError:
        return "torn"
    number = fields["access_token"].removeprefix("at-")
    return "whole" if fields["refresh_token"] == f"rt-{number}" else "mixed"


def main(name: str, origin: str, kills: str, seed: str) -> None:
    path = Path(name)
    chance = random.Random(seed)  # noqa: S311 - decides when a child is killed
    found: Counter[str] = Counter()
    TokenFile(path, SystemClock()).replace(TokenPair("at-0", "rt-0", 2e9))
    longest = 0.008 if origin == "-" else max(0.09, 4 * anyio.run(warm_up, path, origin))
    for _ in range(int(kills)):
        before = stamp(path)
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            if origin == "-":
                save_for_ever(path)
            anyio.run(refresh_for_ever, path, origin, told)
            os._exit(0)
        if origin != "-":
            os.read(ready, 1)
        time.sleep(chance.uniform(0.001, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(told)
        found[look(path)] += 1
        found["saved meanwhile"] += stamp(path) != before
        names = {entry.name for entry in path.parent.iterdir()}
        found["half done"] += "token.json.tmp" in names
        found["stray"] += len(names - MAY_STAY)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
