"""The command line: subcommands, settings, and parsers that are filled only when they are reached."""

from __future__ import annotations

import difflib
import importlib
import textwrap
from argparse import PARSER, SUPPRESS, Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, cast

from kallyai_mcp import __version__, readers
from kallyai_mcp.cli.groups import BRANCHED, GROUPS
from kallyai_mcp.cli.output import EXIT_STATUS, UsageError
from kallyai_mcp.cli.text import PROGRAM, visible
from kallyai_mcp.exposure.dialects import FORMATS
from kallyai_mcp.serving import SERVING
from kallyai_mcp.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kallyai_mcp.setting import Setting

_SETTING = "setting "
_WORD = "\0"
_NAME_COLUMN = 30
_METAVARS = {
    "sandbox_data": "FILE",
    "timezone": "ZONE",
    "proxy": "URL",
    "uds": "PATH",
    "max_connections": "N",
    "max_connections_per_client": "N",
}
_UNITS: Mapping[Callable[[str], Any], str] = {readers.amount: "CREDITS", readers.count: "N"}
JSON_ANSWER = "Print the answer as one JSON document."


class Help(RawDescriptionHelpFormatter):
    """Help texts: the value of an option is shown once, and long names do not push the sentences away."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=_NAME_COLUMN)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        # Sentences are wrapped; lines that begin with a blank are to be copied and stay as they are.
        lines = (line if line.startswith(" ") else textwrap.fill(line, width) for line in text.splitlines())
        return "".join(f"{indent}{line}\n" for line in lines)

    def _format_action(self, action: Action) -> str:
        if action.nargs != PARSER:
            return super()._format_action(action)
        return "".join([self._format_action(inner) for inner in list(self._iter_indented_subactions(action))])

    def _format_action_invocation(self, action: Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, action.metavar if isinstance(action.metavar, str) else action.dest.upper())
        return f"{', '.join(action.option_strings)} {value}"


class Parser(ArgumentParser):
    """A parser that is filled when it is first used, and that raises instead of ending the program.

    Args:
        fill: Adds the arguments.
        mixed: Whether words and options may stand in any order.
        suggest: Finds full command lines that resemble an unknown word.
    """

    def __init__(
        self,
        *,
        fill: Callable[[Parser], None] | None = None,
        mixed: bool = False,
        suggest: Callable[[str], list[str]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(formatter_class=Help, allow_abbrev=False, add_help=False, **options)
        self._fill = fill
        self._mixed = mixed
        self.suggest = suggest
        self._branches: Any = None

    def branch(self, title: str, metavar: str) -> Any:
        """Add subcommands, and return what adds one."""
        self._branches = self.add_subparsers(title=title, metavar=metavar, parser_class=Parser)
        return self._branches

    def branches(self) -> dict[str, Parser]:
        """Return the parsers of the subcommands by their words; needs the arguments."""
        self.filled()
        return {} if self._branches is None else dict(self._branches.choices)

    def accepted(self) -> list[Action]:
        """Return what is accepted so far, in its order; needs no arguments."""
        return list(self._actions)

    def filled(self) -> Parser:
        """Return this parser with its arguments."""
        if self._fill is not None:
            fill, self._fill = self._fill, None
            fill(self)
        return self

    def format_help(self) -> str:
        """Return the help text; needs the arguments."""
        return super(Parser, self.filled()).format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Namespace, list[str]]:  # pyright: ignore[reportIncompatibleMethodOverride]  # takes what each of its overloads takes
        """Parse; what is left over is an error of the innermost parser, which knows its options best."""
        self.filled()
        if self._mixed:
            self._mixed = False  # the two passes of intermixed parsing come back here
            try:
                parsed, rest = self.parse_known_intermixed_args(args, namespace)
            finally:
                self._mixed = True
            if rest:
                self._refuse(rest)
            return parsed, rest
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and exiting."""
        text = message[:1].upper() + message[1:]
        raise UsageError(f"{visible(text)}.", next_step=f"'{self.prog} --help' explains the usage.")

    def _check_value(self, action: Action, value: Any) -> None:
        # Values of options are judged by the declarations, which say more about them.
        if action is self._branches and value not in self._branches.choices:
            near = difflib.get_close_matches(value, list(self._branches.choices), n=3)
            lines = [f"{self.prog} {word}" for word in near] or (self.suggest(value) if self.suggest else [])
            found = " or ".join(f"'{line}'" for line in list(dict.fromkeys(lines))[:3])
            raise UsageError(
                f"'{self.prog}' has no command '{visible(str(value))[:64]}'."
                + (f" Did you mean {found}?" * bool(found)),
                next_step=f"'{self.prog} --help' lists the commands.",
            )

    def _refuse(self, rest: Sequence[str]) -> NoReturn:
        word = rest[0].partition("=")[0]
        known = [option for action in self._actions for option in action.option_strings]
        near = difflib.get_close_matches(word, known, n=1) if word.startswith("-") else []
        kind = "option" if word.startswith("-") else "argument"
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(
            f"'{self.prog}' has no {kind} '{visible(word)[:64]}'.{hint}",
            next_step=f"'{self.prog} --help' explains the usage.",
        )


