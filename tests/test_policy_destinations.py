"""Whom an act reaches is found wherever it stands among the arguments, and compared in one form."""

from __future__ import annotations

from typing import Any

import pytest
from policy_world import COMMANDS, FRIEND, reached, run

from kallyai_mcp.policy import Destination, as_judged, destinations, masked, of_value
from kallyai_mcp.policy.mails import cautions


def short(found: tuple[Destination, ...]) -> list[tuple[str, str, str, str]]:
    return [(spot.argument, spot.kind, spot.value, spot.role) for spot in found]


def test_a_typed_number_is_a_contact_and_the_one_for_calling_back_is_told_apart() -> None:
    assert reached("ring", phone=FRIEND, task="Ask for a table", user_phone="+447700900123") == (
        Destination("phone", "phone", FRIEND, "+1 202-555-0143", "contact", "US"),
        Destination("user_phone", "phone", "+447700900123", "+44 7700 900123", "callback", "GB"),
    )


def test_recipient_and_copy_of_a_mail_are_contacts_with_their_domains_as_they_are_sent() -> None:
    found = reached("draft", to="Jo.Doe@EXÄMPLE.com", cc="max@example.org", body="Call +19005550199, or call 911!")
    assert short(found) == [
        ("to", "mail", "Jo.Doe@xn--exmple-cua.com", "contact"),
        ("cc", "mail", "max@example.org", "contact"),
    ]


@pytest.mark.parametrize(
    ("target", "kind", "value"),
    [
        ("+1 (202) 555-0143", "phone", FRIEND),
        ("tel:+1-202-555-0143;ext=4", "phone", FRIEND),
        ("1-800-FLOWERS", "phone", "+18003569377"),
        ("911", "phone", "911"),
        (" jo@Example.com ", "mail", "jo@example.com"),
        ("Jo Doe <jo@example.com>", "mail", "jo@example.com"),
        ("mailto:jo@example.com", "mail", "jo@example.com"),
        ("jo\uff20example.com", "mail", "jo@example.com"),
        ("@marta\u202e_ruiz", "handle", "@marta_ruiz"),
        ("jo@example.com, max@example.org", "handle", "jo@example.com, max@example.org"),
    ],
)
def test_a_text_that_may_be_either_is_a_number_an_address_or_a_handle(target: str, kind: str, value: str) -> None:
    assert short(reached("reach", target=target, description="Say hello")) == [("target", kind, value, "contact")]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("+12025550143", "+12025550143"),
        (" tel:+1-202-555-0143 ", "+12025550143"),
        ("001 (202) 555-0143", "+12025550143"),
        ("+\uff11\uff12\uff10\uff12\u200b555\u202e0143", "+12025550143"),
        ("+44 (0)20 7946 0123", "+442079460123"),
        ("+12025550143,,911", "+12025550143,,911"),
        ("tel:+12025550143;ext=4", "tel:+12025550143;ext=4"),
        ("0909 879 0000", "0909 879 0000"),
        ("Jo Doe <jo@example.com>", "jo@example.com"),
        ("jo\uff20example.com", "jo@example.com"),
        ("mailto:jo@example.com", "jo@example.com"),
        ("Jo@Example.com", "Jo@Example.com"),
        ("@marta", "@marta"),
    ],
)
def test_an_act_goes_to_the_number_or_address_that_is_judged(given: str, sent: str) -> None:
    arguments = {"target": given, "description": given}
    assert as_judged(COMMANDS["reach"], arguments) == {"target": sent, "description": given}


def test_each_entry_of_a_list_counts() -> None:
    found = reached("reach", target="@marta", description="Hello", people=["+34 555 010050", "jo@example.com"])
    assert [spot.value for spot in found] == ["@marta", "+34555010050", "jo@example.com"]


