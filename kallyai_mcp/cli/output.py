"""What reaches the terminal: answers on stdout, everything else on stderr, and the exit status.

Colour is for terminals only, and never where NO_COLOR is set (https://no-color.org).
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kallyai_mcp.cli.text import PROGRAM, escaped, for_terminal, visible
from kallyai_mcp.errors import (
    InvalidArguments,
    InvalidSettings,
    KallyError,
    SignInFailed,
    SignInRequired,
    UnknownCommand,
)

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import Console, RenderableType

DONE, REFUSED, MISUSED, SIGNED_OUT, UNKNOWN, AGREE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
EXIT_STATUS = """\
exit status:
  0    done
  1    the service or a rule said no, there was no answer, or the log was altered
  2    wrong usage, arguments or settings; nothing was sent
  3    not signed in
  4    the outcome is unknown: it may have been done all the same
  5    a person has to agree first, or has declined; nothing was sent
  130  interrupted
"""
WIDTH_WITHOUT_TERMINAL = 120
_CONSENT = frozenset({"approval_required", "approval_declined", "approval_used"})


class UsageError(KallyError):
    """What was typed is no command line of this program."""

    code = "invalid_arguments"


def console(stream: TextIO) -> Console:
    """Return what prints to a stream, as wide as its terminal."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            # Rich's own way ends the program with status 1; that a reader has left is no error here.
            raise BrokenPipeError

    is_terminal = stream.isatty()
    # Piped to a pager or to head, it is still read on the terminal that stderr shows.
    has_width = is_terminal or sys.stderr.isatty() or os.environ.get("COLUMNS")
    width = None if has_width else WIDTH_WITHOUT_TERMINAL
    return Screen(
        file=stream,
        width=width,
        force_terminal=is_terminal,
        no_color=bool(os.environ.get("NO_COLOR")) or not is_terminal,
        markup=False,
        emoji=False,
        highlight=False,
    )


def print_laid_out(data: dict[str, Any]) -> None:
    """Print an answer for people."""
    from kallyai_mcp.cli.shapes import laid_out

    screen = console(sys.stdout)
    emit(laid_out(data, screen.width), sys.stdout)


def emit(shape: RenderableType, stream: TextIO) -> None:
    """Print something laid out; into a pipe without the blanks that fill up its lines."""
    screen = console(stream)
    if screen.is_terminal:
        screen.print(shape)
        return
    with screen.capture() as captured:
        screen.print(shape)
    stream.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def print_json(data: Any, stream: TextIO | None = None, *, indent: int | None = 2) -> None:
    """Print one JSON document; what a terminal would obey is escaped."""
    out: TextIO = stream or sys.stdout
    ascii_only = (out.encoding or "utf-8").lower().replace("-", "") != "utf8"
    out.write(escaped(json.dumps(data, ensure_ascii=ascii_only, indent=indent)) + "\n")
    out.flush()


def print_file(text: str) -> None:
    """Print a file as it is; to a terminal, without what it would obey."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a paragraph, wrapped to the terminal; to stderr unless told otherwise."""
    from rich.text import Text

    emit(Text(visible(text)), stream or sys.stderr)


def status_of(error: KallyError) -> int:
    """Return the exit status that an error leads to."""
    if error.details.get("outcome") == "unknown":
        return UNKNOWN
    if error.error_code in _CONSENT:
        return AGREE
    if isinstance(error, InvalidArguments | UnknownCommand | InvalidSettings | UsageError):
        return MISUSED
    return SIGNED_OUT if isinstance(error, SignInRequired | SignInFailed) else REFUSED


def report(error: KallyError, *, as_json: bool) -> int:
    """Tell an error on stderr and return the exit status."""
    if as_json:
        told = {"message": for_terminal(error.message), "next_step": for_terminal(error.next_step)}
        print_json(error.as_dict() | told, sys.stderr)
    elif isinstance(error, InvalidArguments):
        _report_arguments(error)
    else:
        reference = f" (correlation id {error.correlation_id})" if error.correlation_id else ""
        _paragraph("Error: ", for_terminal(error.message) + reference)
        _paragraph("", for_terminal(error.next_step))
    return status_of(error)


def _paragraph(lead: str, text: str) -> None:
    from rich.text import Text

    emit(Text.assemble((lead, "bold red"), visible(text)), sys.stderr)


def _report_arguments(error: InvalidArguments) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from kallyai_mcp.catalog import by_tool
    from kallyai_mcp.cli.arguments import typed_arguments

    command = next(command for tool, command in by_tool().items() if error.message.startswith(f"{tool} "))
    shown = {typed.name: typed.shown for typed in typed_arguments(command)}
    _paragraph("Error: ", f"'{command.name}' was not run, nothing was sent.")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for problem in error.problems:
        sentence = problem.rule
        if problem.example is not None:
            example = problem.example if isinstance(problem.example, str) else json.dumps(problem.example)
            sentence += f" For example: {example}"
        grid.add_row(Text(shown.get(problem.argument, problem.argument)), Text(visible(sentence)))
    emit(Padding(grid, (0, 0, 0, 2)), sys.stderr)
    _paragraph("", f"'{PROGRAM} run {command.name} --help' explains the arguments.")


def make_streams_forgiving() -> None:
    """Let what a stream cannot show do no harm.

    A character that the terminal's encoding lacks is escaped. What goes to a stream that was closed before the start,
    as by `>&-`, vanishes: the run must not fail for it after it has had its effect.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open until the end
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]  # tests put other streams there


def give_up_stdout() -> None:
    """Let what is still to be written to a closed pipe vanish, so that the end of the program is quiet."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
