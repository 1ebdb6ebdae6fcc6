"""One process of the test of many: opens a session on a token file, and runs as many tasks at once as it is told.

Arguments: token file, origin, tasks, and the token to report as refused ("-" for none).
Writes one JSON object to stdout: how many got a token, and which tokens there were.
"""

import json
import sys
from pathlib import Path

import anyio

from kallyai_mcp.auth.session import Session
from kallyai_mcp.settings import Settings


async def main(*arguments: str) -> None:
    token_file, origin, tasks, refused = arguments
    session = Session(Settings(token_file=Path(token_file), api_url=origin, state_dir=Path(token_file).parent))
    tokens: list[str | None] = []

    async def run() -> None:
        tokens.append(await session.token() if refused == "-" else await session.renew(refused))

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    async with anyio.create_task_group() as group:
        for _ in range(int(tasks)):
            group.start_soon(run)
    got = [token for token in tokens if token is not None]
    sys.stdout.write(json.dumps({"ok": len(got), "tokens": sorted(set(got))}) + "\n")


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
