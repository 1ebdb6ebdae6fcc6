"""Saves to a token file without end, in a child that is killed at some moment, again and again.

Arguments: token file, number of kills, seed. Writes to stdout what was found after each kill, counted.
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

from kallyai_mcp.auth.clock import SystemClock
from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.auth.token_file import TokenFile


def save_for_ever(path: Path) -> None:
    file = TokenFile(path, SystemClock())
    number = 0
    while True:
        number += 1
        file.replace(TokenPair(f"at-{number}", f"rt-{number}" * 20, 2e9 + number))


def look(path: Path) -> str:
    if stat.S_IMODE(path.stat().st_mode) != 0o600:
        return "wrong mode"
    try:
        fields = json.loads(path.read_text())
    except ValueError:
        return "torn"
    number = fields["access_token"].removeprefix("at-")
    return "whole" if fields["refresh_token"] == f"rt-{number}" * 20 else "mixed"


def main(name: str, kills: str, seed: str) -> None:
    path = Path(name)
    chance = random.Random(seed)  # noqa: S311 - decides when a child is killed
    found: Counter[str] = Counter()
    TokenFile(path, SystemClock()).replace(TokenPair("at-0", "rt-0" * 20, 2e9))
    for _ in range(int(kills)):
        child = os.fork()
        if child == 0:
            save_for_ever(path)
        time.sleep(chance.uniform(0.001, 0.008))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found[look(path)] += 1
        if len(list(path.parent.iterdir())) > 2:
            found["left over"] += 1
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
