"""When a person has to agree: by the setting, by what was read lately, and by what was agreed to in advance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from full import share
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_world import COMMANDS, FRIEND, NOON, STRANGER, TAINT, mail, mandate, phone

from kallyai_mcp.errors import InvalidArguments
from kallyai_mcp.model import Consent
from kallyai_mcp.policy import Allow, Ask, Destination, Terms, covers, decide, mandate_question, terms

if TYPE_CHECKING:
    from kallyai_mcp.model.records import Mandate, Taint

NOW = NOON.timestamp()
READ = ("Words of strangers were read lately (email read) and may be behind it; this counts until 17:30 UTC.",)
UNKNOWN = "It reaches somebody who is neither in the contacts nor on a list of allowed ones."
CALLBACK = "It has people call back a number that is neither in the contacts nor on a list of allowed ones."
NOBODY = "It names nobody whom it reaches."
DIVERTS = "It changes where calls or mail go, who is known, or how the user appears to others."
WORDS = "It hands a request in free words to somebody who then acts by himself."
NO_MESSAGE = "It is no message to those whom it names."
JUST_WRITTEN = "A contact that it reaches was written down just after words of strangers had been read."
MANDATE = "The mandate does not cover it now: it would have to be one that names everybody reached."


def verdict(
    name: str,
    *spots: Destination,
    mode: str = "off",
    trusted: tuple[bool, ...] | None = None,
    taint: Taint | None = None,
    agreed: Mandate | None = None,
    distrusted: frozenset[tuple[str, str]] = frozenset(),
) -> Allow | Ask:
    known = tuple(spot.value == FRIEND or spot.kind == "mail" for spot in spots) if trusted is None else trusted
    return decide(
        COMMANDS[name],
        mode=mode,
        destinations=spots,
        trusted=known,
        distrusted=distrusted,
        taint=taint,
        mandate=agreed,
    )


@pytest.mark.parametrize(
    ("mode", "answer"), [("ask", Ask()), ("host", Allow(Consent.HOST)), ("off", Allow(Consent.OFF))]
)
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "look"])
def test_while_nothing_was_read_the_setting_decides_over_every_act(name: str, mode: str, answer: Allow | Ask) -> None:
    assert verdict(name, phone(STRANGER), mode=mode) == answer
    assert verdict(name, mode=mode) == answer


@pytest.mark.parametrize("mode", ["ask", "host", "off"])
def test_a_read_that_spends_needs_nobody_s_consent(mode: str) -> None:
    assert verdict("look", mode=mode, taint=TAINT) == Allow(Consent.NOT_NEEDED)


@pytest.mark.parametrize(
    ("name", "spots", "why"),
    [
        ("ring", (phone(FRIEND),), None),
        ("ring", (phone(FRIEND), phone(STRANGER, "mentioned")), None),
        ("draft", (mail("jo@example.com"),), None),
        ("reach", (mail("jo@example.com"),), None),
        ("ring", (phone(STRANGER),), (UNKNOWN,)),
        ("ring", (phone(FRIEND), phone(STRANGER)), (UNKNOWN,)),
        ("ring", (phone(FRIEND), phone(STRANGER, "callback")), (CALLBACK,)),
        ("ring", (), (NOBODY,)),
        ("ring", (phone(FRIEND, "mentioned"),), (NOBODY,)),
        ("draft", (phone(FRIEND),), (NO_MESSAGE,)),
        ("route", (phone(FRIEND),), (DIVERTS, NO_MESSAGE)),
        ("route", (), (DIVERTS, NOBODY)),
        ("plead", (), (WORDS, NOBODY)),
        ("plead", (phone(FRIEND),), (WORDS,)),
        ("hang-up", (), (NOBODY,)),
        ("hang-up", (phone(FRIEND),), (NO_MESSAGE,)),
        ("prove", (), (NOBODY,)),
    ],
)
def test_after_strangers_words_only_words_to_known_people_go_on_unasked(
    name: str, spots: tuple[Destination, ...], why: tuple[str, ...] | None
) -> None:
    free = {"host": Allow(Consent.HOST), "off": Allow(Consent.OFF), "ask": Ask()}
    for mode, answer in free.items():
        assert verdict(name, *spots, mode=mode, taint=TAINT) == (answer if why is None else Ask((*READ, *why)))


def test_a_contact_written_down_after_strangers_words_is_asked_for_even_later() -> None:
    just_written = frozenset({("contact", FRIEND)})
    assert verdict("ring", phone(FRIEND), distrusted=just_written) == Ask((JUST_WRITTEN,))
    assert verdict("ring", phone(STRANGER), distrusted=just_written) == Allow(Consent.OFF)
    assert verdict(
        "ring", phone(FRIEND), phone(STRANGER, "mentioned"), distrusted=frozenset({("contact", STRANGER)})
    ) == Allow(Consent.OFF)


@pytest.mark.parametrize("mode", ["ask", "host", "off"])
def test_a_mandate_that_covers_stands_for_the_person(mode: str) -> None:
    assert verdict("ring", phone(STRANGER), mode=mode, agreed=mandate("+1212*")) == Allow(Consent.MANDATE)


@pytest.mark.parametrize(
    ("agreed", "spots", "holds"),
    [
        (mandate(STRANGER), (phone(STRANGER),), True),
        (mandate(STRANGER, "+447700900123"), (phone(STRANGER), phone("+447700900123", "callback")), True),
        (mandate(STRANGER), (phone(STRANGER), phone("+447700900123", "callback")), False),
        (mandate(STRANGER, is_trusted=False), (phone(STRANGER),), False),
        (mandate("+1212*"), (phone(STRANGER),), False),
        (mandate(), (phone(STRANGER),), False),
        (mandate(), (), False),
        (mandate("@example.org"), (replace(mail("eve@example.org"), kind="mail"),), False),
        (mandate("eve@example.org"), (mail("eve@example.org"),), True),
    ],
)
def test_after_strangers_words_a_mandate_counts_only_if_it_names_everybody(
    agreed: Mandate, spots: tuple[Destination, ...], holds: bool
) -> None:
    found = verdict("ring", *spots, mode="off", taint=TAINT, agreed=agreed, trusted=(False,) * len(spots))
    assert (found == Allow(Consent.MANDATE)) == holds
    if not holds:
        assert isinstance(found, Ask)
        assert found.reasons[-1] == MANDATE


@pytest.mark.parametrize("name", ["plead", "route"])
def test_no_mandate_counts_after_strangers_words_for_what_delegates_or_diverts(name: str) -> None:
    agreed = mandate(FRIEND, tools=(COMMANDS[name].tool,))
    found = verdict(name, phone(FRIEND), taint=TAINT, agreed=agreed)
    assert isinstance(found, Ask)
    assert verdict(name, phone(FRIEND), agreed=agreed) == Allow(Consent.MANDATE)


SPOTS = st.lists(
    st.sampled_from([phone(FRIEND), phone(STRANGER), mail("eve@example.org"), phone(STRANGER, "callback")]), max_size=4
)


@settings(max_examples=share(200, 10_000), deadline=None)
@given(
    st.sampled_from([name for name in COMMANDS if name != "look"]),
    SPOTS.flatmap(
        lambda spots: st.tuples(st.just(spots), st.lists(st.booleans(), min_size=len(spots), max_size=len(spots)))
    ),
    st.sampled_from(["ask", "host", "off"]),
    st.none() | st.builds(mandate, st.sampled_from(["+1*", "@example.org", FRIEND]), is_trusted=st.booleans()),
)
def test_no_act_towards_anybody_unknown_goes_on_unasked_after_strangers_words(
    name: str, who: tuple[list[Destination], list[bool]], mode: str, agreed: Mandate | None
) -> None:
    spots, trusted = who
    found = verdict(name, *spots, trusted=tuple(trusted), mode=mode, taint=TAINT, agreed=agreed)
    if isinstance(found, Allow) and found.consent is not Consent.MANDATE:
        assert mode != "ask"
        assert spots
        assert all(trusted)
        assert not COMMANDS[name].diverts
        assert not COMMANDS[name].delegates
    if isinstance(found, Allow) and found.consent is Consent.MANDATE and not all(trusted):
        assert agreed is not None
        assert agreed.is_trusted
        assert {spot.value for spot in spots} <= set(agreed.recipients)


# What a mandate covers

NOT_ALL = "The mandate does not name everybody whom this run reaches."
NOT_KNOWN = "The mandate names whom it is for, and nobody can tell whom this run reaches."
REVOKED = "The mandate was taken back."


@pytest.mark.parametrize(
    ("agreed", "tool", "spots", "now", "why"),
    [
        (mandate(STRANGER), "kallyai_ring", (phone(STRANGER),), NOW, None),
        (mandate("+1212*"), "kallyai_ring", (phone(STRANGER),), NOW, None),
        (mandate("+1212*"), "kallyai_ring", (phone(FRIEND),), NOW, NOT_ALL),
        (mandate("+1*"), "kallyai_ring", (phone(STRANGER), phone("+447700900123", "callback")), NOW, None),
        (mandate("@example.org"), "kallyai_ring", (mail("eve@example.org"),), NOW, None),
        (mandate("@example.org"), "kallyai_ring", (mail("eve@x.example.org"),), NOW, NOT_ALL),
        (mandate("eve@example.org"), "kallyai_ring", (mail("eve@example.org"),), NOW, None),
        (mandate(), "kallyai_ring", (phone(STRANGER),), NOW, None),
        (mandate(), "kallyai_ring", (), NOW, None),
        (mandate(STRANGER), "kallyai_ring", (), NOW, NOT_KNOWN),
        (mandate(STRANGER), "kallyai_reach", (phone(STRANGER),), NOW, "The mandate does not name kallyai_reach."),
        (mandate(STRANGER), "kallyai_ring", (phone(STRANGER),), NOW + 3599, None),
        (mandate(STRANGER), "kallyai_ring", (phone(STRANGER),), NOW + 3600, "The mandate has ended."),
        (replace(mandate(STRANGER), revoked=NOW), "kallyai_ring", (phone(STRANGER),), NOW, REVOKED),
    ],
)
def test_a_mandate_covers_what_is_within_its_bounds(
    agreed: Mandate, tool: str, spots: tuple[Destination, ...], now: float, why: str | None
) -> None:
    assert covers(agreed, tool, spots, now) == why


PROPOSED: dict[str, Any] = {
    "purpose": "Find a\u202e plumber\n today",
    "tools": ("kallyai_ring", "kallyai_ring"),
    "recipients": ("+1 (202) 555-0143", "\uff0b1202*", "Jo@Exämple.com", "@Example.ORG", FRIEND),
    "acts": 3,
    "credits": 10,
    "until": NOW + 3600,
}


def proposed(**changed: Any) -> Terms:
    return terms(**{**PROPOSED, **changed}, now=NOW, known=lambda tool: tool == "kallyai_ring")


def test_proposed_bounds_are_kept_in_one_form() -> None:
    assert proposed() == Terms(
        purpose="Find a plumber today",
        tools=("kallyai_ring",),
        recipients=(FRIEND, "+1202*", "Jo@xn--exmple-cua.com", "@example.org"),
        acts=3,
        credits=10.0,
        until=NOW + 3600,
    )


@pytest.mark.parametrize(
    ("changed", "argument"),
    [
        ({"purpose": " \u200b"}, "purpose"),
        ({"tools": ()}, "tools"),
        ({"tools": ("kallyai_ring", "kallyai_calls_history")}, "tools"),
        ({"recipients": ("everybody",)}, "recipients"),
        ({"recipients": ("+19005550199",)}, "recipients"),
        ({"recipients": ("911",)}, "recipients"),
        ({"recipients": ("2025550143",)}, "recipients"),
        ({"recipients": ("*",)}, "recipients"),
        ({"recipients": ("@com",)}, "recipients"),
        ({"acts": 0}, "acts"),
        ({"acts": 101}, "acts"),
        ({"credits": -1.0}, "credits"),
        ({"credits": float("nan")}, "credits"),
        ({"credits": float("inf")}, "credits"),
        ({"until": NOW}, "until"),
        ({"until": NOW + 7 * 86_400 + 1}, "until"),
        ({"until": float("nan")}, "until"),
    ],
)
def test_bounds_that_are_none_are_refused_by_name(changed: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        proposed(**changed)
    assert [problem.argument for problem in refused.value.problems] == [argument]


@settings(max_examples=share(100, 5_000), deadline=None)
@given(
    st.sampled_from([FRIEND, STRANGER, "+447700900123", "jo@example.com", "eve@example.org"]),
    st.lists(st.sampled_from(["+1202*", "+1*", "+44*", FRIEND, "@example.com", "eve@example.org"]), min_size=1),
)
def test_what_a_mandate_covers_begins_like_or_equals_one_of_its_recipients(value: str, recipients: list[str]) -> None:
    bounds = proposed(recipients=tuple(recipients))
    spot = mail(value) if "@" in value else phone(value)
    is_covered = covers(mandate(*bounds.recipients), "kallyai_ring", (spot,), NOW) is None
    assert is_covered == any(
        value.startswith(item[:-1]) if item.endswith("*") else value.endswith(item) for item in recipients
    )


def test_a_person_sees_every_bound_of_a_mandate() -> None:
    question = mandate_question(proposed(), is_tainted=True, zone="America/New_York")
    assert question.text() == (
        "Agree in advance to acts within bounds (kallyai_mandate)\n"
        "! Words of strangers were read lately and may be behind it. A mandate agreed to now never counts while such "
        "words have just been read.\n"
        "! The mail domain xn--exmple-cua.com is written exämple.com: letters of another alphabet can look like a name "
        "that it is not.\n"
        "For, in the words of whoever asks: Find a plumber today\n"
        "What may be run: kallyai_ring\n"
        "Who may be reached: +1 202-555-0143\n"
        "    | every number that begins with +1202\n"
        "    | Jo@xn--exmple-cua.com\n"
        "    | every address at example.org\n"
        "Most acts: 3\n"
        "Most credits in all: 10\n"
        "Until: 2026-03-02 13:00 EST\n"
        "Can be undone: It can be taken back at any time; what was done under it stays."
    )


def test_a_mandate_for_anyone_says_so() -> None:
    question = mandate_question(proposed(recipients=()), is_tainted=False)
    assert question.warnings == ("It names nobody: anyone may be reached.",)
    assert dict(question.facts)["Who may be reached"] == "anyone"
    assert dict(question.facts)["Until"] == "2026-03-02 18:00 UTC"
