"""Completion scripts for shells, made by shtab from the parsers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.cli.output import UsageError
from kallyai_mcp.cli.parser import SHELLS, Parser, build_parser

if TYPE_CHECKING:
    from argparse import Action
    from collections.abc import Iterator

_FILES = {
    "setting token_file": "FILE",
    "setting sandbox_data": "FILE",
    "setting state_dir": "DIRECTORY",
    "output": "FILE",
}


def print_completion(shell: str | None) -> None:
    """Print the script for a shell.

    Raises:
        UsageError: There is none for it.
    """
    import shtab

    if shell not in SHELLS or shell not in shtab.SUPPORTED_SHELLS:
        named = "Name a shell." if shell is None else f"There is no completion for {shell[:32]!r}."
        raise UsageError(named, next_step=f"Use one of {', '.join(SHELLS)}.")
    parser = build_parser()
    for inner in _all_parsers(parser):
        for action in inner.accepted():
            _complete_files(action, shtab)
    sys.stdout.write(shtab.complete(parser, shell))


def _all_parsers(parser: Parser) -> Iterator[Parser]:
    yield parser.filled()
    for inner in parser.branches().values():
        yield from _all_parsers(inner)


def _complete_files(action: Action, shtab: Any) -> None:
    if action.dest in _FILES:
        cast("Any", action).complete = getattr(shtab, _FILES[action.dest])
