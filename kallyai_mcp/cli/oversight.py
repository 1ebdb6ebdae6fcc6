"""The subcommands by which a person watches over acts, as they are typed: agreeing, stopping, the log, mandates."""

from __future__ import annotations

from argparse import SUPPRESS
from typing import TYPE_CHECKING

from kallyai_mcp.cli.parser import JSON_ANSWER, examples, finish
from kallyai_mcp.cli.text import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.cli.parser import Parser

FORMATS = ("jsonl", "csv")
LISTED = 50
"""Lines of the log that are listed unless told otherwise."""


def _approve(parser: Parser) -> None:
    parser.description = (
        "Lists what waits for a person. With one that is open, or the one named, it shows everything that would be "
        "done, and asks. Only what is typed at the terminal is an answer: nothing piped in, no option and no variable "
        "agrees to anything."
    )
    parser.epilog = examples(f"{PROGRAM} approve", f"{PROGRAM} approve 7k2p9qxm", f"{PROGRAM} approve --json")
    parser.add_argument_group("arguments").add_argument(
        "wanted", nargs="?", metavar="id", help="Which, by its identifier or the beginning of it."
    )
    finish(parser, "approve", "List what is open as one JSON document, and decide nothing.")


def _stop(parser: Parser) -> None:
    parser.description = (
        "Stops all acts of every account whose acts are kept in the state folder, in every process, within a second. "
        "Then it cancels with KallyAI what this account has set going, as far as that can be, and says what goes on. "
        "It needs neither network nor sign-in for the stop itself."
    )
    parser.epilog = examples(f"{PROGRAM} stop", f"{PROGRAM} stop --json")
    finish(parser, "stop", JSON_ANSWER)


def _resume(parser: Parser) -> None:
    parser.description = (
        "Lets acts run again, after it has said since when and by whom they were stopped. No tool can do this, and it "
        "needs a person at a terminal."
    )
    parser.epilog = examples(f"{PROGRAM} resume")
    finish(parser, "resume", JSON_ANSWER)


def _audit(parser: Parser) -> None:
    parser.description = (
        "Every act leaves a line in a log on this machine: when, what, whom it reached (masked), who agreed, what came "
        "of it and what it cost. Each line holds the hash of the one before. Nothing is looked up over the network."
    )
    parser.epilog = examples(
        f"{PROGRAM} audit --limit 20",
        f"{PROGRAM} audit verify",
        f"{PROGRAM} audit export --format csv --output log.csv",
    )
    parser.usage = f"{parser.prog} [COMMAND] [options]"
    add = parser.branch("commands", "COMMAND").add_parser
    for word, (summary, fill) in _AUDITS.items():
        add(word, prog=f"{parser.prog} {word}", help=summary, description=summary, fill=fill, mixed=True)
    _listing(parser)
    finish(parser, "audit", JSON_ANSWER)
    parser.set_defaults(what="list")


def _audit_list(parser: Parser) -> None:
    parser.epilog = examples(f"{PROGRAM} audit list", f"{PROGRAM} audit list --limit 500 --all --json")
    _listing(parser)
    finish(parser, "audit", JSON_ANSWER)
    parser.set_defaults(what="list")


def _audit_verify(parser: Parser) -> None:
    parser.description = (
        "Checks every line of the log. It prints the hash of the last one, or names the first that was altered, "
        "removed or put in, with exit status 1. Whoever can write the log can also replace all of it: keep the hash "
        "elsewhere to notice that."
    )
    parser.epilog = examples(f"{PROGRAM} audit verify", f"{PROGRAM} audit verify --json")
    finish(parser, "audit", JSON_ANSWER)
    parser.set_defaults(what="verify")


def _audit_export(parser: Parser) -> None:
    parser.description = (
        "Prints the log of this account, the oldest line first; with --all that of every account. In jsonl each line "
        "is, byte for byte, what its hash was made of. In csv a text that a spreadsheet would take for a formula "
        "begins with an apostrophe."
    )
    parser.epilog = examples(
        f"{PROGRAM} audit export > log.jsonl", f"{PROGRAM} audit export --all --format csv --output log.csv"
    )
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="jsonl or csv. Default: jsonl.")
    parser.add_argument("--output", metavar="FILE", help="File to write, readable by its owner only. Default: stdout.")
    _all(parser)
    finish(parser, "audit")
    parser.set_defaults(what="export")


