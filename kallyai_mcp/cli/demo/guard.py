"""What keeps an agent within bounds: a person who says no, a limit, an answer that is lost, the brake, the receipts."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import anyio

from kallyai_mcp.cli.demo.checks import Failed
from kallyai_mcp.cli.text import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kallyai_mcp.cli.demo.stage import Stage

UNWANTED: dict[str, Any] = {"to": "desk@elsewhere.example", "subject": "The flat", "body": "We give up the flat."}
LOST: dict[str, Any] = {"to": "garage@cars.example", "subject": "The blue car", "body": "When can it be picked up?"}
TOO_MANY: dict[str, Any] = {"phone": "+12025550100", "task": "Ask whether they are open on Sunday"}
LATER: dict[str, Any] = {"description": "Bring the coat to the cleaner"}


async def _declined(stage: Stage) -> None:
    stage.screen.narrate("The agent has just read what strangers wrote, so everything that acts is looked at closely.")
    before = await stage.received()
    stage.screen.runs("kallyai_actions_email_send", UNWANTED)
    stage.agrees = stage.has_read = False
    error = await stage.host.refused("kallyai_actions_email_send", **UNWANTED)
    stage.agrees = True
    stage.screen.answers(error["message"], style="red")
    stage.check(error["code"] == "approval_declined", "The agent is told that the user said no.", error["code"])
    after = await stage.received()
    stage.check(after == before, "The sandbox has received no request.", after[len(before) :])


async def _limit(stage: Stage) -> None:
    stage.screen.narrate("This server was started with --max-calls-per-hour 1, and one call was placed.")
    stage.screen.runs("kallyai_calls_make", TOO_MANY)
    error = await stage.host.refused("kallyai_calls_make", **TOO_MANY)
    stage.screen.answers(error["message"], style="red")
    stage.check(error["code"] == "limit_reached", "A limit holds, whatever the user agrees to.", error["code"])


async def _lost(stage: Stage) -> None:
    stage.screen.narrate("Connections break. Here the sandbox does what it is asked, and its answer is lost.")
    await stage.control("/sandbox/faults", {"fault": "drop-after", "tool": "kallyai_actions_email_send"})
    before = await stage.received()
    stage.screen.runs("kallyai_actions_email_send", LOST)
    error = await stage.host.refused("kallyai_actions_email_send", **LOST)
    stage.screen.answers(error["message"], style="red")
    stage.screen.fact("outcome", error["outcome"])
    stage.screen.fact("retry_safe", error["retry_safe"])
    stage.check(error["outcome"] == "unknown", "The agent is told that nobody knows yet.", error)
    await stage.screen.pause()
    stage.screen.narrate("An agent that tries again all the same gets what the server has found out meanwhile.")
    again = await stage.run("kallyai_actions_email_send", **LOST)
    stage.screen.answers(again["_earlier"]["question"])
    stage.screen.fact("found", again["_act"].get("note"))
    sent = (await stage.received())[len(before) :]
    stage.check(sent == ["actions email send"], "The mail was written once.", sent)


async def _stop(stage: Stage) -> None:
    stage.screen.narrate("When something goes wrong, everything can be stopped at once, by a person or by the agent.")
    report = await stage.run("kallyai_stop")
    stage.screen.answers(report["message"])
    for entry in report["cancelled"]:
        stage.screen.item(f"{entry['tool']}: cancelled with {entry['with']}")
    stage.screen.runs("kallyai_actions_errand", LATER)
    error = await stage.host.refused("kallyai_actions_errand", **LATER)
    stage.screen.answers(error["message"], style="red")
    stage.check(error["code"] == "stopped", "Nothing more is done.", error["code"])


async def _audit(stage: Stage) -> None:
    stage.screen.narrate("Every act has left a receipt: who agreed, whom it reached, what came of it, what it cost.")
    for words in (("audit", "--all", "--limit", "6"), ("audit", "verify")):
        stage.screen.types(" ".join((PROGRAM, *words)))
        status, printed = await _terminal(stage, words)
        for line in printed.splitlines():
            if line.strip():
                stage.screen.item(line)
        if status:
            raise Failed(f"'{' '.join(words)}' succeeds.", printed)
    stage.screen.passed("No line of the log was altered.")


async def _terminal(stage: Stage, words: tuple[str, ...]) -> tuple[int, str]:
    """Type a command in a terminal with the server's home."""
    home = str(stage.host.home)
    places = dict.fromkeys(("HOME", "USERPROFILE", "KALLYAI_STATE_DIR"), home)
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP") if name in os.environ}
    environment = {**kept, **places, "COLUMNS": "74", "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}
    done = await anyio.run_process(
        [sys.executable, "-m", "kallyai_mcp", *words], env=environment, check=False, stderr=-2
    )
    return done.returncode, done.stdout.decode(errors="replace")


GUARD_STEPS: tuple[tuple[str, Callable[[Stage], Awaitable[None]]], ...] = (
    ("The user says no", _declined),
    ("A limit is reached", _limit),
    ("An answer is lost, and nothing happens twice", _lost),
)
LAST_STEPS: tuple[tuple[str, Callable[[Stage], Awaitable[None]]], ...] = (
    ("The brake", _stop),
    ("The receipts", _audit),
)
