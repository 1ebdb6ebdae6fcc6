"""A command, and the domain that it is declared in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from kallyai_mcp.model.args import Args, arg_of
from kallyai_mcp.model.effect import Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.model.acts import Look, Source, Subject, Undo
    from kallyai_mcp.model.answer import Fields

ArgsT = TypeVar("ArgsT", bound=Args)

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class EnvironmentBody:
    """Body fields whose values come from the environment, since no model may see them.

    Attributes:
        argument: The argument whose value decides which fields are sent.
        fields: For each of its values, the body field and the environment variable it is read from.
    """

    argument: str
    fields: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One declared action, and everything that follows from the declaration.

    Attributes:
        domain: Group of commands, and the toolset a user switches on.
        words: What is typed in a terminal, such as `("calls", "make")`.
        args: The arguments' model; its docstring is the tool's description.
        method: HTTP method; None for a command that runs on this machine (signing in and out).
        path: Path template; a field named as a placeholder fills it.
        effect: What it does to the world.
        answer: The documented fields of the answer.
        costs_credits: A run is charged in credits.
        contacts_people: Somebody may be phoned, written to, or booked with.
        costs_money: Changes what the user pays outside the credits.
        diverts: Changes where calls or mail go, who is trusted, or how the user appears to others.
        idempotent: A repeat changes, charges and sends nothing more.
        slow: May take minutes.
        public: Answered without an access token.
        idempotency_key: The API documents `Idempotency-Key` for it.
        text_from: Whose words the answer carries, where it carries text that strangers wrote.
        calendar: The answer is an iCalendar file.
        redirects: The answer is a redirect, which is reported and not followed.
        environment: Body fields taken from the environment.
        price: Kind of action that it is charged as; None where what it costs is open, or nothing.
        places_call: A phone is rung by it, or may be.
        introduces: It writes down who is known to the user, such as a contact.
        delegates: It hands a request in free words to somebody who then acts by himself.
        trace: Where a run shows at the service, so that one whose answer was lost can be found.
        subject: Whom or what an identifier among the arguments stands for.
        undo: How a run is taken back; None where it cannot be.
    """

    domain: str
    words: tuple[str, ...]
    args: type[Args]
    method: str | None
    path: str
    effect: Effect
    answer: Fields
    costs_credits: bool = False
    contacts_people: bool = False
    costs_money: bool = False
    diverts: bool = False
    idempotent: bool = False
    slow: bool = False
    public: bool = False
    idempotency_key: bool = False
    text_from: Source | None = None
    calendar: bool = False
    redirects: bool = False
    environment: EnvironmentBody | None = None
    price: str | None = None
    places_call: bool = False
    introduces: bool = False
    delegates: bool = False
    trace: Look | None = None
    subject: Subject | None = None
    undo: Undo | None = None

    @cached_property
    def tool(self) -> str:
        """Name of the MCP tool: `kallyai_` and the words, joined by `_`."""
        return "_".join(("kallyai", *self.words)).replace("-", "_")

    @property
    def name(self) -> str:
        """The words as typed, such as `calls make`."""
        return " ".join(self.words)

    @cached_property
    def title(self) -> str:
        """Name for people: the words of the class name, as a phrase."""
        first, *rest = re.findall(r"[A-Z][a-z0-9]*", self.args.__name__)
        return " ".join([first, *(word.lower() for word in rest)])

    @cached_property
    def description(self) -> str:
        """What a model reads about the tool: the docstring, on one line."""
        return " ".join((self.args.__doc__ or "").split())

    @cached_property
    def path_args(self) -> frozenset[str]:
        """Names of the arguments that fill the path."""
        return frozenset(_PLACEHOLDER.findall(self.path))

    @cached_property
    def has_body(self) -> bool:
        """Whether a JSON object is sent (an empty one if no argument is given), where a GET or DELETE has a query."""
        in_body = self.environment is not None or self.args.model_fields.keys() > self.path_args
        return self.method in ("POST", "PUT", "PATCH") and in_body

    @property
    def is_act(self) -> bool:
        """Whether a run contacts people, spends, cannot be undone, or diverts calls, mail or identity."""
        return self.method is not None and (
            self.contacts_people
            or (self.costs_credits and self.effect is not Effect.READ)
            or self.costs_money
            or self.effect is Effect.DESTROY
            or self.diverts
        )

    @property
    def is_recorded(self) -> bool:
        """Whether a run is written down before it is sent, and counts towards limits: an act, or a read that spends."""
        return self.is_act or self.costs_credits

    @property
    def third_party_text(self) -> bool:
        """Whether the answer carries text that strangers wrote."""
        return self.text_from is not None

    @property
    def sensitive_args(self) -> frozenset[str]:
        """Names of the arguments that hold a secret or a one-time code."""
        return frozenset(name for name in self.args.model_fields if arg_of(self.args, name).sensitive)

    @cached_property
    def annotations(self) -> dict[str, bool]:
        """The MCP annotations, each stated.

        What spends is not read-only and what spends, contacts people or diverts is destructive: hosts run read-only
        tools without asking.
        """
        spends = self.costs_credits or self.costs_money
        read_only = self.effect is Effect.READ and not spends
        return {
            "readOnlyHint": read_only,
            "destructiveHint": self.effect is Effect.DESTROY or self.contacts_people or spends or self.diverts,
            "idempotentHint": self.idempotent,
            "openWorldHint": self.contacts_people or self.costs_credits or self.third_party_text,
        }


@dataclass(frozen=True)
class Domain:
    """A group of commands that belong to one subject.

    Attributes:
        name: The toolset's name and, unless `prefix` is empty, the first word of each command.
        summary: One sentence for the table of tools.
        prefix: Words that stand before each command's own.
    """

    name: str
    summary: str
    prefix: tuple[str, ...] | None = None
    commands: list[Command] = field(default_factory=list[Command])

    def command(
        self,
        words: str,
        route: str | None,
        effect: Effect,
        *,
        answer: Fields | None = None,
        **facts: Any,
    ) -> Callable[[type[ArgsT]], type[ArgsT]]:
        """Declare a command by decorating the class of its arguments.

        Args:
            words: What is typed after the domain's name.
            route: Method and path template, such as `"GET /v1/calls/{call_id}"`; None if it runs on this machine.
            effect: What it does to the world.
            answer: The documented fields of the answer; an undocumented answer has none.
            facts: The other attributes of `Command`.
        """
        method, _, path = (route or "").partition(" ")
        prefix = (self.name,) if self.prefix is None else self.prefix

        def declare(args: type[ArgsT]) -> type[ArgsT]:
            self.commands.append(
                Command(
                    domain=self.name,
                    words=(*prefix, *words.split()),
                    args=args,
                    method=method or None,
                    path=path,
                    effect=effect,
                    answer=answer or {},
                    **facts,
                )
            )
            return args

        return declare
