"""Every act declares what holds of it, and what it declares fits the commands that it speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from act_cases import CASES, command_of, run
from sandbox_api import SandboxApi, open_sandbox

from kallyai_mcp.catalog import all_commands, by_words
from kallyai_mcp.model import Args, Domain, Effect, Look, arg_of, input_schema
from kallyai_mcp.model.acts import LONGEST_CALL, PRICES, Undo, price
from kallyai_mcp.model.types import PATTERN_RULES
from kallyai_mcp.model.undoing import chain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from kallyai_mcp.model import Command

ACTS = [pytest.param(command, id=command.tool) for command in all_commands() if command.is_act]
RECORDED = [pytest.param(command, id=command.tool) for command in all_commands() if command.is_recorded]
OTHERS = [pytest.param(command, id=command.tool) for command in all_commands() if not command.is_recorded]
E164 = next(pattern for pattern, rule in PATTERN_RULES.items() if "phone number" in rule)

CHOSEN_BY_THE_SERVICE = {
    "actions booking create": "the business is named, and the service knows how it is reached",
    "actions bill dispute": "the company is named, and the service knows how it is reached",
    "actions ride": "the service finds a driver",
}
"""Acts that contact people of whom no argument holds a number, an address or an identifier."""

OPEN_PRICE = {
    "actions bill dispute": "how much it takes to settle it depends on the company",
    "email respond": "an answer is written, and may be sent as well",
    "outreach retry": "the channel, and how often it is tried, is up to the service",
}
"""Acts of which no price says what the whole run costs, though nothing is delegated and no goal is theirs."""


@pytest.fixture
async def api() -> AsyncGenerator[SandboxApi]:
    async with open_sandbox() as api:
        yield api


def undos(command: Command) -> Iterator[Undo]:
    yield from chain(command.undo)


def looks(command: Command) -> Iterator[Look]:
    if command.trace is not None:
        yield command.trace
    if command.subject is not None:
        yield command.subject.look
    for undo in undos(command):
        if undo.look is not None:
            yield undo.look


def names(command: Command) -> set[str]:
    return set(command.args.model_fields)


def test_a_command_that_declares_no_effect_cannot_exist() -> None:
    class PhoneThemAll(Args):
        """Phone them all."""

    undeclared: Any = Domain("calls", "Place calls.").command
    with pytest.raises(TypeError, match="effect"):
        undeclared("all", "POST /v1/calls/all")(PhoneThemAll)
    assert {type(command.effect) for command in all_commands()} == {Effect}


@pytest.mark.parametrize("command", ACTS)
def test_a_number_or_an_address_among_the_arguments_of_an_act_is_declared_as_reached(command: Command) -> None:
    for name, schema in input_schema(command.args)["properties"].items():
        if schema.get("pattern") == E164 or schema.get("format") == "email":
            assert arg_of(command.args, name).reaches is not None, name


@pytest.mark.parametrize("command", OTHERS)
def test_a_command_that_is_no_act_declares_nothing_of_one(command: Command) -> None:
    assert (command.price, command.trace, command.subject, command.undo) == (None, None, None, None)
    assert (command.places_call, command.delegates) == (False, False)
    assert not [name for name in names(command) if arg_of(command.args, name).reaches]


@pytest.mark.parametrize("command", ACTS)
def test_whom_an_act_contacts_is_known_or_said_to_be_open(command: Command) -> None:
    is_known = (
        any(arg_of(command.args, name).reaches == "contact" for name in names(command)) or command.subject is not None
    )
    if command.contacts_people:
        assert is_known or command.delegates or command.name in CHOSEN_BY_THE_SERVICE
    if command.path_args and command.contacts_people:
        assert command.subject is not None, "an identifier stands for somebody"
    if command.places_call or command.delegates:
        assert command.contacts_people


@pytest.mark.parametrize("command", RECORDED)
def test_what_spends_has_a_documented_price_or_is_said_to_be_open(command: Command) -> None:
    is_open = command.delegates or "goal_id" in names(command) or command.name in OPEN_PRICE
    assert command.price in {None, *PRICES}
    assert command.costs_credits or command.price is None
    assert not command.costs_credits or command.price is not None or is_open
    if command.name in OPEN_PRICE:
        assert command.price is None
        assert command.costs_credits


def test_every_documented_price_is_that_of_a_command() -> None:
    assert {command.price for command in all_commands()} == {None, *PRICES}


def test_lists_of_what_is_open_name_acts_only() -> None:
    assert CHOSEN_BY_THE_SERVICE.keys() | OPEN_PRICE.keys() <= {c.name for c in all_commands() if c.is_act}
    known = {
        name
        for name in CHOSEN_BY_THE_SERVICE
        if command_of(name).subject or any(arg_of(command_of(name).args, a).reaches for a in names(command_of(name)))
    }
    assert known == set()


@pytest.mark.parametrize("command", RECORDED)
def test_a_look_is_a_free_read_that_takes_what_it_is_given(command: Command) -> None:
    for look in looks(command):
        reader = by_words()[tuple(look.command.split())]
        assert (reader.effect, reader.is_recorded) == (Effect.READ, False)
        assert look.given.keys() | look.fixed.keys() <= names(reader)
        assert {name for name in names(reader) if reader.args.model_fields[name].is_required()} <= look.given.keys()
        assert {*look.given.values(), *look.match.values()} <= names(command)
        assert set(look.loose) <= look.match.keys()
        reader.args.model_validate({**look.fixed, **dict.fromkeys(look.given, "x")})


@pytest.mark.parametrize("command", RECORDED)
def test_where_the_answer_is_documented_a_look_names_its_list(command: Command) -> None:
    for look in looks(command):
        reader = by_words()[tuple(look.command.split())]
        if look.entries and reader.answer:
            assert look.entries[0] in reader.answer


@pytest.mark.parametrize("command", RECORDED)
def test_a_trace_can_tell_a_run_from_what_was_there_before(command: Command) -> None:
    if (trace := command.trace) is not None:
        assert trace.since or trace.states or trace.is_gone or command.idempotent
        assert trace.is_gone or trace.since or command.idempotent or command.path_args


@pytest.mark.parametrize("command", RECORDED)
def test_a_subject_shows_something_and_what_it_reaches(command: Command) -> None:
    if (subject := command.subject) is not None:
        assert subject.shows
        assert set(subject.reaches) <= set(subject.shows)
        assert not subject.reaches or command.contacts_people


@pytest.mark.parametrize("command", RECORDED)
def test_an_undo_fills_in_all_that_its_command_needs(command: Command) -> None:
    for undo in undos(command):
        other = by_words()[tuple(undo.command.split())]
        assert other.method is not None
        assert not other.costs_credits, "nothing is bought to take something back"
        assert undo.arguments.keys() <= names(other)
        required = {name for name in names(other) if other.args.model_fields[name].is_required()}
        assert required <= undo.arguments.keys()
        for source in [*undo.arguments.values(), *undo.unless]:
            for alternative in source.split("|"):
                place, _, field = alternative.partition(".")
                assert place in {"args", "answer", "entry", "before"}
                assert place != "args" or field in names(command)
                assert place != "before" or command.subject is not None
                assert place != "entry" or undo.look is not None or command.trace is not None


@pytest.mark.parametrize("command", RECORDED)
def test_undoing_leads_to_an_end(command: Command) -> None:
    """An undo that could be undone by the same command for ever only puts back what was there before."""
    for undo in undos(command):
        other = by_words()[tuple(undo.command.split())]
        for back in undos(other):
            if back.command == command.name:
                assert any("before." in source for source in [*undo.arguments.values(), *back.arguments.values()])


@pytest.mark.parametrize("command", RECORDED)
def test_until_when_it_can_be_undone_goes_on_a_sentence(command: Command) -> None:
    for undo in undos(command):
        assert undo.until.split()[0] in {"while", "until", "at"}
        assert not undo.until.endswith(".")
        tools = {word.strip(";,") for word in undo.until.split() if word.startswith("kallyai_")}
        assert tools <= {known.tool for known in all_commands()}


@pytest.mark.parametrize("command", RECORDED)
def test_what_cannot_be_undone_by_its_own_words_declares_no_undo(command: Command) -> None:
    says = any(words in command.description.lower() for words in ("cannot be undone", "called back", "for good"))
    assert not (says and command.undo)


def test_everything_under_way_that_can_be_ended_is_ended_by_an_emergency_stop() -> None:
    """Whatever makes others act, and can be undone at all, is undone by a command that also stops what is under way."""
    going_on = [c for c in all_commands() if c.undo and c.contacts_people and c.costs_credits]
    assert [command.name for command in going_on if not all(undo.stops for undo in undos(command))] == []


def test_every_act_has_a_case_in_the_sandbox() -> None:
    assert CASES.keys() == {command.name for command in all_commands() if command.is_recorded}


@pytest.mark.anyio
@pytest.mark.parametrize("name", [command.name for command in all_commands() if command.price is not None])
async def test_the_sandbox_charges_no_more_than_the_price_declared(api: SandboxApi, name: str) -> None:
    kind = command_of(name).price
    assert kind is not None
    arguments = await CASES[name](api)
    left = await api.credits_left()
    await run(api, name, arguments)
    charged = round(left - await api.credits_left(), 2)
    if name == "calls make":
        assert PRICES["call"]["base"] < charged <= price("call", minutes=LONGEST_CALL)
    else:
        # A mail is paid for when it leaves.
        assert charged == (0 if name == "actions email send" else price(kind, minutes=0))
