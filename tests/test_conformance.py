"""The official conformance suite: what applies to this server passes, in both eras of the protocol."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from clients_world import LONGEST, MODULES, NODE, ROOT, environment, require

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

SUITE = MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"

NEEDS_FIXTURES = frozenset(
    {
        "completion-complete",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
        "http-custom-header-server-validation",
        "input-required-result-basic-elicitation",
        "input-required-result-basic-list-roots",
        "input-required-result-basic-sampling",
        "input-required-result-capability-check",
        "input-required-result-multi-round",
        "input-required-result-multiple-input-requests",
        "input-required-result-non-tool-request",
        "input-required-result-request-state",
        "input-required-result-result-type",
        "input-required-result-tampered-state",
        "json-schema-2020-12",
        "prompts-get-embedded-resource",
        "prompts-get-simple",
        "prompts-get-with-args",
        "prompts-get-with-image",
        "resources-read-binary",
        "resources-read-text",
        "resources-subscribe",
        "resources-templates-read",
        "resources-unsubscribe",
        "tools-call-audio",
        "tools-call-elicitation",
        "tools-call-embedded-resource",
        "tools-call-error",
        "tools-call-image",
        "tools-call-mixed-content",
        "tools-call-sampling",
        "tools-call-simple-text",
        "tools-call-with-logging",
        "tools-call-with-progress",
    }
)
"""Scenarios that call tools, resources and prompts which only a server made for the suite has."""

NOT_OFFERED = frozenset({"logging-set-level"})
"""Scenarios of a capability that this server does not declare: its log belongs to whoever runs it."""

STAMP = re.compile(r"-\d{4}-\d\d-\d\dT.*")
"""When a scenario ran, at the end of its folder's name."""

UNTESTABLE = "Not testable"
"""How the suite begins to say that a single check needs such a tool."""


@contextmanager
def serving(home: Path) -> Generator[int]:
    command = [sys.executable, str(ROOT / "tests" / "conformance_server.py")]
    settings = environment(home) | {"KALLYAI_TRANSPORT": "http", "KALLYAI_PORT": "0"}
    with subprocess.Popen(command, cwd=home, env=settings, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25", "2026-07-28"])
def test_the_suite_passes(version: str, tmp_path: Path) -> None:
    require(SUITE)
    with serving(tmp_path) as port:
        suite = [NODE, str(SUITE), "server", "--url", f"http://localhost:{port}/mcp", "--suite", "all"]
        subprocess.run(  # noqa: S603 - our own command
            [*suite, "--spec-version", version, "--output-dir", "results"],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.DEVNULL,
            timeout=LONGEST,
            check=False,
        )
    failed: dict[str, list[str]] = {}
    passed: set[str] = set()
    for file in (tmp_path / "results").glob("server-*/checks.json"):
        scenario = STAMP.sub("", file.parent.name.removeprefix("server-"))
        wrong = [
            f"{check['id']}: {check.get('errorMessage')}"
            for check in json.loads(file.read_text(encoding="utf-8"))
            if check["status"] == "FAILURE" and not str(check.get("errorMessage")).startswith(UNTESTABLE)
        ]
        if wrong:
            failed[scenario] = wrong
        else:
            passed.add(scenario)
    assert {name: why for name, why in failed.items() if name not in NEEDS_FIXTURES | NOT_OFFERED} == {}
    assert passed, "the suite ran nothing"
