"""The checks of the program itself."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kallyai_mcp import __version__
from kallyai_mcp.auth.reach import reach
from kallyai_mcp.catalog import find
from kallyai_mcp.cli.doctor.finding import Check, Finding, Status
from kallyai_mcp.cli.text import PROGRAM
from kallyai_mcp.errors import KallyError
from kallyai_mcp.hosts import find_command

if TYPE_CHECKING:
    from kallyai_mcp.cli.program import Program
    from kallyai_mcp.settings import Settings

LEAST_PYTHON = (3, 11)
MOST_SKEW = 60.0
"""Seconds by which the clock may be wrong: tokens are renewed a little before they run out."""

STATE_FILE = "acts.db"


def own_checks(settings: Settings, program: Program) -> list[Check]:
    """Return the checks, in the order in which one builds on the other."""
    return [
        Check("python", None, "Python", _python),
        Check("command", None, "the command", _command),
        Check("state", None, "the state folder", partial(_state, settings)),
        Check("acts", None, "the log of acts", partial(_acts, settings, program)),
        Check("sandbox", None, "the sandbox", partial(_sandbox, settings, program), within=20),
        Check("sign-in", None, "the sign-in", partial(_sign_in, settings, program)),
        Check("service", None, "the service", partial(_service, settings)),
    ]


async def _python() -> list[Finding]:
    version = platform.python_version()
    facts = {"python": version, "version": __version__, "platform": sys.platform}
    message = f"Python {version} runs {PROGRAM} {__version__}."
    if sys.version_info < LEAST_PYTHON:
        return [Finding("python", None, Status.FAILED, message, "Install Python 3.11 or newer.", facts)]
    return [Finding("python", None, Status.OK, message, facts=facts)]


async def _command() -> list[Finding]:
    command = find_command(os.environ, home=_home())
    facts = {"words": list(command.words), "installed_by": command.how}
    return [Finding("command", None, Status.OK, f"Hosts run {' '.join(command.words)} ({command.how}).", facts=facts)]


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")  # nobody has a home folder here, as in some containers


async def _state(settings: Settings) -> list[Finding]:
    folder = settings.state_folder
    facts: dict[str, Any] = {"folder": str(folder)}
    if not folder.exists():
        nearest = next(parent for parent in folder.absolute().parents if parent.exists())
        if os.access(nearest, os.W_OK | os.X_OK):
            return [Finding("state", None, Status.OK, f"{folder} is made when it is first needed.", facts=facts)]
        return [
            Finding(
                "state",
                None,
                Status.FAILED,
                f"{folder} cannot be made.",
                f"Give yourself {nearest}, or choose another folder with --state-dir.",
                facts,
            )
        ]
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        remedy = "Give it to yourself with mode 0700, or choose another folder with --state-dir."
        return [Finding("state", None, Status.FAILED, f"{folder} cannot be written.", remedy, facts)]
    mode = folder.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077:
        return [
            Finding(
                "state",
                None,
                Status.FAILED,
                f"{folder} is open to others (mode {mode:04o}).",
                f"Run: chmod 700 {folder}",
                facts,
            )
        ]
    return [Finding("state", None, Status.OK, f"{folder} is yours alone.", facts=facts)]


async def _acts(settings: Settings, program: Program) -> list[Finding]:
    if not (settings.state_folder / STATE_FILE).exists():
        return [Finding("acts", None, Status.OK, "Nothing was done yet.", facts={"lines": 0})]
    async with program.running(settings) as app:
        verified = await (await app.parts()).journal.verify()
    facts: dict[str, Any] = {"lines": verified.lines, "first_altered": verified.broken}
    if verified.broken is not None:
        message = f"The log was altered: line {verified.broken} is the first. {verified.reason}"
        return [Finding("acts", None, Status.FAILED, message, f"'{PROGRAM} audit verify' tells more.", facts)]
    return [Finding("acts", None, Status.OK, f"{verified.lines} lines, each as it was written.", facts=facts)]


async def _sandbox(settings: Settings, program: Program) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="kallyai-doctor-", ignore_cleanup_errors=True) as folder:
        # Nothing of the account at hand takes part in it.
        trial = replace(settings, sandbox=True, sandbox_data=None, access_token=None, state_dir=Path(folder) / "state")
        async with program.running(trial) as app:
            engine = await app.engine()
            answer = (await engine.run(find("kallyai_credits_balance"), {})).structured
    return [Finding("sandbox", None, Status.OK, "The embedded KallyAI answers.", facts={"answered": bool(answer)})]


async def _sign_in(settings: Settings, program: Program) -> list[Finding]:
    remedy = f"Sign in: {PROGRAM} login"
    problem: KallyError | None = None
    status: dict[str, Any] = {}
    try:
        async with program.running(settings) as app:
            engine = await app.engine()
            status = dict((await engine.run(find("kallyai_auth_status"), {})).structured)
    except* KallyError as group:
        problem = _leaf(group)
    if problem is not None:
        facts = {"code": problem.error_code}
        return [Finding("sign-in", None, Status.FAILED, problem.message, problem.next_step, facts)]
    if not status.get("authenticated"):
        return [Finding("sign-in", None, Status.NOTE, "Nobody is signed in.", remedy, {"signed_in": False})]
    expires: Any = status.get("expires_at")
    facts = {"signed_in": True, "expires_at": expires}
    until = ""
    if isinstance(expires, int | float):
        local = datetime.fromtimestamp(expires).astimezone()
        until = f" The token runs out at {local:%Y-%m-%d %H:%M %Z} and is renewed before."
    return [Finding("sign-in", None, Status.OK, f"Signed in.{until}", facts=facts)]


def _leaf(group: BaseExceptionGroup[KallyError]) -> KallyError:
    error = group.exceptions[0]
    return _leaf(error) if isinstance(error, BaseExceptionGroup) else error


async def _service(settings: Settings) -> list[Finding]:
    if settings.sandbox:
        return [Finding("service", None, Status.OK, "The sandbox is in this process; nothing is asked of the network.")]
    try:
        reached = await reach(settings)
    except KallyError as error:
        return [Finding("service", None, Status.FAILED, error.message, error.next_step, {"reached": False})]
    facts: dict[str, Any] = {"reached": True, "seconds": round(reached.seconds, 2)}
    found = [
        Finding("service", None, Status.OK, f"{settings.api_url} answers in {reached.seconds:.1f} s.", facts=facts)
    ]
    if reached.ahead is None:
        return [*found, Finding("clock", None, Status.NOTE, "The service does not tell the time.")]
    ahead = round(reached.ahead)
    if abs(ahead) <= MOST_SKEW:
        return [*found, Finding("clock", None, Status.OK, "This machine's clock is right.", facts={"ahead": ahead})]
    side = "ahead of" if ahead > 0 else "behind"
    message = f"This machine's clock is {abs(ahead)} s {side} the service's."
    remedy = "Have the system set its clock by the network. Sign-ins and hours of contact are judged by it."
    return [*found, Finding("clock", None, Status.FAILED, message, remedy, {"ahead": ahead})]
