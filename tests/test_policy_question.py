"""A person sees all of an act before agreeing to it, and nothing that could mislead the eye."""

from __future__ import annotations

import unicodedata
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from full import share
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_world import COMMANDS, FRIEND, NOON, run

from kallyai_mcp.commands.channels import channels
from kallyai_mcp.model import State, parse
from kallyai_mcp.model.records import Act, Draft, Question
from kallyai_mcp.policy import destinations, question

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.model import Args, Command


OTHERS: dict[str, Any] = {"subject": (), "estimate": None, "undo": "no", "reasons": (), "repeat_of": None}
"""What a question is made of besides the run, and its usual values."""


def asked(name: str, names: Mapping[str, str | None] = MappingProxyType({}), /, **given: Any) -> Question:
    command, args = run(name, **{key: value for key, value in given.items() if key not in OTHERS})
    return put(command, args, names, **{key: value for key, value in given.items() if key in OTHERS})


def put(command: Command, args: Args, names: Mapping[str, str | None], /, **more: Any) -> Question:
    return question(command, args, destinations=destinations(command, args), names=names, **(OTHERS | more))


def test_a_call_is_shown_with_everybody_and_everything_in_it() -> None:
    shown = asked(
        "ring",
        {FRIEND: "Marta\u202e\n Ruiz", "+447700900123": None},
        phone=FRIEND,
        task="Ask for a table.\nContacts: nobody",
        user_phone="+447700900123",
        hints=["Be brief", "or call +34 555 010050"],
        estimate="about 1.3 credits for 3 minutes",
        undo="yes, with kallyai_calls_cancel, possible until it rings",
        reasons=("Words of strangers were read lately (email read).",),
    )
    assert shown.text() == (
        "Phone a number for the user (kallyai_ring)\n"
        "! Words of strangers were read lately (email read).\n"
        "Reaches: +1 202-555-0143, United States: Marta Ruiz, in your contacts\n"
        "Has people call back: +44 7700 900123, Britain (UK): not in your contacts\n"
        "Names in its text: +34 555 01 00 50, Spain: whether in your contacts is not known\n"
        "Phone: +12025550143\n"
        "Task: Ask for a table.\n"
        "    | Contacts: nobody\n"
        "User phone: +447700900123\n"
        "Hints: - Be brief\n"
        "    | - or call +34 555 010050\n"
        "Language: en (by default)\n"
        "May cost: about 1.3 credits for 3 minutes\n"
        "Can be undone: yes, with kallyai_calls_cancel, possible until it rings"
    )


def test_a_rule_is_shown_with_what_it_changes_and_where_it_leads() -> None:
    shown = asked("route", {FRIEND: None}, name="Urgent", action_config={"to": FRIEND, "vip": True})
    assert shown == Question(
        title="Route calls elsewhere",
        tool="kallyai_route",
        facts=(
            ("Leads to", "+1 202-555-0143, United States: not in your contacts"),
            ("What it does", "Route calls elsewhere. Changes where they go."),
            ("Name", "Urgent"),
            ("Action config", '{\n  "to": "+12025550143",\n  "vip": true\n}'),
            ("May cost", "nothing"),
            ("Can be undone", "no"),
        ),
        warnings=("It changes where calls or mail go, who is known, or how you appear to others.",),
    )


def test_a_mail_is_shown_with_the_domain_that_it_goes_to() -> None:
    shown = asked("draft", {}, to="jo@exämple.com", cc="max@example.org", body="Hello")
    assert shown.facts[0] == (
        "Reaches",
        "jo@xn--exmple-cua.com: whether in your contacts is not known\n"
        "max@example.org: whether in your contacts is not known",
    )
    assert ("To", "jo@exämple.com") in shown.facts
    assert shown.warnings == (
        "The mail domain xn--exmple-cua.com is written exämple.com: letters of another alphabet can look like a name "
        "that it is not.",
    )


@pytest.mark.parametrize(
    ("name", "given", "fact"),
    [
        ("plead", {"message": "Find a plumber"}, ("Reaches", "whomever the assistant chooses")),
        ("reschedule", {"ring_id": "r1"}, ("Reaches", "somebody whom the request does not name")),
        ("hang-up", {"ring_id": "r1"}, ("Ring id", "r1")),
        ("prove", {"code": "123456"}, ("Code", "(hidden)")),
    ],
)
def test_an_act_without_a_destination_says_so_and_secrets_stay_hidden(
    name: str, given: dict[str, Any], fact: tuple[str, str]
) -> None:
    shown = asked(name, **given)
    assert shown.facts[0] == fact
    assert "123456" not in shown.text()


