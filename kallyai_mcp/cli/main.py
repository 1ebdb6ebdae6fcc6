"""From what was typed to an exit status: the edge where errors become sentences on stderr."""

from __future__ import annotations

import gc
import logging
import os
import sys
from typing import TYPE_CHECKING, cast

from kallyai_mcp.cli.output import (
    DONE,
    INTERRUPTED,
    UsageError,
    give_up_stdout,
    make_streams_forgiving,
    report,
)
from kallyai_mcp.cli.parser import parse, settings_flags, split_at_dashes
from kallyai_mcp.errors import KallyError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from kallyai_mcp.cli.program import Program
    from kallyai_mcp.settings import Settings

_log = logging.getLogger(__name__)


def run(argv: Sequence[str], program: Program) -> int:
    """Do what was typed and return the exit status; see `EXIT_STATUS` for their meaning."""
    as_json = "--json" in split_at_dashes(argv)[0]
    make_streams_forgiving()
    try:
        status = _dispatch(argv, program)
        sys.stdout.flush()
    except SystemExit as end:  # --help and --version, after they were printed
        return end.code if isinstance(end.code, int) else DONE
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
    except BrokenPipeError:
        give_up_stdout()
        return DONE
    except KallyError as error:
        return report(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the edge: nothing a person types may end in a traceback
        return _unexpected(error, as_json=as_json)
    return status


def _refused_by_system(error: OSError, *, as_json: bool) -> int:
    # A disk that is full, a folder that cannot be written. What could not be printed is not to be tried again at exit.
    give_up_stdout()
    _log.debug("refused by the system", exc_info=error)
    where = f" ({error.filename})" if error.filename else ""
    wrapped = KallyError(
        f"The system refused: {error.strerror or type(error).__name__}{where}.",
        next_step="Look at its room and rights. --state-dir and --token-file choose where this program keeps files.",
    )
    return report(wrapped, as_json=as_json)


def _unexpected(error: BaseException, *, as_json: bool) -> int:
    error = _unwrapped(error)
    if isinstance(error, KallyError):
        return report(error, as_json=as_json)
    if isinstance(error, OSError):
        return _refused_by_system(error, as_json=as_json)
    _log.debug("unexpected", exc_info=error)
    wrapped = KallyError(
        f"Something went wrong inside this program ({type(error).__name__}).",
        next_step="Try again. With --log-level debug it prints where it happened, for a report to its makers.",
    )
    return report(wrapped, as_json=as_json)


def _unwrapped(error: BaseException) -> BaseException:
    # A task group wraps what ended it (PEP 654), also when it is a single error.
    inner = cast("Sequence[BaseException]", getattr(error, "exceptions", ()))
    return _unwrapped(inner[0]) if len(inner) == 1 else error


def _dispatch(argv: Sequence[str], program: Program) -> int:
    from kallyai_mcp.settings import Settings

    parsed = parse(argv)
    subcommand = getattr(parsed, "subcommand", "serve")
    listing = getattr(parsed, "listing", None)
    if listing is not None:  # `run`, or `run` with a domain only
        if getattr(parsed, "json", False):
            raise UsageError("There is no command to run.", next_step=f"'{listing.prog} --help' lists the commands.")
        listing.print_help()
        return DONE
    flags = settings_flags(parsed)
    if subcommand == "stop":
        from kallyai_mcp.cli.braking import stop

        return stop(os.environ, flags, program, as_json=getattr(parsed, "json", False))
    settings = Settings.read(os.environ, flags)
    if subcommand == "serve":
        program.serve(settings)
        return DONE
    gc.enable()  # off since the start of the program, for the sake of serving
    from kallyai_mcp.logs import configure

    configure(settings.log_level)
    return _carry_out(subcommand, parsed, settings, program)


def _carry_out(subcommand: str, parsed: Namespace, settings: Settings, program: Program) -> int:
    as_json: bool = getattr(parsed, "json", False)
    match subcommand:
        case "run":
            from kallyai_mcp.cli.running import run_command

            return run_command(parsed, settings, program, as_json=as_json)
        case "login" | "logout" | "status":
            from kallyai_mcp.cli import account

            if subcommand == "login":
                return account.login(settings, program, paste=parsed.paste, as_json=as_json)
            if subcommand == "logout":
                return account.logout(settings, program, as_json=as_json)
            if parsed.all:
                return account.status_of_all(settings, check=parsed.check, as_json=as_json)
            return account.status(settings, program, check=parsed.check, as_json=as_json)
        case "approve" | "resume" | "audit" | "mandates":
            return _oversee(subcommand, parsed, settings, program, as_json=as_json)
        case "install" | "uninstall" | "doctor":
            return _set_up(subcommand, parsed, settings, program, as_json=as_json)
        case "migrate" | "vault":
            from kallyai_mcp.cli import storing

            if subcommand == "migrate":
                return storing.migrate(settings, role=parsed.grant, as_json=as_json)
            return storing.vault(parsed, settings, as_json=as_json)
        case "tools":
            from kallyai_mcp.cli.listing import print_what_is_exposed

            return print_what_is_exposed(parsed, settings, program, as_json=as_json)
        case "schemas":
            from kallyai_mcp.cli.schemas import print_schemas

            return print_schemas(parsed, settings, program)
        case "sandbox":
            return program.sandbox(
                settings,
                port=None if parsed.port is None else int(_number("--port", parsed.port, 0, 65535, whole=True)),
                seed=int(_number("--seed", parsed.seed, 0, 2**63 - 1, whole=True)),
                speed=None if parsed.speed is None else _number("--speed", parsed.speed, 0, float("inf")),
                start=parsed.start,
            )
        case "demo":
            return program.demo(_number("--pace", parsed.pace, 0, 60))
        case _:
            from kallyai_mcp.cli.completion import print_completion

            print_completion(parsed.shell)
            return DONE


def _oversee(subcommand: str, parsed: Namespace, settings: Settings, program: Program, *, as_json: bool) -> int:
    match subcommand:
        case "approve":
            from kallyai_mcp.cli.approving import approve

            return approve(settings, program, wanted=parsed.wanted, as_json=as_json)
        case "audit":
            from kallyai_mcp.cli.audit import audit

            return audit(parsed, settings, program, as_json=as_json)
        case "mandates":
            from kallyai_mcp.cli.mandates import mandates

            return mandates(parsed, settings, program, as_json=as_json)
        case _:
            from kallyai_mcp.cli.braking import resume

            return resume(settings, program, as_json=as_json)


def _set_up(subcommand: str, parsed: Namespace, settings: Settings, program: Program, *, as_json: bool) -> int:
    match subcommand:
        case "install":
            from kallyai_mcp.cli.installing import install

            return install(parsed, settings_flags(parsed), as_json=as_json)
        case "uninstall":
            from kallyai_mcp.cli.installing import uninstall

            return uninstall(parsed, as_json=as_json)
        case _:
            from kallyai_mcp.cli.doctor import doctor

            return doctor(parsed, settings, program, as_json=as_json)


def _number(option: str, text: str, least: float, most: float, *, whole: bool = False) -> float:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        kind = "a whole number" if whole else "a number"
        bounds = f"from {least:g} to {most:g}" if most < 2**31 else f"of at least {least:g}"
        raise UsageError(f"{option} must be {kind} {bounds}.", next_step=f"Correct or leave out {option}.")
    return number
