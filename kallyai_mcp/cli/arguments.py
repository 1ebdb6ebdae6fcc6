"""From a command's declaration to the options of a parser, and from what was typed back to the arguments of a run.

The parser checks nothing but the spelling of options: what is missing or wrong is said by the declaration, all at once.
"""

from __future__ import annotations

import json
import math
import re
from argparse import SUPPRESS, BooleanOptionalAction
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from kallyai_mcp.cli.text import for_terminal
from kallyai_mcp.model import Cli
from kallyai_mcp.model.args import arg_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from kallyai_mcp.model import Command

_PREFIX = "argument "
OPTION = "option "
"""Begins where the parser keeps what is said of the run instead of to the command."""
_WHOLE = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Typed:
    """How one argument is typed.

    Attributes:
        name: Name of the argument.
        kind: Its type, without its limits.
        options: Option strings; none for what is typed in its place.
        words: Whether all remaining words make up the value.
        required: Whether a run needs it.
        choices: The values there are, where they are few.
        help: What it means.
    """

    name: str
    kind: Any
    options: tuple[str, ...]
    words: bool
    required: bool
    choices: tuple[str, ...]
    help: str

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return self.kind is list

    @property
    def dest(self) -> str:
        """Where the parser keeps it, apart from settings of the same name."""
        return _PREFIX + self.name

    @property
    def metavar(self) -> str:
        """What stands for the value in help texts."""
        if not self.options:
            return self.name.removesuffix("s") if self.is_list else self.name
        if self.choices:
            return f"{{{','.join(self.choices)}}}"
        return {int: "N", float: "NUMBER", dict: "JSON", list: "TEXT"}.get(
            self.kind, self.name.rpartition("_")[2].upper()
        )

    @property
    def shown(self) -> str:
        """What to call it in a sentence."""
        return self.options[-1] if self.options else self.metavar

    @property
    def usage(self) -> str:
        """Its part of a usage line."""
        if not self.options:
            text = self.metavar + (" ..." if self.words or self.is_list else "")
            return text if self.required else f"[{text}]"
        return self.options[-1] if self.kind is bool else f"{self.options[-1]} {self.metavar}"


def typed_arguments(command: Command) -> list[Typed]:
    """Return how each argument of a command is typed, in the order of the declaration."""
    return [_typed(command, name) for name in command.args.model_fields]


def _typed(command: Command, name: str) -> Typed:
    field = command.args.model_fields[name]
    spelling = arg_of(command.args, name).cli
    in_place = name in command.path_args or isinstance(spelling, Cli)
    options = spelling if isinstance(spelling, tuple) else () if in_place else (f"--{name.replace('_', '-')}",)
    origin = get_origin(field.annotation)
    choices = tuple(str(value) for value in get_args(field.annotation)) if origin is Literal else ()
    help_text = for_terminal(field.description or "")
    if field.default is not None and not field.is_required():
        default = json.dumps(field.default) if not isinstance(field.default, str) else field.default
        help_text = f"{help_text} Default: {default}.".strip()
    kind = str if origin is Literal else origin or field.annotation
    return Typed(name, kind, options, spelling is Cli.WORDS, field.is_required(), choices, help_text)


def add_arguments(parser: ArgumentParser, command: Command) -> None:
    """Give a parser the arguments of a command, and its usage line."""
    arguments = typed_arguments(command)
    in_place = parser.add_argument_group("arguments")
    needed = parser.add_argument_group("required options")
    others = parser.add_argument_group("options")
    for typed in arguments:
        group = needed if typed.required else others
        if not typed.options:
            many = typed.words or typed.is_list
            in_place.add_argument(
                typed.dest,
                metavar=typed.metavar,
                nargs="*" if many else "?",
                default=SUPPRESS,
                choices=typed.choices or None,
                help=_help(typed),
            )
        elif typed.kind is bool:
            group.add_argument(
                *typed.options, dest=typed.dest, action=BooleanOptionalAction, default=SUPPRESS, help=_help(typed)
            )
        elif typed.is_list:
            group.add_argument(
                *typed.options,
                dest=typed.dest,
                metavar=typed.metavar,
                action="append",
                nargs="?",
                default=SUPPRESS,
                help=f"{_help(typed)} Repeat it for more entries; without a value the list is empty.",
            )
        else:
            group.add_argument(
                *typed.options,
                dest=typed.dest,
                metavar=typed.metavar,
                default=SUPPRESS,
                choices=typed.choices or None,
                help=_help(typed),
            )
    usage = [typed.usage for typed in arguments if typed.required and typed.options]
    usage += ["[options]", *(typed.usage for typed in arguments if not typed.options)]
    parser.usage = " ".join([parser.prog, *usage]).replace("%", "%%")


def _help(typed: Typed) -> str:
    parts = [typed.help]
    if typed.choices and not typed.options:
        parts.append(f"One of {', '.join(typed.choices)}.")
    if typed.kind is dict:
        parts.append("A JSON object.")
    return " ".join(part for part in parts if part).replace("%", "%%")


def given_options(parsed: Namespace) -> dict[str, Any]:
    """Return what was said of the run, as arguments that the engine takes."""
    return {name.removeprefix(OPTION): value for name, value in vars(parsed).items() if name.startswith(OPTION)}


def given_arguments(command: Command, parsed: Namespace) -> dict[str, Any]:
    """Return the arguments that were typed, converted as far as their text allows.

    Text that is no number or no JSON stays text, so that the declaration refuses it in its own words.
    """
    given: dict[str, Any] = {}
    for typed in typed_arguments(command):
        value: Any = getattr(parsed, typed.dest, None)
        if value is None or (value == [] and not typed.options):
            continue
        if typed.words:
            given[typed.name] = " ".join(value)
        elif typed.is_list:
            given[typed.name] = [entry for entry in value if entry is not None]
        else:
            given[typed.name] = converted(typed.kind, value)
    return given


def converted(kind: Any, value: Any) -> Any:
    """Return what was typed as a value of its kind, where it is one."""
    if not isinstance(value, str):
        return value
    try:
        if kind is int and _WHOLE.fullmatch(value):
            return int(value)
        if kind is float and math.isfinite(number := float(value)):
            return number
        if kind is dict:
            return json.loads(value)
    except (ValueError, RecursionError):
        pass
    return value