@pytest.mark.parametrize(
    ("config", "values"),
    [
        ({"target_number": "+12025550143"}, [FRIEND]),
        ({"target_number": 12025550143}, [FRIEND]),
        ({"target_number": 12025550143.0}, [FRIEND]),
        ({"transferTo": "1 (202) 555-0143"}, [FRIEND]),
        ({"x": {"y": [{"z": "+1 202 555 0143"}]}}, [FRIEND]),
        ({"x": 19005550199}, ["+19005550199"]),
        ({"then": "pass on to +1 900 555 0199, please"}, ["+19005550199"]),
        ({"+19005550199": True}, ["+19005550199"]),
        ({"notify": "copies to Eve@Example.com!"}, ["Eve@example.com"]),
        ({"to": 911}, ["911"]),
        ({"transferTo": 911}, ["911"]),
        ({"x": "911"}, ["911"]),
        ({"dial": "2025550143"}, ["2025550143"]),
        ({"x": "202-555-0143"}, ["2025550143"]),
        ({"vip": True, "seconds": 112, "call_timeout": 30, "priority": 10}, []),
        ({"days": "1-5", "from": "2026-03-02", "hours": "09:00-18:00", "note": "100 percent"}, []),
        ({"created": 1767225600, "ms": 1767225600000, "id": "550e8400-e29b-41d4-a716-446655440000"}, []),
        ({"none": None, "ratio": 0.5, "name": "transfer"}, []),
    ],
)
def test_numbers_and_addresses_in_an_object_are_found_under_any_name(config: dict[str, Any], values: list[str]) -> None:
    found = reached("route", name="Urgent", action_config=config)
    assert [spot.value for spot in found] == values
    assert {spot.role for spot in found} <= {"contact"}


def test_texts_of_acts_are_searched_for_numbers_they_mention_but_identifiers_are_not() -> None:
    assert short(reached("plead", message="Have +44 7700 900123 call me", conversation_id="+19005550199")) == [
        ("message", "phone", "+447700900123", "mentioned")
    ]
    assert short(reached("ring", phone=FRIEND, task="Ask", hints=["then call 112", "or +8816 1234 5678"])) == [
        ("phone", "phone", FRIEND, "contact"),
        ("hints", "phone", "112", "mentioned"),
        ("hints", "phone", "+881612345678", "mentioned"),
    ]
    assert reached("look", query="who has +19005550199") == ()
    assert reached("hang-up", ring_id="+19005550199") == ()


@pytest.mark.parametrize("command", [name for name in COMMANDS if name in {"ring", "draft", "reach", "route"}])
def test_arguments_that_are_not_given_reach_nobody(command: str) -> None:
    required = {
        "ring": {"phone": FRIEND, "task": "Hello"},
        "draft": {"to": "jo@example.com", "body": "Hello"},
        "reach": {"target": "@marta", "description": "Hello"},
        "route": {"name": "Urgent"},
    }[command]
    assert len(destinations(*run(command, **required))) == (command != "route")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("+1 202-555-0143", FRIEND),
        (12025550143, FRIEND),
        ("jo@EXAMPLE.com", "jo@example.com"),
        ("@marta", "@marta"),
        ("  ", None),
        (None, None),
        (True, None),
        (["+12025550143"], None),
    ],
)
def test_what_was_looked_up_becomes_a_destination(value: object, found: str | None) -> None:
    spot = of_value("phone_number", value, "contact")
    assert (spot.value if spot else None) == found


def test_receipts_show_enough_of_a_destination_to_recognise_it() -> None:
    found = (
        *reached("ring", phone=FRIEND, task="call +34 555 010050", user_phone="+447700900123"),
        *reached("draft", to="jo.doe@example.com", body="Hello"),
        *reached("reach", target="@marta_ruiz", description="Hello"),
        *reached("reach", target="911", description="Hello"),
    )
    assert masked(found) == "+1•••0143, +44•••0123, j•••@example.com, @m•••, •••"
    assert masked(found[:1] + found[:1]) == "+1•••0143"
    assert masked(()) == ""


@pytest.mark.parametrize(
    ("address", "cautioned"),
    [
        ("jo.doe@example.com", 0),
        ("jo@xn--exmple-cua.com", 1),  # exämple.com
        ("jo@xn--l-7sba6dbr.com", 2),  # Cyrillic but for one letter
        ("\u0430dmin@example.com", 2),  # a Cyrillic letter in front
        ("\u0438\u0432\u0430\u043d@example.com", 1),
        ("jo@xn--zckzah.example", 1),  # katakana
        ("\u6771\u4eac\u30bf\u30ef\u30fcA@example.com", 1),
        ("jo@xn--a.example", 0),  # no punycode at all
    ],
)
def test_addresses_that_may_look_like_others_are_pointed_out(address: str, cautioned: int) -> None:
    assert len(cautions(address)) == cautioned
