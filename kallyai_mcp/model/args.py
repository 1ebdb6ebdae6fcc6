"""Arguments of a command: a closed pydantic model whose fields know their place in the request.

A field is declared with its type and, where the defaults do not fit, with `arg` (required) or `optional` (absent unless
given). An argument that is not given is not sent, unless it has a default.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Args(BaseModel):
    """Base of all argument classes: closed, strict, frozen; compiled when first used."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        defer_build=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        # Only text with a bound is checked for lone surrogates, which no request could carry (RFC 8259, 8.2).
        str_min_length=0,
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_integral_floats(cls, given: dict[str, Any]) -> dict[str, Any]:
        # JSON Schema 2020-12 (core, 4.2.1) counts 5.0 as an integer, and some hosts send it so.
        return {
            name: int(value)
            if isinstance(value, float)
            and value.is_integer()
            and name in cls.model_fields
            and cls.model_fields[name].annotation is int
            else value
            for name, value in given.items()
        }


class Cli(Enum):
    """How the terminal spells an argument that is not an `--option` of its own name."""

    POSITIONAL = "positional"
    """One word; for a list, one or more."""
    WORDS = "words"
    """All remaining words, joined by blanks."""


Reach = Literal["contact", "callback"]
"""How a number or address among the arguments matters: it is contacted, or people are told to call it back."""


@dataclass(frozen=True, slots=True)
class Arg:
    """What a field knows beyond its type. As pydantic's schema hook it keeps generated noise out of the schema."""

    wire: str | None = None
    cli: Cli | tuple[str, ...] | None = None
    setting: Literal["language", "timezone"] | None = None
    same_as: str | None = None
    sensitive: bool = False
    reaches: Reach | None = None

    def __call__(self, schema: dict[str, Any]) -> None:
        if schema.get("default", ...) is None:
            del schema["default"]


NO_ARG = Arg()


def arg(
    description: str | None = None,
    *,
    wire: str | None = None,
    cli: Cli | str | tuple[str, ...] | None = None,
    sensitive: bool = False,
    reaches: Reach | None = None,
    **limits: Any,
) -> Any:
    """Declare a required argument.

    Args:
        description: What a model must know to fill it in; replaces the one of the type.
        wire: Query key, or dotted position in the JSON body; the field's own name if not given.
        cli: Positional, or option strings that differ from `--<name>`.
        sensitive: A secret or one-time code, kept out of logs and error texts.
        reaches: The value, or what stands within it, is a number or address that is contacted or called back.
        limits: pydantic's own, such as `min_length`, `ge`, `pattern`.
    """
    if description is not None:
        limits["description"] = description
    return Field(json_schema_extra=Arg(wire=wire, cli=_cli(cli), sensitive=sensitive, reaches=reaches), **limits)


def optional(
    description: str | None = None,
    *,
    default: Any = None,
    wire: str | None = None,
    cli: Cli | str | tuple[str, ...] | None = None,
    setting: Literal["language", "timezone"] | None = None,
    same_as: str | None = None,
    sensitive: bool = False,
    reaches: Reach | None = None,
    **limits: Any,
) -> Any:
    """Declare an argument that may be left out.

    Args:
        description: See `arg`.
        default: Value that is sent when none is given; None sends nothing.
        wire: See `arg`.
        cli: See `arg`.
        setting: Name of the server setting that is sent when none is given.
        same_as: Name of the argument whose value is sent when none is given.
        sensitive: See `arg`.
        reaches: See `arg`.
        limits: See `arg`.
    """
    if description is not None:
        limits["description"] = description
    return Field(
        default=default,
        json_schema_extra=Arg(
            wire=wire, cli=_cli(cli), setting=setting, same_as=same_as, sensitive=sensitive, reaches=reaches
        ),
        **limits,
    )


def arg_of(model: type[Args], name: str) -> Arg:
    """Return what the field `name` knows beyond its type."""
    extra = model.model_fields[name].json_schema_extra
    return extra if isinstance(extra, Arg) else NO_ARG


def _cli(spelling: Cli | str | tuple[str, ...] | None) -> Cli | tuple[str, ...] | None:
    return (spelling,) if isinstance(spelling, str) else spelling
