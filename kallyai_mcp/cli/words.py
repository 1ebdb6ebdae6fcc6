"""The words of `kallyai-mcp run`: a parser for every command of the catalog, grouped as they are typed."""

from __future__ import annotations

from argparse import SUPPRESS
from functools import partial
from typing import TYPE_CHECKING, cast

from kallyai_mcp.catalog import DOMAINS, all_commands, similar
from kallyai_mcp.cli.arguments import OPTION, add_arguments, typed_arguments
from kallyai_mcp.cli.listing import effects_of
from kallyai_mcp.cli.output import EXIT_STATUS
from kallyai_mcp.cli.parser import JSON_ANSWER, add_general, add_settings, setting_dest
from kallyai_mcp.cli.text import PROGRAM, for_terminal
from kallyai_mcp.examples import examples_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kallyai_mcp.cli.arguments import Typed
    from kallyai_mcp.cli.parser import Parser
    from kallyai_mcp.model import Command

Branch = dict[str, "Branch | Command"]
_WIDTH = 78
_EXAMPLES = 2


def fill_run(parser: Parser) -> None:
    """Give `run` its domains."""
    parser.description = "Run a command of KallyAI; the same as the tool of its name, with the same checks."
    parser.epilog = (
        "examples:\n"
        f"  {PROGRAM} run ask Book a table for four at Osteria Mira on Saturday\n"
        f"  {PROGRAM} run calls make --phone +14155550117 --task 'Ask until when the kitchen is open'\n"
        f"  {PROGRAM} run calls history --limit 5 --json\n"
        f"\n'{PROGRAM} run <domain>' lists its commands.\n\n{EXIT_STATUS}"
    )
    _fill_branch(parser, _tree(), "domains and commands", "COMMAND")


def _tree() -> Branch:
    root: Branch = {}
    for command in all_commands():
        branch = root
        for word in command.words[:-1]:
            branch = cast("Branch", branch.setdefault(word, {}))
        branch[command.words[-1]] = command
    return root


def _fill_branch(parser: Parser, branch: Branch, title: str, metavar: str) -> None:
    parser.usage = f"{parser.prog} {metavar} ... [--json]"
    parser.suggest = _similar
    parser.set_defaults(subcommand="run", command=None, listing=parser)
    add = parser.branch(title, metavar).add_parser
    for word, node in branch.items():
        _add(add, parser.prog, word, node)
    add_general(parser, JSON_ANSWER)
    add_settings(parser)


def _add(add: Any, prog: str, word: str, node: Branch | Command) -> None:
    if isinstance(node, dict):
        summary = _summary_of(word, node)
        add(
            word,
            prog=f"{prog} {word}",
            help=summary,
            description=summary,
            fill=partial(_fill_branch, branch=node, title="commands", metavar="COMMAND"),
        )
    else:
        add(
            word,
            prog=f"{prog} {word}",
            help=_first_sentence(for_terminal(node.description)).replace("%", "%%"),
            mixed=True,
            fill=partial(fill_command, command=node),
        )


def _summary_of(word: str, branch: Branch) -> str:
    domain = next((domain for domain in DOMAINS if domain.name == word), None)
    return domain.summary if domain else f"{', '.join(branch).capitalize()}."


def _similar(word: str) -> list[str]:
    names = [command.name for command in all_commands() if word in command.words]
    return [f"{PROGRAM} run {name}" for name in [*names, *similar(word)]]


def fill_command(parser: Parser, command: Command) -> None:
    """Give a parser everything that the declaration of its command says."""
    lines = [f"{command.title}.", "", for_terminal(command.description)]
    if command.environment is not None:
        lines += ["", "Taken from the environment:"]
        lines += [f"  {variable}" for fields in command.environment.fields.values() for variable in fields.values()]
    parser.description = "\n".join(lines)
    add_arguments(parser, command)
    if command.is_recorded:
        _add_run_options(parser)
    add_general(parser, JSON_ANSWER)
    add_settings(parser)
    parser.set_defaults(subcommand="run", command=command, listing=None)
    parser.epilog = (
        "examples:\n"
        + "".join(f"  {line}\n" for line in _shown_examples(command))
        + f"\nEffects: {', '.join(effects_of(command))}. The settings of '{PROGRAM} --help' are accepted too.\n"
    )


def _add_run_options(parser: Parser) -> None:
    # What a model gives as RUN_ARGUMENTS; the first is a setting, too.
    group = parser.add_argument_group("options of the run")
    group.add_argument(
        "--dry-run",
        action="store_true",
        dest=setting_dest("dry_run"),
        default=SUPPRESS,
        help="Only check it and show the request; send nothing.",
    )
    group.add_argument(
        "--repeat-of",
        dest=f"{OPTION}repeat_of",
        metavar="ID",
        default=SUPPRESS,
        help="Do once more what the act of this identifier has done. Without it an equal act is not repeated.",
    )


def _shown_examples(command: Command) -> list[str]:
    # An option without a value, for an empty list, is right and reads like a mistake.
    usual = [example for example in examples_of(command) if [] not in example["arguments"].values()]
    return sorted(typed_lines(command, usual), key=len)[:_EXAMPLES]


def typed_lines(command: Command, examples: Sequence[Mapping[str, Any]] | None = None) -> list[str]:
    """Return the examples of a command, or those given, as they are typed."""
    import shlex

    lines: list[str] = []
    for example in examples_of(command) if examples is None else examples:
        words = typed_words(command, example["arguments"])
        line = f"{PROGRAM} run {command.name}"
        lines.append(" ".join([line, *(shlex.quote(word) for word in words)]))
    return list(dict.fromkeys(lines))


def typed_words(command: Command, arguments: dict[str, Any]) -> list[str]:
    """Return what is typed after a command's name so that a run has these arguments."""
    in_place: list[str] = []
    options: list[str] = []
    for typed in typed_arguments(command):
        if typed.name not in arguments:
            continue
        value = arguments[typed.name]
        if typed.options:
            options += _option(typed, value)
        elif typed.words:
            in_place += str(value).split(" ")
        else:
            in_place += [str(entry) for entry in value] if typed.is_list else [str(value)]
    guarded = ["--", *in_place] if any(word.startswith("-") for word in in_place) else in_place
    return [*options, *guarded]


def _option(typed: Typed, value: Any) -> list[str]:
    import json

    flag = typed.options[-1]
    if typed.kind is bool:
        return [flag if value else f"--no-{flag.removeprefix('--')}"]
    if typed.is_list:
        return [word for entry in value for word in _pair(flag, str(entry))] or [flag]
    return _pair(flag, json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value))


def _pair(flag: str, text: str) -> list[str]:
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _first_sentence(text: str) -> str:
    head, dot, _ = text.partition(". ")
    head = head.partition("; ")[0] if len(head) > _WIDTH else head
    return head.rstrip(".") + ("." if dot or text.endswith(".") else "")
