"""The program `kallyai-mcp`, also as `python -m kallyai_mcp`."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Serve stdio, or run the subcommand that was typed. Return the exit status."""
    gc.disable()  # until the first list was answered, see app.warm_up
    try:
        return _serve_at_once() if len(sys.argv) == 1 else _run()
    except KeyboardInterrupt:  # while importing; who serves or runs a command takes the signal itself
        return 130


def _run() -> int:
    from kallyai_mcp.app import Program
    from kallyai_mcp.cli import run

    return run(sys.argv[1:], Program())


def _serve_at_once() -> int:
    # The way every host starts it: no parser for the command line is imported, and the pipes are taken before any
    # library is, since some print while they are imported.
    import os

    from kallyai_mcp.pipes import take_pipes

    if sys.stdin is not None and sys.stdin.isatty() and "KALLYAI_TRANSPORT" not in os.environ:
        sys.stderr.write("Waiting for an MCP host on stdin; kallyai-mcp --help tells what else it can do.\n")
    pipes = take_pipes()

    from kallyai_mcp.app import Program
    from kallyai_mcp.errors import KallyError
    from kallyai_mcp.settings import Settings

    try:
        Program(pipes).serve(Settings.read(os.environ))
    except KallyError as error:
        sys.stderr.write(f"{error.message} {error.next_step}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