def _mandates(parser: Parser) -> None:
    parser.description = (
        "A mandate is a bounded errand that a person agrees to once: which tools may be used, towards whom, how often, "
        "for how many credits, until when. Acts within its bounds then need no further question."
    )
    parser.epilog = examples(
        f"{PROGRAM} mandates",
        f"{PROGRAM} mandates add --purpose 'Find a plumber' --tool 'calls make' --acts 3 --credits 10 --until 18:00",
        f"{PROGRAM} mandates revoke m-7k2p9qxm",
    )
    parser.usage = f"{parser.prog} [COMMAND] [options]"
    add = parser.branch("commands", "COMMAND").add_parser
    for word, (summary, fill) in _MANDATES.items():
        add(word, prog=f"{parser.prog} {word}", help=summary, description=summary, fill=fill, mixed=True)
    finish(parser, "mandates", JSON_ANSWER)
    parser.set_defaults(what="list")


def _mandates_list(parser: Parser) -> None:
    parser.epilog = examples(f"{PROGRAM} mandates list", f"{PROGRAM} mandates list --json")
    finish(parser, "mandates", JSON_ANSWER)
    parser.set_defaults(what="list")


def _mandates_add(parser: Parser) -> None:
    parser.description = "Shows the mandate in full and asks. Only what is typed at the terminal puts it in force."
    parser.epilog = examples(
        f"{PROGRAM} mandates add --purpose 'Find a plumber' --tool 'calls make' --acts 3 --credits 10 --until 18:00",
        f"{PROGRAM} mandates add --purpose Invitations --tool 'actions email send' --to @example.org --acts 20 "
        "--credits 6 --until 2026-04-12T12:00",
    )
    needed = parser.add_argument_group("required options")
    needed.add_argument("--purpose", metavar="TEXT", help="What it is for, in words.")
    needed.add_argument(
        "--tool", metavar="COMMAND", action="append", help="What may be run, such as 'calls make'. Repeat it for more."
    )
    needed.add_argument("--acts", metavar="N", help="Most acts.")
    needed.add_argument("--credits", metavar="NUMBER", help="Most credits in all.")
    needed.add_argument(
        "--until", metavar="TIME", help="When it ends: YYYY-MM-DDTHH:MM, or HH:MM of today. At most a week ahead."
    )
    parser.add_argument_group("options").add_argument(
        "--to",
        metavar="WHOM",
        action="append",
        help="A number (+12025550143, or +1202* for all that begin so), a mail address or an @domain. Repeat it for "
        "more; without it, anyone.",
    )
    finish(parser, "mandates", JSON_ANSWER)
    parser.set_defaults(what="add")


def _mandates_revoke(parser: Parser) -> None:
    parser.epilog = examples(f"{PROGRAM} mandates revoke m-7k2p9qxm")
    parser.add_argument_group("arguments").add_argument(
        "wanted", nargs="?", metavar="id", help="Which, as the list names it."
    )
    finish(parser, "mandates", JSON_ANSWER)
    parser.set_defaults(what="revoke")


def _listing(parser: Parser) -> None:
    parser.add_argument(
        "--limit", metavar="N", default=SUPPRESS, help=f"How many lines, the newest at the end. Default: {LISTED}."
    )
    _all(parser)


def _all(parser: Parser) -> None:
    parser.add_argument(
        "--all", action="store_true", default=SUPPRESS, help="Every account of the state folder, not this one alone."
    )


_AUDITS: Mapping[str, tuple[str, Callable[[Parser], None]]] = {
    "list": ("List what was done, the newest at the end; the same as no command.", _audit_list),
    "verify": ("Check that no line of the log was altered.", _audit_verify),
    "export": ("Print the log for other programs.", _audit_export),
}
_MANDATES: Mapping[str, tuple[str, Callable[[Parser], None]]] = {
    "list": ("List the mandates in force; the same as no command.", _mandates_list),
    "add": ("Agree to a mandate.", _mandates_add),
    "revoke": ("Take a mandate back.", _mandates_revoke),
}
FILL: Mapping[str, Callable[[Parser], None]] = {
    "approve": _approve,
    "stop": _stop,
    "resume": _resume,
    "audit": _audit,
    "mandates": _mandates,
}
"""What fills the parser of each subcommand."""
