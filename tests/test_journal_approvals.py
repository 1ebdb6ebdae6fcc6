"""Questions to a person: asked, decided once, used once, over after a while."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from journal_world import (
    ANN,
    BOB,
    CALL,
    NOW,
    QUESTION,
    ROOMY,
    SHOWN,
    Clock,
    a_draft,
    agreed_to,
    begun,
    journal_in,
    lines,
)

from kallyai_mcp.errors import ActRefused
from kallyai_mcp.model.acts import Consent, State
from kallyai_mcp.model.records import Approval, Question

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

DRAFT = a_draft()
BY_NOBODY = sorted(set(Consent) - {Consent.ELICITATION, Consent.PAGE, Consent.TERMINAL})


async def refused(attempt: Awaitable[object], code: str = "approval_used") -> str:
    with pytest.raises(ActRefused) as caught:
        await attempt
    assert caught.value.error_code == code
    assert caught.value.details["outcome"] == "not_sent"
    return caught.value.message


async def test_a_question_is_kept_until_it_is_decided_and_used(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        asked = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)
        assert asked == Approval(
            id=asked.id, tool=CALL, digest=DRAFT.digest, question=QUESTION, created=NOW, expires=NOW + 900
        )
        assert await journal.approval(ANN, asked.id) == asked
        assert await journal.approvals(ANN) == [asked]
        assert await journal.agreed(ANN, CALL, DRAFT.digest) is None

    clock.now += 100
    async with journal_in(tmp_path, clock) as journal:
        agreed = await journal.decide(ANN, asked.id, agreed=True, how=Consent.PAGE, shown=SHOWN)
        assert agreed == replace(asked, decision=True, consent=Consent.PAGE)
        assert await journal.approvals(ANN) == []
        assert await journal.agreed(ANN, CALL, DRAFT.digest) == agreed

    clock.now += 100
    async with journal_in(tmp_path, clock) as journal:
        act = await begun(journal, replace(DRAFT, approval=asked.id))
        assert act.draft.approval == asked.id
        assert await journal.approval(ANN, asked.id) == replace(agreed, used=NOW + 200)
        assert await journal.agreed(ANN, CALL, DRAFT.digest) is None
        assert await lines(journal) == []


async def test_an_identifier_can_be_typed_and_not_guessed(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        names = [(await journal.ask(ANN, CALL, str(number), QUESTION)).id for number in range(50)]
    assert all(re.fullmatch("[0-9a-hjkmnp-tv-z]{32}", name) for name in names)
    assert len({name[:8] for name in names}) == 50


async def test_an_open_question_is_asked_again_with_its_new_text_and_its_old_end(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        asked = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION, lifetime=60)
        clock.now += 59
        dearer = Question("Phone a number", CALL, (("Price", "9 credits"),))
        assert await journal.ask(ANN, CALL, DRAFT.digest, dearer) == replace(asked, question=dearer)
        clock.now += 1
        anew = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)
        assert anew == replace(asked, id=anew.id, created=NOW + 60, expires=NOW + 960)
        assert await journal.approvals(ANN) == [anew]


async def test_what_was_agreed_to_is_not_asked_again_and_keeps_its_text(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        agreed = await agreed_to(journal, DRAFT)
        assert await journal.ask(ANN, CALL, DRAFT.digest, Question("Another", CALL, ())) == agreed
        await begun(journal, replace(DRAFT, approval=agreed.id))
        anew = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)
        assert (anew.id != agreed.id, anew.decision) == (True, None)


@pytest.mark.parametrize(("tool", "digest", "account"), [("x", "one", ANN), (CALL, "two", ANN), (CALL, "one", BOB)])
async def test_a_question_belongs_to_one_act_of_one_account(
    tmp_path: Path, tool: str, digest: str, account: str
) -> None:
    async with journal_in(tmp_path) as journal:
        first = await journal.ask(ANN, CALL, "one", QUESTION)
        other = await journal.ask(account, tool, digest, QUESTION)
        assert other.id != first.id
        await journal.decide(account, other.id, agreed=False, how=Consent.PAGE, shown=SHOWN)
        assert (await journal.ask(ANN, CALL, "one", QUESTION)).id == first.id


async def test_declining_is_final_for_ten_minutes_and_leaves_a_receipt(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        asked = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)
        clock.now += 100
        declined = await journal.decide(ANN, asked.id, agreed=False, how=Consent.TERMINAL, shown=SHOWN)
        assert declined == replace(asked, decision=False, consent=Consent.TERMINAL)
        assert await lines(journal) == [
            {
                "number": 1,
                "time": "2027-01-15T08:01:40.000Z",
                "account": ANN,
                "tool": CALL,
                "digest": DRAFT.digest,
                "outcome": "declined",
                "agreed": "nobody",
                "approval": "",
                "act": None,
                "mandate": None,
                "destination": "",
                "charged": None,
                "correlation_id": None,
                "error": None,
                "previous": "",
                "details": {"declined_by": "a person, in a terminal"},
            }
        ]
        assert await journal.agreed(ANN, CALL, DRAFT.digest) is None
        assert "declined" in await refused(journal.begin(ANN, replace(DRAFT, approval=asked.id), ROOMY))
        clock.now += 599
        assert "declined" in await refused(journal.ask(ANN, CALL, DRAFT.digest, QUESTION), "approval_declined")
        clock.now += 1
        assert (await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)).id != asked.id


async def test_declining_is_final_also_after_the_question_would_have_ended(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        asked = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION, lifetime=60)
        await journal.decide(ANN, asked.id, agreed=False, how=Consent.TERMINAL, shown=SHOWN)
        clock.now += 500
        await refused(journal.ask(ANN, CALL, DRAFT.digest, QUESTION), "approval_declined")


@pytest.mark.parametrize("first", [True, False])
async def test_the_first_decision_counts(tmp_path: Path, first: bool) -> None:
    async with journal_in(tmp_path) as journal:
        asked = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)
        decided = await journal.decide(ANN, asked.id, agreed=first, how=Consent.PAGE, shown=SHOWN)
        assert await journal.decide(ANN, asked.id, agreed=first, how=Consent.TERMINAL, shown=SHOWN) == decided
        told = await refused(journal.decide(ANN, asked.id, agreed=not first, how=Consent.TERMINAL, shown=SHOWN))
        assert ("agreed to before" if first else "declined before") in told
        assert await journal.approval(ANN, asked.id) == decided
        assert len(await lines(journal)) == (0 if first else 1)


async def test_a_yes_to_a_text_that_has_changed_since_it_was_shown_does_not_count(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        asked = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)
        dearer = Question("Phone a number", CALL, (("Price", "9 credits"),))
        await journal.ask(ANN, CALL, DRAFT.digest, dearer)
        told = await refused(journal.decide(ANN, asked.id, agreed=True, how=Consent.PAGE, shown=SHOWN))
        assert "has changed" in told
        assert await journal.agreed(ANN, CALL, DRAFT.digest) is None
        assert await journal.approvals(ANN) == [replace(asked, question=dearer)]
        agreed = await journal.decide(ANN, asked.id, agreed=True, how=Consent.PAGE, shown=dearer.text())
        assert (agreed.decision, agreed.question) == (True, dearer)


async def test_a_no_is_one_to_the_act_whatever_its_text_is_by_now(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        asked = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)
        await journal.ask(ANN, CALL, DRAFT.digest, Question("Phone a number", CALL, ()))
        await journal.decide(ANN, asked.id, agreed=False, how=Consent.PAGE, shown=SHOWN)
        await refused(journal.ask(ANN, CALL, DRAFT.digest, QUESTION), "approval_declined")


async def test_a_question_that_is_over_cannot_be_decided(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        over = await journal.ask(ANN, CALL, "over", QUESTION)
        used = await agreed_to(journal, DRAFT)
        await begun(journal, replace(DRAFT, approval=used.id))
        assert "was used" in await refused(journal.decide(ANN, used.id, agreed=True, how=Consent.PAGE, shown=SHOWN))
        clock.now += 900
        assert "has ended" in await refused(journal.decide(ANN, over.id, agreed=True, how=Consent.PAGE, shown=SHOWN))
        assert await journal.approvals(ANN) == []


async def test_an_unknown_question_is_refused_as_that_of_another_account(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        asked = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)
        agreed = await agreed_to(journal, a_draft("two"))
        told = {
            await refused(journal.decide(BOB, asked.id, agreed=True, how=Consent.PAGE, shown=SHOWN)),
            await refused(journal.decide(ANN, "0" * 32, agreed=True, how=Consent.PAGE, shown=SHOWN)),
            await refused(journal.begin(BOB, a_draft("two", approval=agreed.id), ROOMY)),
            await refused(journal.begin(ANN, a_draft("two", approval="0" * 32), ROOMY)),
            await refused(journal.use(BOB, agreed.id, CALL, agreed.digest)),
        }
        assert told == {"The approval cannot be used. There is none of this identifier. Nothing was sent."}
        assert await journal.approval(BOB, asked.id) is None
        assert await journal.approvals(BOB) == []
        assert await journal.agreed(BOB, CALL, agreed.digest) is None
        assert await journal.approval(ANN, asked.id) == asked


@pytest.mark.parametrize("how", BY_NOBODY)
async def test_only_a_person_decides(tmp_path: Path, how: Consent) -> None:
    async with journal_in(tmp_path) as journal:
        asked = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)
        with pytest.raises(ValueError, match="no decision of a person"):
            await journal.decide(ANN, asked.id, agreed=True, how=how, shown=SHOWN)


async def test_an_act_is_refused_whose_approval_is_not_for_it(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        agreed = await agreed_to(journal, DRAFT)
        asked = await journal.ask(ANN, CALL, a_draft("asked").digest, QUESTION)
        cases = {
            "belongs to another act": [
                a_draft("two", approval=agreed.id),
                replace(DRAFT, tool="x", approval=agreed.id),
            ],
            "Nobody has agreed": [a_draft("asked", approval=asked.id)],
        }
        for why, drafts in cases.items():
            for draft in drafts:
                assert why in await refused(journal.begin(ANN, draft, ROOMY))
        clock.now += 900
        assert "has ended" in await refused(journal.begin(ANN, replace(DRAFT, approval=agreed.id), ROOMY))
        assert await journal.agreed(ANN, CALL, DRAFT.digest) is None
        assert await journal.acts(ANN) == []


async def test_an_approval_is_good_until_its_last_moment(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        agreed = await agreed_to(journal, DRAFT)
        clock.now += 899.5
        await begun(journal, replace(DRAFT, approval=agreed.id))


async def test_an_approval_is_used_once_also_by_name_of_the_act_before(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        agreed = await agreed_to(journal, DRAFT)
        harmless = replace(DRAFT, approval=agreed.id, is_harmless_twice=True)
        act = await begun(journal, harmless)
        await journal.settle(ANN, act.id, State.DONE)
        assert "was used" in await refused(journal.begin(ANN, harmless, ROOMY))
        assert "was used" in await refused(journal.begin(ANN, replace(harmless, repeat_of=act.id), ROOMY))


async def test_an_approval_is_not_used_up_by_an_act_that_does_not_fit(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        agreed = await agreed_to(journal, DRAFT)
        await refused(
            journal.begin(ANN, replace(DRAFT, approval=agreed.id), replace(ROOMY, max_acts_in_flight=0)),
            "limit_reached",
        )
        assert await journal.agreed(ANN, CALL, DRAFT.digest) == agreed


async def test_an_approval_can_be_used_without_an_act_once(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        agreed = await agreed_to(journal, DRAFT)
        assert "another act" in await refused(journal.use(ANN, agreed.id, CALL, "two"))
        clock.now += 5
        assert await journal.use(ANN, agreed.id, CALL, DRAFT.digest) == replace(agreed, used=NOW + 5)
        assert "was used" in await refused(journal.use(ANN, agreed.id, CALL, DRAFT.digest))


async def test_a_question_is_found_by_the_beginning_of_its_identifier(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        asked = await journal.ask(ANN, CALL, DRAFT.digest, QUESTION)
        for prefix in (asked.id[:8], asked.id[:8].upper(), asked.id):
            assert await journal.approval_by_prefix(ANN, prefix) == asked
        assert await journal.approval_by_prefix(BOB, asked.id[:8]) is None
        for none in ("", "_" * 8, "%", "nothing-here"):
            assert await journal.approval_by_prefix(ANN, none) is None
        assert (await journal.approval_by_prefix(ANN, asked.id + "x")) is None


async def test_of_several_questions_that_begin_alike_the_open_one_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = iter("a" * 32 + "a" * 31 + "b" + "a" * 31 + "c")

    def next_letter(alphabet: str) -> str:
        del alphabet
        return next(letters)

    monkeypatch.setattr("kallyai_mcp.journal.approvals.secrets.choice", next_letter)
    async with journal_in(tmp_path) as journal:
        first = await journal.ask(ANN, CALL, "1", QUESTION)
        second = await journal.ask(ANN, CALL, "2", QUESTION)
        assert await journal.approval_by_prefix(ANN, "aaaa") is None
        await journal.decide(ANN, first.id, agreed=True, how=Consent.PAGE, shown=SHOWN)
        assert await journal.approval_by_prefix(ANN, "aaaa") == second
        await journal.ask(ANN, CALL, "3", QUESTION)
        assert await journal.approval_by_prefix(ANN, "aaaa") is None
        assert await journal.approval_by_prefix(ANN, "a" * 32) is not None
