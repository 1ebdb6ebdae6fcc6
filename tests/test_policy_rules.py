"""What no consent can allow is refused before anybody is asked, and the refusal says which rule it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

import pytest
from policy_world import COMMANDS, FRIEND, NOON, mail, phone, reached, run

from kallyai_mcp.catalog import by_tool
from kallyai_mcp.errors import OWN_CODES, ActRefused
from kallyai_mcp.examples import examples_of
from kallyai_mcp.model import parse
from kallyai_mcp.model.codes import CODES
from kallyai_mcp.policy import Destination, check, destinations, is_trusted, of_value
from kallyai_mcp.safety import ALL_DAY, Hours, Safety

ANY_TIME = Safety(contact_hours=ALL_DAY)


def refusal(name: str, safety: Safety = ANY_TIME, now: datetime = NOON, /, **given: Any) -> ActRefused | None:
    command, args = run(name, **given)
    return judged(destinations(command, args), name, safety, now, args=args)


def judged(
    spots: tuple[Destination, ...], name: str, safety: Safety, now: datetime = NOON, **more: Any
) -> ActRefused | None:
    try:
        check(spots, COMMANDS[name], safety, now, own_zone="Europe/Madrid", **more)
    except ActRefused as refused:
        return refused
    return None


def code(found: ActRefused | None) -> str | None:
    return None if found is None else found.error_code


BAD = {
    "+1911": "emergency_number",
    "+112": "emergency_number",
    "+19005550199": "toll_number",
    "+881612345678": "destination_refused",
    "+4911833": "destination_refused",
    "+4420": "missing_phone_number",
    "+9995550100": "unsupported_country",
}


@pytest.mark.parametrize("tail", [",,911", ";postd=911", " ext. 12", "p9", " x 4", "#123", "; 1", "w22#"])
@pytest.mark.parametrize("number", ["+12025550143", "tel:+1-202-555-0143", "001 202 555 0143"])
def test_what_would_be_keyed_in_after_a_number_is_refused_and_not_dropped(number: str, tail: str) -> None:
    found = refusal("reach", target=number + tail, description="Hello")
    assert code(found) == "destination_refused"
    assert "followed by an extension" in str(found)
    assert refusal("reach", target=number, description=number + tail) is None


@pytest.mark.parametrize("words", ["nine one one", "Nine-Eleven", "one one two", "nueve once", "triple zero"])
def test_an_emergency_number_in_words_is_no_handle(words: str) -> None:
    assert code(refusal("reach", target=words, description="Hello")) == "destination_refused"


@pytest.mark.parametrize("number", BAD)
def test_a_number_that_is_never_dialled_is_refused_as_contact_as_callback_and_in_an_object(number: str) -> None:
    assert code(refusal("ring", phone=number, task="Hello")) == BAD[number]
    assert code(refusal("ring", phone=FRIEND, task="Hello", user_phone=number)) == BAD[number]
    assert code(refusal("route", name="Urgent", action_config={"to": number})) == BAD[number]
    assert code(refusal("reach", target=number, description="Hello")) == BAD[number]


@pytest.mark.parametrize("number", [number for number in BAD if number not in {"+4420", "+4911833"}])
def test_a_text_that_names_such_a_number_is_refused_too(number: str) -> None:
    for name, given in (
        ("plead", {"message": f"Phone {number} now"}),
        ("ring", {"phone": FRIEND, "task": f"Say {number}"}),
    ):
        assert code(refusal(name, **given)) == BAD[number]


def test_an_order_to_phone_an_emergency_service_is_refused() -> None:
    found = refusal("plead", message="There is smoke. Call 911!")
    assert found is not None
    assert found.as_dict() == {
        "code": "emergency_number",
        "message": "message names a number that is that of an emergency service. Nothing was sent.",
        "next_step": CODES["emergency_number"].next_step,
        "retryable": False,
        "argument": "message",
        "outcome": "not_sent",
    }


def test_refusals_hold_neither_number_nor_address_and_their_codes_are_documented() -> None:
    lists = Safety(allow_numbers=("+3455501*",), allow_mail_domains=("example.org",), deny_countries=("GB",))
    found = [
        *(refusal("ring", phone=number, task="Hello") for number in BAD),
        refusal("ring", lists, phone=FRIEND, task="Hello"),
        refusal("ring", lists, phone="+447700900123", task="Hello"),
        refusal("ring", Safety(), datetime(2026, 3, 2, 9, 0, tzinfo=UTC), phone=FRIEND, task="Hello"),
        refusal("draft", lists, to="jo@example.com", body="Hello"),
        refusal("reach", target="jo@example.com, max@example.com", description="Hello"),
    ]
    for refused in found:
        assert refused is not None
        text = str(refused.as_dict())
        assert refused.error_code in CODES or refused.error_code in OWN_CODES
        assert not any(secret in text for secret in (*BAD, "555", "5550143", "900123", "jo@", "max"))


@pytest.mark.parametrize(
    ("safety", "number", "setting"),
    [
        (Safety(), FRIEND, None),
        (Safety(allow_numbers=(FRIEND,)), FRIEND, None),
        (Safety(allow_numbers=("+1202*",)), FRIEND, None),
        (Safety(allow_numbers=("+1212*", "+44*")), FRIEND, "allow_numbers"),
        (Safety(allow_numbers=("+120255501",)), FRIEND, "allow_numbers"),
        (Safety(deny_numbers=("+1202*",)), FRIEND, "deny_numbers"),
        (Safety(allow_numbers=(FRIEND,), deny_numbers=("+1*",)), FRIEND, "deny_numbers"),
        (Safety(allow_countries=("US", "GB")), "+447700900123", None),
        (Safety(allow_countries=("US",)), "+447700900123", "allow_countries"),
        (Safety(allow_countries=("US",)), "+14165550143", "allow_countries"),
        (Safety(deny_countries=("CA",)), "+14165550143", "deny_countries"),
        (Safety(deny_countries=("CA",)), FRIEND, None),
        (Safety(allow_countries=("GB",), deny_countries=("GB",)), "+447700900123", "deny_countries"),
        (Safety(allow_numbers=("+447700900123",), deny_countries=("GB",)), "+447700900123", "deny_countries"),
        (Safety(allow_mail_domains=("example.com",)), FRIEND, None),
    ],
)
def test_lists_of_numbers_and_countries_are_kept_and_denial_wins(
    safety: Safety, number: str, setting: str | None
) -> None:
    found = refusal("ring", replace(safety, contact_hours=ALL_DAY), phone=number, task="Hello")
    assert (found.details["setting"] if found else None) == setting
    assert found is None or (found.error_code == "destination_refused" and f"({setting})" in found.message)


@pytest.mark.parametrize(
    ("safety", "address", "setting"),
    [
        (Safety(), "jo@example.com", None),
        (Safety(allow_mail_domains=("example.com",)), "jo@example.com", None),
        (Safety(allow_mail_domains=("example.com",)), "jo@mail.example.com", None),
        (Safety(allow_mail_domains=("example.com",)), "jo@notexample.com", "allow_mail_domains"),
        (Safety(deny_mail_domains=("example.com",)), "jo@a.b.example.com", "deny_mail_domains"),
        (
            Safety(allow_mail_domains=("example.com",), deny_mail_domains=("x.example.com",)),
            "a@x.example.com",
            "deny_mail_domains",
        ),
        (Safety(deny_mail_domains=("xn--exmple-cua.com",)), "jo@Exämple.com", "deny_mail_domains"),
        (Safety(allow_numbers=("+1202*",), allow_countries=("US",)), "jo@example.com", None),
    ],
)
def test_lists_of_mail_domains_hold_for_those_below_them(safety: Safety, address: str, setting: str | None) -> None:
    for given in ({"to": address}, {"to": "max@sub.example.com", "cc": address}):
        found = refusal("draft", safety, body="Hello", **given)
        if given["to"] == address:
            assert (found.details["setting"] if found else None) == setting


def test_a_callback_number_needs_no_place_on_the_list_of_allowed_ones_but_is_denied_like_any_other() -> None:
    own = "+447700900123"
    given = {"phone": FRIEND, "task": "Hello", "user_phone": own}
    assert refusal("ring", replace(ANY_TIME, allow_numbers=(FRIEND,)), **given) is None
    assert code(refusal("ring", replace(ANY_TIME, deny_numbers=(own,)), **given)) == "destination_refused"


def test_a_number_named_in_a_request_to_an_assistant_is_held_against_the_lists_like_a_contact() -> None:
    lists = replace(ANY_TIME, allow_numbers=(FRIEND,))
    assert refusal("plead", lists, message=f"Phone {FRIEND}") is None
    assert code(refusal("plead", lists, message="Phone +447700900123")) == "destination_refused"
    assert refusal("ring", lists, phone=FRIEND, task="Tell her my number is +447700900123") is None


@pytest.mark.parametrize(
    "target",
    [
        "jo@example.com, max@example.com",
        "jo@@example.com",
        "call +19005550199",
        "marta 19005550199",
        "please call 911",
        "4 Privet Drive",
        "#31#",
        "\u200b",
    ],
)
def test_what_is_not_one_number_address_or_handle_is_refused(target: str) -> None:
    assert refusal("reach", target=target, description="Hello") is not None


@pytest.mark.parametrize("target", ["@marta_ruiz", "marta.ruiz85", "Марта", "user1234567"])
def test_a_handle_passes_unless_only_known_numbers_may_be_contacted(target: str) -> None:
    assert refusal("reach", target=target, description="Hello") is None
    for setting in ({"allow_numbers": ("+1*",)}, {"allow_countries": ("US",)}):
        found = refusal("reach", replace(ANY_TIME, **setting), target=target, description="Hello")
        assert code(found) == "destination_refused"


@pytest.mark.parametrize("tool", [tool for tool, command in by_tool().items() if command.is_recorded])
def test_no_run_that_the_documentation_shows_is_refused(tool: str) -> None:
    command = by_tool()[tool]
    for example in examples_of(command):
        args = parse(command, example["arguments"])
        check(destinations(command, args), command, Safety(), NOON, args=args, own_zone="Europe/Madrid")


# Quiet hours


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("number", "now", "closed"),
    [
        (FRIEND, "2026-03-02T12:59:59+00:00", ("America/New_York", "2026-03-02T07:59", "2026-03-02T08:00-05:00")),
        (FRIEND, "2026-03-02T13:00:00+00:00", None),
        (FRIEND, "2026-03-03T01:59:59+00:00", None),
        (FRIEND, "2026-03-03T02:00:00+00:00", ("America/New_York", "2026-03-02T21:00", "2026-03-03T08:00-05:00")),
        (
            "+447700900123",
            "2026-03-02T07:30:00+00:00",
            ("Europe/Guernsey", "2026-03-02T07:30", "2026-03-02T08:00+00:00"),
        ),
        ("+447700900123", "2026-03-02T12:00:00+00:00", None),
        ("+33639981234", "2026-03-02T19:30:00+00:00", None),
        ("+493023125123", "2026-03-02T20:30:00+00:00", ("Europe/Berlin", "2026-03-02T21:30", "2026-03-03T08:00+01:00")),
        # A mobile number of Russia may be anywhere from Kaliningrad to Kamchatka, eleven time zones apart.
        ("+79161234567", "2026-03-02T07:00:00+00:00", None),
        ("+79161234567", "2026-03-02T10:00:00+00:00", ("Asia/Anadyr", "2026-03-02T22:00", "2026-03-03T18:00+12:00")),
        # A toll-free number of North America may be answered anywhere; the user's own zone, Madrid, decides.
        ("+18005550143", "2026-03-02T08:00:00+00:00", None),
        ("+18005550143", "2026-03-02T03:00:00+00:00", ("Europe/Madrid", "2026-03-02T04:00", "2026-03-02T08:00+01:00")),
    ],
)
def test_people_are_phoned_in_the_hours_set_by_the_clock_where_they_are(
    number: str, now: str, closed: tuple[str, str, str] | None
) -> None:
    found = refusal("ring", Safety(), at(now), phone=number, task="Hello")
    if closed is None:
        assert found is None
        return
    assert found is not None
    zone, local, opening = closed
    assert found.error_code == "quiet_hours"
    assert found.details == {
        "local_time": local,
        "zone": zone,
        "not_before": opening,
        "argument": "phone",
        "outcome": "not_sent",
    }
    assert f"at {opening} or later" in found.next_step
    assert judged(reached("ring", phone=number, task="Hello"), "ring", Safety(), at(opening)) is None


def test_the_clock_that_is_put_forward_or_back_is_minded() -> None:
    hours = Safety(contact_hours=Hours(time(2, 30), time(21)))
    skipped = refusal("ring", hours, at("2026-03-08T06:00:00+00:00"), phone=FRIEND, task="Hello")
    assert skipped is not None
    assert skipped.details["not_before"] == "2026-03-08T03:30-04:00"
    assert refusal("ring", hours, at("2026-03-08T07:00:00+00:00"), phone=FRIEND, task="Hello") is None
    early = Safety(contact_hours=Hours(time(1, 30), time(21)))
    for now in ("2026-11-01T05:30:00+00:00", "2026-11-01T06:30:00+00:00"):  # 1:30, twice
        assert refusal("ring", early, at(now), phone=FRIEND, task="Hello") is None


def test_hours_may_go_past_midnight_or_be_all_day_or_suit_no_moment() -> None:
    night = Safety(contact_hours=Hours(time(22), time(4)))
    assert refusal("ring", night, at("2026-03-02T04:00:00+00:00"), phone=FRIEND, task="Hello") is None
    assert code(refusal("ring", night, at("2026-03-02T17:00:00+00:00"), phone=FRIEND, task="Hello")) == "quiet_hours"
    assert refusal("ring", ANY_TIME, at("2026-03-02T08:00:00+00:00"), phone=FRIEND, task="Hello") is None
    narrow = Safety(contact_hours=Hours(time(12), time(13)))
    found = refusal("ring", narrow, NOON, phone="+79161234567", task="Hello")
    assert found is not None
    assert ("not_before" in found.details, found.next_step) == (
        False,
        "Tell the user: no time of day suits every place where this number may ring.",
    )


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("draft", {"to": "jo@example.com", "body": "Hello"}),
        ("plead", {"message": "Phone +12025550143"}),
        ("route", {"name": "Urgent", "action_config": {"to": FRIEND}}),
        ("reach", {"target": FRIEND, "description": "Hello", "channel": "whatsapp"}),
        ("reach", {"target": FRIEND, "description": "Hello", "auto_execute": False}),
        ("reach", {"target": "jo@example.com", "description": "Hello"}),
    ],
)
def test_only_what_makes_a_phone_ring_waits_for_the_morning(name: str, given: dict[str, Any]) -> None:
    night = at("2026-03-02T08:00:00+00:00")
    assert refusal(name, Safety(), night, **given) is None
    assert code(refusal("reach", Safety(), night, target=FRIEND, description="Hello", channel="call")) == "quiet_hours"


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"date": "2026-03-03", "time": "15:00"}, None),
        ({"date": "2026-03-03", "time": "10:00"}, "quiet_hours"),  # 4:00 in New York
        ({"time": "10:00"}, "quiet_hours"),
        ({"time": "19:00"}, None),
        ({"date": "2026-03-03"}, None),
        ({}, None),
    ],
)
def test_a_call_that_is_moved_is_judged_by_its_new_time_which_is_the_user_s(
    given: dict[str, str], refused: str | None
) -> None:
    command, args = run("reschedule", ring_id="r1", **given)
    spot = of_value("to", FRIEND, "contact")
    assert spot is not None
    night = at("2026-03-02T08:00:00+00:00")
    assert code(judged((spot,), command.name, Safety(), night, args=args)) == refused


def test_a_call_that_is_moved_to_a_time_of_day_is_judged_at_the_next_such_time() -> None:
    command, args = run("reschedule", ring_id="r1", time="04:00")
    found = judged((phone(FRIEND),), command.name, Safety(), at("2026-03-02T08:00:00+00:00"), args=args)
    assert found is not None
    assert found.details["local_time"] == "2026-03-02T22:00"


# Trust


def test_trusted_is_who_is_in_the_contacts_or_on_a_list_and_was_not_written_down_just_now() -> None:
    contacts = frozenset({FRIEND, "jo@example.com"})
    just_now = frozenset({("contact", FRIEND)})
    lists = Safety(allow_numbers=("+4477*",), allow_mail_domains=("example.org",))

    def trusted(spot: Destination, distrusted: frozenset[tuple[str, str]] = frozenset()) -> bool:
        return is_trusted(spot, contacts, distrusted, lists)

    assert trusted(phone(FRIEND))
    assert not trusted(phone(FRIEND), just_now)
    assert trusted(mail("jo@example.com"), just_now)
    assert trusted(phone("+447700900123"), frozenset({("contact", "+447700900123")}))
    assert trusted(mail("max@sub.example.org"))
    assert not trusted(mail("max@example.com"))
    assert not trusted(phone("+12125550199"))
    assert not trusted(Destination("target", "handle", "@marta", "@marta", "contact"))
