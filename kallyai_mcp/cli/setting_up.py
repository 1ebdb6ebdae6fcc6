"""The subcommands that connect this program with hosts, as they are typed: install, uninstall, doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallyai_mcp.cli.parser import JSON_ANSWER, examples, finish
from kallyai_mcp.cli.text import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.cli.parser import Parser

_NAME = "What the entry is called. Default: kallyai."


def _install(parser: Parser) -> None:
    parser.description = (
        "Shows what would change in the host's configuration, asks, and changes it. Everything else in the file stays "
        "as it is, and a copy is kept beside it. Without a host it lists those it knows. Settings that are given, such "
        "as --sandbox, become variables of the entry; secrets never do."
    )
    parser.epilog = examples(
        f"{PROGRAM} install claude-desktop",
        f"{PROGRAM} install cursor --scope project --sandbox --yes",
        f"{PROGRAM} install vscode --print",
    )
    _add_host(parser, "Which host; without one they are listed.")
    _add_scope(parser, "For the user, or for the project of the current folder only: user or project.")
    parser.add_argument("--name", help=_NAME)
    parser.add_argument("--print", action="store_true", dest="only_print", help="Print the entry; change nothing.")
    parser.add_argument("--yes", action="store_true", help="Do not ask.")
    finish(parser, "install", JSON_ANSWER)


def _uninstall(parser: Parser) -> None:
    parser.description = (
        "Takes the entry out of the host's configuration and leaves everything else byte for byte as it is. A file "
        "that nobody else has changed since is put back as it was."
    )
    parser.epilog = examples(f"{PROGRAM} uninstall claude-desktop", f"{PROGRAM} uninstall cursor --scope project --yes")
    _add_host(parser, "Which host.")
    _add_scope(parser, "Where it was put: user or project.")
    parser.add_argument("--name", help=_NAME)
    parser.add_argument("--yes", action="store_true", help="Do not ask.")
    finish(parser, "uninstall", JSON_ANSWER)


def _doctor(parser: Parser) -> None:
    parser.description = (
        "Looks at everything that has to be right, and says what to do where it is not: Python, the settings, the "
        "sign-in, the service, the clock, the sandbox, the log of acts, and each host that has an entry, whose command "
        "is started for a moment. It runs no tool and changes nothing. It ends with 1 if something does not work."
    )
    parser.epilog = examples(
        f"{PROGRAM} doctor", f"{PROGRAM} doctor --host cursor", f"{PROGRAM} doctor --json --sandbox"
    )
    parser.add_argument("--host", help="Look at this host only, whether or not it has an entry.")
    parser.add_argument("--name", help=_NAME)
    finish(parser, "doctor", "Print what was found as one JSON document.")


def _add_host(parser: Parser, meaning: str) -> None:
    parser.add_argument_group("arguments").add_argument("host", nargs="?", metavar="host", help=meaning)


def _add_scope(parser: Parser, meaning: str) -> None:
    parser.add_argument("--scope", metavar="SCOPE", help=meaning)


FILL: Mapping[str, Callable[[Parser], None]] = {"install": _install, "uninstall": _uninstall, "doctor": _doctor}
