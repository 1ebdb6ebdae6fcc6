"""The program as it is started: `python -m kallyai_mcp …`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from kallyai_mcp import __version__

ROOT = Path(__file__).resolve().parent.parent


def started(tmp_path: Path, *argv: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "KALLYAI_STATE_DIR": str(tmp_path),
    }
    how = ["-c", code] if code else ["-m", "kallyai_mcp"]
    return subprocess.run(  # noqa: S603 - our own interpreter, our own program
        [sys.executable, *how, *argv],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_version_goes_to_stdout(tmp_path: Path) -> None:
    done = started(tmp_path, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"kallyai-mcp {__version__}\n", "")


def test_help_of_a_command_goes_to_stdout(tmp_path: Path) -> None:
    done = started(tmp_path, "run", "calls", "make", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: kallyai-mcp run calls make --phone PHONE --task TASK [options]\n")


def test_nonsense_is_status_2_on_stderr(tmp_path: Path) -> None:
    done = started(tmp_path, "run", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no command 'nonsense'" in done.stderr


def test_run_without_sign_in_is_status_3(tmp_path: Path) -> None:
    done = started(tmp_path, "run", "calls", "history", "--json")
    assert (done.returncode, done.stdout) == (3, "")
    assert json.loads(done.stderr)["code"] == "sign_in_required"


def test_wrong_arguments_reach_no_network(tmp_path: Path) -> None:
    done = started(tmp_path, "run", "calls", "make", "--phone", "123", "--party-size", "many")
    assert done.returncode == 2
    assert [line.split()[0] for line in done.stderr.splitlines()[1:-1]] == ["--phone", "--task", "--party-size"]


def test_command_runs_in_the_embedded_sandbox(tmp_path: Path) -> None:
    done = started(tmp_path, "--sandbox", "run", "credits", "balance", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["credits_remaining"] > 0


def test_output_that_is_closed_from_the_start_does_not_fail_a_run(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "os.close(1)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'kallyai_mcp', '--sandbox', 'run', 'credits', 'balance'])\n"
    )
    done = started(tmp_path, code=script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "reading, writing = os.pipe()\n"
        "os.close(reading)\n"
        "os.dup2(writing, 1)\n"
        "from kallyai_mcp.__main__ import main\n"
        "sys.argv = ['kallyai-mcp', 'tools']\n"
        "sys.exit(main())\n"
    )
    done = started(tmp_path, code=script)
    assert (done.returncode, done.stderr) == (0, "")


def test_serving_with_flags_imports_no_declaration(tmp_path: Path) -> None:
    """A host that starts the server with flags must not wait for the catalog."""
    script = (
        "import sys\n"
        "from kallyai_mcp.cli import run\n"
        "class Program:\n"
        "    def serve(self, settings): pass\n"
        "assert run(['--sandbox', '--log-level', 'error'], Program()) == 0\n"
        "heavy = {'pydantic', 'rich', 'anyio', 'kallyai_mcp.catalog', 'kallyai_mcp.model', 'shtab'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = started(tmp_path, code=script)
    assert (done.returncode, done.stderr) == (0, "")
