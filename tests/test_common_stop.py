"""A terminal watches over the servers of an organisation: what it stops, stops on all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from journal_world import ANN, BOB

from kallyai_mcp.shared.shared import common_journal

if TYPE_CHECKING:
    from pathlib import Path

    from postgres_world import Cluster

pytestmark = pytest.mark.anyio


def typed(home: Path, url: str, *words: str) -> Any:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    settings = {"KALLYAI_DATABASE_URL": url, "KALLYAI_ACCESS_TOKEN": "t", "KALLYAI_API_URL": "http://127.0.0.1:9"}
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "kallyai_mcp", *words, "--json", "--state-dir", str(home)],
        env=kept | settings | {"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_a_stop_holds_for_everybody_and_stands_in_the_receipts(
    cluster: Cluster, database: str, tmp_path: Path
) -> None:
    url = cluster.url(database)
    told = typed(tmp_path, url, "stop")
    assert told["stopped"] is True
    async with common_journal(url) as journal:
        assert await journal.stopped(ANN) is not None
        assert await journal.stopped(BOB) is not None
    receipts = typed(tmp_path, url, "audit", "list")["receipts"]
    assert [receipt["outcome"] for receipt in receipts] == ["stopped"]
    assert typed(tmp_path, url, "audit", "verify")["intact"] is True
    assert not (tmp_path / "acts.db").exists()
