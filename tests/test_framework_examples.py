"""The examples for agent frameworks place a call in the sandbox, each in its framework's own environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
PYTHON = ROOT / ".venv-frameworks" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
LONGEST = 180
"""Seconds; a busy machine takes ten times as long as a quiet one."""

needs_frameworks = pytest.mark.skipif(
    not PYTHON.exists() and not os.environ.get("CI"), reason="the frameworks are not here: make frameworks"
)


def played(example: Path, home: Path, *words: str, typed: str = "") -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KALLYAI_", "PYTHON"))}
    scripts = str(Path(sys.executable).parent)
    variables = kept | {"PATH": scripts + os.pathsep + kept["PATH"], "HOME": str(home)}
    done = subprocess.run(  # noqa: S603 - our own example
        [str(PYTHON), str(example), *words],
        cwd=home,
        env=variables | {"KALLYAI_STATE_DIR": str(home / "state")},
        input=typed,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_is_an_example_for_each_framework() -> None:
    assert [path.stem for path in EXAMPLES] == ["langchain_agent", "openai_agents", "plain", "pydantic_ai_agent"]


@needs_frameworks
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_places_a_call_and_prints_its_outcome(example: Path, tmp_path: Path) -> None:
    out = played(example, tmp_path, "--yes")

    assert "+12025550100" in out
    assert "success" in out.partition("Outcome: ")[2]


@needs_frameworks
def test_who_says_no_has_no_call_placed(tmp_path: Path) -> None:
    out = played(ROOT / "docs" / "examples" / "plain.py", tmp_path, typed="n\n")

    assert "approval_declined" in out
    assert "success" not in out
