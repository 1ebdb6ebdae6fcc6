"""Run one command of the catalog, show that it goes on, and print its answer."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from kallyai_mcp.cli.event_loop import run_async
from kallyai_mcp.cli.output import DONE, UsageError, console, emit, print_file, print_json, print_laid_out, say
from kallyai_mcp.engine.strangers import told_withheld, withheld_of
from kallyai_mcp.model import Effect

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable, Generator

    from rich.status import Status

    from kallyai_mcp.cli.program import App, Program
    from kallyai_mcp.engine import Progress, Result
    from kallyai_mcp.model import Command
    from kallyai_mcp.settings import Settings

T = TypeVar("T")

SIGNING_IN = frozenset({"login", "logout", "auth-status"})
"""Commands that are what a person types without `run`."""


def within(program: Program, settings: Settings, work: Callable[[App], Awaitable[T]]) -> T:
    """Do something with an app and return what it brought, or raise its own error.

    The error is carried past the end of the app's task group, which would wrap it.
    """

    async def living() -> T:
        failure: Exception | None = None
        async with program.running(settings) as app:
            try:
                return await work(app)
            except Exception as error:  # noqa: BLE001 - raised again below, as it is
                failure = error
        assert failure is not None  # noqa: S101 - else the work has returned
        raise failure

    return run_async(living)


def run_command(parsed: Namespace, settings: Settings, program: Program, *, as_json: bool) -> int:
    """Run the command that was typed, and print the answer."""
    from kallyai_mcp.cli.arguments import given_arguments, given_options

    command: Command = parsed.command
    if command.name in SIGNING_IN:
        return _sign_in_or_out(command, settings, program, as_json=as_json)
    _require_reading(command, settings)
    given = given_arguments(command, parsed) | given_options(parsed)
    result = run_given(command, given, settings, program)
    print_result(command, result, as_json=as_json)
    return DONE


def _require_reading(command: Command, settings: Settings) -> None:
    # Toolsets and excluded tools bound what a model sees, and this is the user's own hand. Read-only bounds that, too,
    # but not what stays on this machine, such as a stop.
    if settings.tools.read_only and command.method is not None and not command.annotations["readOnlyHint"]:
        raise UsageError(
            f"'{command.name}' changes or spends something, and only reading is allowed.",
            next_step="Leave out --read-only, or remove KALLYAI_READ_ONLY, to run it.",
        )


def run_given(command: Command, given: dict[str, Any], settings: Settings, program: Program) -> Result:
    """Run a command; where a person has to agree first, ask the one at this terminal."""
    from kallyai_mcp.cli.approving import Consenting

    consenting = Consenting()
    try:
        with spinner() as status:
            if status is not None:
                consenting.pause = status.stop
            progress = _shown_on(status, command)

            async def work(app: App) -> Result:
                engine = await app.engine()
                return await consenting.run(app, lambda: engine.run(command, given, progress=progress, whole=True))

            return within(program, settings, work)
    except KeyboardInterrupt:
        if consenting.is_asking:
            say("Nothing was sent, and nothing was decided: the question waits for its end.")
        elif command.effect is not Effect.READ and command.method is not None:
            say(f"'{command.name}' was interrupted. What had reached the service by then takes effect all the same.")
        raise


def _sign_in_or_out(command: Command, settings: Settings, program: Program, *, as_json: bool) -> int:
    # A sign-in that answers at once would be lost with this process, so these are what a person types anyway.
    from kallyai_mcp.cli import account

    match command.name:
        case "login":
            return account.login(settings, program, as_json=as_json)
        case "logout":
            return account.logout(settings, program, as_json=as_json)
        case _:
            return account.status(settings, program, check=False, as_json=as_json)


@contextmanager
def spinner() -> Generator[Status | None]:
    """Give something that can spin on stderr; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    status = console(sys.stderr).status("")
    try:
        yield status
    finally:
        status.stop()


def _shown_on(status: Status | None, command: Command) -> Progress | None:
    if status is None:
        return None
    hint = " This may take minutes." if command.slow else ""

    async def show(seconds: float, sentence: str) -> None:
        del seconds
        status.update(f"{sentence}.{hint} Ctrl-C ends the waiting.")
        status.start()

    return show


def print_result(command: Command, result: Result, *, as_json: bool) -> None:
    """Print the answer: one JSON document, the file that came, or laid out for people."""
    if as_json:
        text = {} if result.file is None else {"text": result.file.text}
        print_json(result.structured | text)
        return
    withheld = told_withheld(withheld_of(result.structured))
    if result.file is not None:
        print_file(result.file.text)
    else:
        from kallyai_mcp.cli.asides import parted, shown_asides

        answer, asides = parted(result.structured)
        if answer or not withheld:
            print_laid_out(answer)
        if asides:
            emit(shown_asides(asides), sys.stdout)
    if withheld:
        say(withheld)
    if result.cut:
        say(f"The answer to '{command.name}' was too long. {' '.join(result.cut)}")