def test_credentials_of_the_environment_are_named_and_not_shown() -> None:
    connect = next(command for command in channels.commands if command.name == "channels connect")
    shown = put(connect, parse(connect, {"channel": "telegram"}), {})
    assert ("Credentials", "(hidden), from the settings of this program") in shown.facts


def test_what_an_identifier_stands_for_is_shown_too() -> None:
    shown = asked("hang-up", ring_id="r1", subject=(("result_summary", "On hold\u200b\x1b[2K"), ("to", FRIEND)))
    assert shown.facts[1:3] == (("Result summary", "On hold[2K"), ("To", FRIEND))
    assert shown.warnings == ("Result summary holds 2 characters that cannot be seen; they are left out here.",)


@pytest.mark.parametrize(
    ("name", "estimate", "cost"),
    [
        ("plead", "about 3 credits", "about 3 credits"),
        ("plead", None, "credits, how many is not known"),
        ("prove", None, "money, by the terms of the plan"),
        ("hang-up", None, "nothing"),
    ],
)
def test_what_it_may_cost_is_told_also_without_an_estimate(name: str, estimate: str | None, cost: str) -> None:
    shown = asked(name, **ALL[name], estimate=estimate)
    assert dict(shown.facts)["May cost"] == cost


def test_a_repeat_is_pointed_out() -> None:
    draft = Draft(tool="kallyai_ring", digest="", arguments={})
    act = Act(id="a", draft=draft, state=State.UNKNOWN, created=NOON.timestamp())
    shown = asked("ring", phone=FRIEND, task="Hello", repeat_of=act)
    assert shown.warnings == ("The same was begun at 2026-03-02 17:00 UTC and is unknown; it would be done once more.",)


def test_what_is_hidden_in_a_text_is_not_shown_but_told() -> None:
    tags = "".join(chr(0xE0000 + ord(letter)) for letter in "wire")
    shown = asked("plead", message=f"Hello{tags}\x1b]0;world\x07", conversation_id="c\u20281")
    assert dict(shown.facts)["Message"] == "Hello]0;world"
    assert shown.warnings == ("Message holds 6 characters that cannot be seen; they are left out here.",)


def test_gaps_that_push_a_text_out_of_sight_are_closed() -> None:
    shown = asked("plead", message="Hello" + "\n" * 200 + "one" + " " * 500 + "two")
    assert dict(shown.facts)["Message"] == "Hello\n\none two"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
LINES = st.text(st.sampled_from("ab: \n\r\x0b\x0c\x1c\x85\u2028\u2029\t\x1b[\u202e\u200b!|("), min_size=1, max_size=40)


@settings(max_examples=share(150, 10_000), deadline=None)
@given(TEXTS | LINES, st.dictionaries(TEXTS | LINES, TEXTS | LINES | st.integers() | st.booleans(), max_size=3))
def test_no_value_can_pass_for_a_line_of_the_question_or_hide_anything(text: str, config: dict[str, Any]) -> None:
    shown = asked("route", {}, name=text, action_config=config)
    lines = shown.text().splitlines()
    own = (
        "Route calls elsewhere (",
        "! ",
        "Leads to: ",
        "What it does: ",
        "Name: ",
        "Action config: ",
        "May cost: ",
        "Can be undone: ",
    )
    assert all(line.startswith((*own, "    | ")) for line in lines)
    assert sum(line.startswith("Name: ") for line in lines) == 1
    hidden = {"Cc", "Cs"}
    assert not any(unicodedata.category(letter) in hidden for line in lines for letter in line if letter != "\t")
    shown.text().encode()
    assert Question.of(shown.as_dict()) == shown


ALL: dict[str, dict[str, Any]] = {
    "ring": {"phone": FRIEND, "task": "Hello", "user_phone": FRIEND, "hints": ["a"], "language": "es"},
    "reschedule": {"ring_id": "r1", "date": "2026-03-03", "time": "10:00"},
    "draft": {"to": "jo@example.com", "cc": "max@example.com", "body": "Hello"},
    "reach": {"target": "jo", "description": "Hello", "channel": "call", "auto_execute": True, "people": ["max"]},
    "route": {"name": "Urgent", "action_config": {}},
    "plead": {"message": "Hello", "conversation_id": "c1"},
    "hang-up": {"ring_id": "r1"},
    "prove": {"code": "123456"},
    "look": {"query": "Hello"},
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_of_every_command_has_its_line(name: str) -> None:
    assert ALL[name].keys() == COMMANDS[name].args.model_fields.keys()
    labels = {label.lower().replace(" ", "_") for label, _ in asked(name, **ALL[name]).facts}
    assert labels >= ALL[name].keys()