def add_settings(parser: Parser, *, shown: bool = False, rows: Sequence[Setting] = SETTINGS) -> None:
    """Accept the settings' flags, but those whose name a command uses itself."""
    taken = {option for action in parser.accepted() for option in action.option_strings}
    group = parser.add_argument_group("settings") if shown else parser
    for setting in rows:
        if setting.flag is None or setting.flag in taken:
            continue
        help_text = SUPPRESS
        if shown:
            default = f" Default: {setting.default}." if setting.default else ""
            help_text = f"{setting.help}{default} [{setting.variable}]".replace("%", "%%")
        facts: dict[str, Any] = {"dest": setting_dest(setting.name), "default": SUPPRESS, "help": help_text}
        if setting.is_switch:
            group.add_argument(setting.flag, action="store_true", **facts)
        else:
            group.add_argument(setting.flag, metavar=_metavar(setting), **facts)


def _metavar(setting: Setting) -> str:
    if setting.name in _METAVARS:
        return _METAVARS[setting.name]
    if setting.read in _UNITS:
        return _UNITS[setting.read]
    return setting.name.rpartition("_")[2].upper()


def setting_dest(name: str) -> str:
    """Return where the parser keeps the flag of a setting."""
    return _SETTING + name


def settings_flags(parsed: Namespace) -> dict[str, str | bool | None]:
    """Return the settings' flags that were given, by the names of the settings."""
    return {name.removeprefix(_SETTING): value for name, value in vars(parsed).items() if name.startswith(_SETTING)}


def add_general(parser: Parser, json_help: str | None = None) -> Any:
    """Accept `--help` and, where its meaning is given, `--json`; return the group that they are in."""
    group = parser.add_argument_group("general options")
    if json_help:
        group.add_argument("--json", action="store_true", default=SUPPRESS, help=json_help)
    group.add_argument("-h", "--help", action="help", help="Show this text.")
    return group


def parse(argv: Sequence[str]) -> Namespace:
    """Return what was typed. What follows `--` is never an option.

    Raises:
        UsageError: It is no command line of this program.
        SystemExit: A help text or the version was asked for, and printed.
    """
    options, words = split_at_dashes(argv)
    # argparse loses track of `--` between its levels and passes, so what follows wears a mark that no argv can hold.
    parsed = build_parser().parse_args([*options, *(f"{_WORD}{word}" for word in words)])
    for name, value in vars(parsed).items():
        if isinstance(value, str):
            setattr(parsed, name, value.removeprefix(_WORD))
        elif isinstance(value, list):
            entries = cast("list[str | None]", value)
            setattr(parsed, name, [None if entry is None else entry.removeprefix(_WORD) for entry in entries])
    return parsed


