"""What an operator does to the database of many people: its tables, and the keys that tokens are sealed with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kallyai_mcp.cli.output import DONE, UsageError, print_json, say
from kallyai_mcp.cli.parser import JSON_ANSWER, examples, finish
from kallyai_mcp.cli.text import PROGRAM
from kallyai_mcp.errors import InvalidSettings

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

    from kallyai_mcp.cli.parser import Parser
    from kallyai_mcp.settings import Settings


def migrate(settings: Settings, *, role: str | None, as_json: bool) -> int:
    """Make or change the tables.

    Raises:
        InvalidSettings: There is no database, or it cannot be used.
    """
    from kallyai_mcp.shared.operating import migrated

    before, after = migrated(_url(settings), role)
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        say(f"The tables are of version {after}, as they were.", sys.stdout)
    else:
        say(f"The tables are of version {after} now; they were of version {before}.", sys.stdout)
    return DONE


def vault(parsed: Namespace, settings: Settings, *, as_json: bool) -> int:
    """Make a key, or seal anew what is sealed with an old one.

    Raises:
        UsageError: Neither was asked for.
        InvalidSettings: There is no database or no key, or one cannot be used.
    """
    from kallyai_mcp.shared.keys import KeyRing, new_key

    match parsed.what:
        case "new-key":
            key = new_key()
            print_json({"key": key}) if as_json else say(key, sys.stdout)
            return DONE
        case "rotate":
            from kallyai_mcp.cli.event_loop import run_async
            from kallyai_mcp.shared.shared import Shared

            if settings.vault_keys is None:
                raise InvalidSettings(
                    "KALLYAI_VAULT_KEYS is not set.", next_step=f"Make a key: {PROGRAM} vault new-key"
                )
            keys = KeyRing.read(settings.vault_keys)

            async def rotate() -> int:
                folder = None if settings.database_url else settings.state_folder
                async with Shared.open(settings.database_url, keys, folder=folder, for_people=False) as shared:
                    return await shared.rotate()

            count = run_async(rotate)
            if as_json:
                print_json({"sealed_anew": count})
            else:
                say(f"{count} sealed anew; nothing is sealed with another key than the first any more.", sys.stdout)
            return DONE
        case _:
            raise UsageError("What is to be done with the vault?", next_step=f"'{PROGRAM} vault --help' lists it.")


def _url(settings: Settings) -> str:
    if settings.database_url is None:
        raise InvalidSettings(
            "KALLYAI_DATABASE_URL is not set.",
            next_step="Set it to the address of the database, with a user who may make tables: "
            "postgresql://user:password@host:5432/name. A database in a file needs no such step.",
        )
    return settings.database_url


def _migrate(parser: Parser) -> None:
    parser.description = (
        "Makes the tables of the servers' PostgreSQL (KALLYAI_DATABASE_URL), or brings them up to date. It may be run "
        "as often as one likes, and while servers of the version before are running."
    )
    parser.epilog = examples(f"{PROGRAM} migrate", f"{PROGRAM} migrate --grant servers")
    parser.add_argument("--grant", metavar="ROLE", help="Give the servers' user the rights that it needs.")
    finish(parser, "migrate", JSON_ANSWER)


def _vault(parser: Parser) -> None:
    parser.description = (
        "Tokens are kept sealed with the first key of KALLYAI_VAULT_KEYS; all of its keys open them. To change the key "
        "without a pause: put the new key last on every server, then first, then run rotate, then remove the old one."
    )
    parser.epilog = examples(f"{PROGRAM} vault new-key", f"{PROGRAM} vault rotate --json")
    parser.usage = f"{parser.prog} [COMMAND] [options]"
    add = parser.branch("commands", "COMMAND").add_parser
    for word, (summary, fill) in _VAULT.items():
        add(word, prog=f"{parser.prog} {word}", help=summary, description=summary, fill=fill, mixed=True)
    finish(parser, "vault", JSON_ANSWER)
    parser.set_defaults(what="")


def _vault_new_key(parser: Parser) -> None:
    parser.epilog = examples(f"{PROGRAM} vault new-key")
    finish(parser, "vault", JSON_ANSWER)
    parser.set_defaults(what="new-key")


def _vault_rotate(parser: Parser) -> None:
    parser.epilog = examples(f"{PROGRAM} vault rotate", f"{PROGRAM} vault rotate --json")
    finish(parser, "vault", JSON_ANSWER)
    parser.set_defaults(what="rotate")


_VAULT: Mapping[str, tuple[str, Callable[[Any], None]]] = {
    "new-key": ("Print a new random key.", _vault_new_key),
    "rotate": ("Seal anew, with the first key, what another key has sealed.", _vault_rotate),
}
FILL: Mapping[str, Callable[[Any], None]] = {"migrate": _migrate, "vault": _vault}
"""What fills the parser of each subcommand."""
