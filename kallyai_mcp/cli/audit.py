"""The log of what was done, for people, scripts and spreadsheets. Nothing is asked of the service for it."""

from __future__ import annotations

import csv
import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from kallyai_mcp.cli.output import DONE, REFUSED, UsageError, print_json, print_laid_out, say
from kallyai_mcp.cli.oversight import FORMATS, LISTED
from kallyai_mcp.cli.questions import command_of
from kallyai_mcp.cli.running import within
from kallyai_mcp.cli.text import PROGRAM, escaped, visible
from kallyai_mcp.journal import ALL

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Generator, Iterable

    from kallyai_mcp.cli.program import App, Program
    from kallyai_mcp.model.records import Receipt, Verification
    from kallyai_mcp.settings import Settings

COLUMNS = (
    "number", "time", "account", "tool", "outcome", "destination", "agreed", "approval", "charged", "act", "mandate",
    "error", "correlation_id", "digest", "details", "previous", "hash",
)  # fmt: skip
"""Columns of the CSV; what a later version adds to a line stands among the details."""

_MOST = 2**31
_FORMULA = tuple("=+-@\t\r\n|%")
"""How a cell begins that a spreadsheet would calculate (OWASP, CSV Injection)."""


def audit(parsed: Namespace, settings: Settings, program: Program, *, as_json: bool) -> int:
    """List, check or export the log."""
    of_all: bool = getattr(parsed, "all", False)
    match parsed.what:
        case "verify":
            return _verify(settings, program, as_json=as_json)
        case "export":
            if parsed.format not in FORMATS:
                raise UsageError(
                    f"--format must be {' or '.join(FORMATS)}.", next_step="Correct it, or leave it out for jsonl."
                )
            receipts, others = within(program, settings, lambda app: _receipts(app, settings, of_all=of_all))
            done = _export(receipts, parsed.format, parsed.output)
            if others:
                say(f"There is nothing of this account in it; {_of_others(others)}")
            return done
        case _:
            limit = _limit(getattr(parsed, "limit", None))
            receipts, others = within(program, settings, lambda app: _receipts(app, settings, of_all=of_all))
            return _list(receipts[-limit:], others, of_all=of_all, as_json=as_json)


async def _receipts(app: App, settings: Settings, *, of_all: bool) -> tuple[list[Receipt], int]:
    """Return the lines that were asked for, and where none is this account's own, how many are of others."""
    parts = await app.parts()
    # What a process that has died left behind has no line yet.
    await parts.journal.recover(parts.owner.key, settings.safety.approval)
    everything = await parts.journal.receipts(None)
    if of_all:
        return everything, 0
    # What was done for all accounts at once, such as a stop, was done for this one, too.
    mine = {parts.owner.key, ALL}
    found = [receipt for receipt in everything if str(_facts(receipt).get("account", ALL)) in mine]
    has_own = any(_facts(receipt).get("account") == parts.owner.key for receipt in found)
    return found, 0 if has_own else len(everything) - len(found)


def _limit(text: str | None) -> int:
    if text is None:
        return LISTED
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) < _MOST:
        raise UsageError("--limit must be a whole number of at least 1.", next_step="Correct or leave out --limit.")
    return int(text)


def _list(receipts: list[Receipt], others: int, *, of_all: bool, as_json: bool) -> int:
    if as_json:
        print_json({"receipts": [{**_facts(receipt), "hash": receipt.hash} for receipt in receipts]})
        return DONE
    if receipts:
        print_laid_out({"receipts": [_row(receipt, of_all=of_all) for receipt in receipts]})
    if others:
        say(f"Nothing was done yet for this account; {_of_others(others)}", sys.stdout)
    elif not receipts:
        say("Nothing was done yet.", sys.stdout)
    return DONE


def _of_others(count: int) -> str:
    return f"{_lines(count)} {'is' if count == 1 else 'are'} of others: {PROGRAM} audit --all"


def _row(receipt: Receipt, *, of_all: bool) -> dict[str, Any]:
    facts = _facts(receipt)
    outcome = str(facts.get("outcome", ""))
    error = facts.get("error")
    row: dict[str, Any] = {
        "number": receipt.number,
        "time": str(facts.get("time", "")).partition(".")[0].removesuffix("Z") + "Z",
        "what": command_of(str(facts.get("tool", ""))),
        "status": f"{outcome} ({error})" if error else outcome,
        "to": facts.get("destination") or None,
        "agreed": facts.get("agreed"),
        "credits": facts.get("charged"),
        "act": str(facts.get("act") or "")[:8] or None,
    }
    return row | ({"account": str(facts.get("account", ""))[:8]} if of_all else {})


def _facts(receipt: Receipt) -> dict[str, Any]:
    """What a line says; a line that was altered may say nothing."""
    try:
        facts = json.loads(receipt.line)
    except (ValueError, TypeError, RecursionError):
        facts = None
    return cast("dict[str, Any]", facts) if isinstance(facts, dict) else {"number": receipt.number, "outcome": "?"}


def _verify(settings: Settings, program: Program, *, as_json: bool) -> int:
    async def check(app: App) -> Verification:
        return await (await app.parts()).journal.verify()

    found = within(program, settings, check)
    is_whole = found.broken is None
    if as_json:
        facts: dict[str, Any] = {"intact": is_whole, "lines": found.lines, "head": found.head}
        print_json(facts if is_whole else facts | {"first_altered": found.broken, "reason": found.reason})
    elif is_whole:
        say(f"{_lines(found.lines)}, each as it was written.", sys.stdout)
        sys.stdout.write(f"Head: {visible(found.head) or 'none'}\n")
    else:
        say(f"The log was altered: line {found.broken} is the first. {found.reason}", sys.stdout)
        say(f"{_lines(found.lines)} in all. What stands before line {found.broken} is as it was written.")
    return DONE if is_whole else REFUSED


def _lines(count: int) -> str:
    return f"{count} {'line' if count == 1 else 'lines'}"


def _export(receipts: list[Receipt], form: str, output: str | None) -> int:
    with _writing(output) as stream:
        if form == "csv":
            _write_csv(receipts, stream)
        else:
            for receipt in receipts:
                line = str(receipt.line)
                stream.write(f"{escaped(line) if stream.isatty() else line}\n")
    if output is not None:
        say(f"{_lines(len(receipts))} written to {output}. '{PROGRAM} audit verify' checks the log itself.")
    return DONE


def _write_csv(receipts: Iterable[Receipt], stream: TextIO) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for receipt in receipts:
        facts = {**_facts(receipt), "hash": receipt.hash}
        more = {name: value for name, value in facts.items() if name not in COLUMNS}
        details = facts.get("details")
        more |= cast("dict[str, Any]", details) if isinstance(details, dict) else {}
        facts["details"] = json.dumps(more, sort_keys=True) if more else None
        writer.writerow([_cell(facts.get(name)) for name in COLUMNS])


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


@contextmanager
def _writing(output: str | None) -> Generator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), 0o600)
    with open(descriptor, "w", encoding="utf-8", newline="") as stream:  # noqa: PTH123 - a descriptor, for its mode
        yield stream