def split_at_dashes(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what stands before the first `--`, and what follows it."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [settings] [COMMAND ...]",
        description=(
            "Connects AI agents with KallyAI: phone calls, mail, bookings, search and more, as MCP tools.\n\n"
            "Without a command it serves one host over stdin and stdout, which is how hosts start it. The commands are "
            "for people: to sign in, to look around, and to run from a terminal what the tools run."
        ),
        epilog=_EPILOG,
        suggest=_domains_as_commands,
    )
    add = parser.branch("commands", "COMMAND").add_parser
    for name, (summary, fill) in _subcommands().items():
        add(name, prog=f"{PROGRAM} {name}", help=summary, description=summary, fill=fill, mixed=name not in BRANCHED)
    add_settings(parser, shown=True)
    general = add_general(parser)
    general.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}", help="Show the version.")
    return parser


def _subcommands() -> dict[str, tuple[str, Callable[[Parser], None]]]:
    return {
        "serve": ("Serve hosts: one over stdin and stdout, as without a command, or several over HTTP.", _serve),
        "login": ("Sign in: shows an address and a code, and waits until you have agreed there.", _login),
        "logout": ("Forget the tokens on this machine.", _logout),
        "status": ("Show whether you are signed in, where, and what may be done.", _status),
        "run": ("Run any KallyAI command from the terminal.", _run),
        **{
            name: (summary, partial(_fill_group, module, name))
            for module, group in GROUPS.items()
            for name, summary in group.items()
        },
        "tools": ("List the tools that hosts are shown, with their tokens.", _tools),
        "schemas": ("Print the tools in the form that a model's API takes.", _schemas),
        "sandbox": ("Serve a KallyAI on this machine, to try things out. Nothing leaves the machine.", _sandbox),
        "demo": ("Play a session with the server and a sandbox.", _demo),
        "completion": ("Print a script that completes commands and options in your shell.", _completion),
    }


def _serve(parser: Parser) -> None:
    parser.epilog = examples(
        f"{PROGRAM} serve",
        f"{PROGRAM} serve --transport http",
        f"{PROGRAM} serve --transport http,sse --port 9000 --metrics-port 9090",
        f"{PROGRAM} serve --transport http --uds ~/.local/state/kallyai-mcp/http.sock",
    )
    add_settings(parser, shown=True, rows=SERVING)
    finish(parser, "serve")


def _login(parser: Parser) -> None:
    parser.epilog = examples(f"{PROGRAM} login", f"{PROGRAM} login --paste", f"{PROGRAM} --profile work login --json")
    parser.add_argument(
        "--paste",
        action="store_true",
        help="For a browser on another machine: paste the address at which it ends, or pipe it in.",
    )
    finish(parser, "login", "Print one JSON object a line: the sign-in that waits, then the end of it.")


def _logout(parser: Parser) -> None:
    parser.epilog = examples(f"{PROGRAM} logout")
    finish(parser, "logout", JSON_ANSWER)


def _status(parser: Parser) -> None:
    parser.epilog = examples(f"{PROGRAM} status", f"{PROGRAM} status --check --json", f"{PROGRAM} status --all")
    parser.add_argument("--check", action="store_true", help="Ask the service, too: whether it works, and the credits.")
    parser.add_argument("--all", action="store_true", help="List every profile with tokens on this machine.")
    finish(parser, "status", JSON_ANSWER)


def _tools(parser: Parser) -> None:
    parser.epilog = examples(
        f"{PROGRAM} tools",
        f"{PROGRAM} tools --toolsets core",
        f"{PROGRAM} tools --find 'move my dentist call to Friday'",
        f"{PROGRAM} tools --read-only --json",
    )
    parser.add_argument("--names", action="store_true", help="Print the names only, one a line.")
    parser.add_argument("--find", metavar="WORDS", help="Only those for what you want: in English, Spanish or Chinese.")
    finish(parser, "tools", "Print the definitions with their tokens as one JSON document.")


def _schemas(parser: Parser) -> None:
    parser.epilog = examples(
        f"{PROGRAM} schemas --format openai --strict --toolsets core > tools.json",
        f"{PROGRAM} schemas --format gemini --surface search",
    )
    parser.add_argument("--format", metavar="FORMAT", default="mcp", help=f"One of {', '.join(FORMATS)}.")
    parser.add_argument("--strict", action="store_true", help="For the strict mode of OpenAI and Anthropic.")
    finish(parser, "schemas", "Accepted, and changes nothing: the output is JSON.")


def _sandbox(parser: Parser) -> None:
    parser.epilog = examples(
        f"{PROGRAM} sandbox",
        f"{PROGRAM} sandbox --data world.db --port 9000",
        f"{PROGRAM} sandbox --speed inf --start fixed",
    )
    parser.add_argument("--port", help="Port on 127.0.0.1. Default: 8770, or the next that is free.")
    parser.add_argument(
        "--data", metavar="FILE", dest=setting_dest("sandbox_data"), default=SUPPRESS, help="File that keeps its world."
    )
    parser.add_argument("--seed", default="1", help="Whole number that decides identifiers and chances. Default: 1.")
    parser.add_argument("--speed", help="Seconds in the sandbox for each real one; 0 stands still, inf never waits.")
    parser.add_argument("--start", default="now", help="Where its clock begins: now, fixed, or an ISO 8601 moment.")
    finish(parser, "sandbox")


def _demo(parser: Parser) -> None:
    parser.epilog = examples(f"{PROGRAM} demo", f"{PROGRAM} demo --pace 0")
    parser.add_argument("--pace", default="1", metavar="SECONDS", help="Pause between the steps. Default: 1.")
    finish(parser, "demo")


def _completion(parser: Parser) -> None:
    parser.epilog = examples(
        f"{PROGRAM} completion bash > ~/.local/share/bash-completion/completions/{PROGRAM}",
        f"{PROGRAM} completion zsh > ~/.zfunc/_{PROGRAM}",
        f"{PROGRAM} completion fish > ~/.config/fish/completions/{PROGRAM}.fish",
    )
    parser.add_argument("shell", nargs="?", choices=SHELLS, help=f"One of {', '.join(SHELLS)}.")
    finish(parser, "completion")


def _run(parser: Parser) -> None:
    from kallyai_mcp.cli.words import fill_run

    fill_run(parser)


def _fill_group(module: str, name: str, parser: Parser) -> None:
    fill: Mapping[str, Callable[[Parser], None]] = importlib.import_module(f"kallyai_mcp.cli.{module}").FILL
    fill[name](parser)


def finish(parser: Parser, subcommand: str, json_help: str | None = None) -> None:
    """Accept what every subcommand accepts, and end its help text."""
    add_general(parser, json_help)
    add_settings(parser)
    parser.set_defaults(subcommand=subcommand)
    parser.epilog = f"{parser.epilog}\nThe settings of '{PROGRAM} --help' are accepted too.\n"


def examples(*lines: str) -> str:
    """Return command lines as the end of a help text."""
    return "examples:\n" + "".join(f"  {line}\n" for line in lines)


def _domains_as_commands(word: str) -> list[str]:
    from kallyai_mcp.catalog import by_words

    return [f"{PROGRAM} run {word}"] if word in {words[0] for words in by_words()} else []


SHELLS = ("bash", "zsh", "tcsh", "fish")
_EPILOG = (
    examples(
        f"{PROGRAM} login",
        f"{PROGRAM} run ask Book a table for four at Osteria Mira on Saturday",
        f"{PROGRAM} run calls make --phone +14155550117 --task 'Ask until when the kitchen is open'",
        f"{PROGRAM} run credits balance --json",
        f"{PROGRAM} --sandbox run calls history",
    )
    + f"\nA variable in brackets sets the same as its flag; the flag wins.\n\n{EXIT_STATUS}"
)
