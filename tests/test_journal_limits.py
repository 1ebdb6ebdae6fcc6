"""What counts towards limits, when it stops to, and what an act is told that does not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from journal_world import ANN, BOB, NOW, ROOMY, Clock, a_draft, a_mandate, begun, in_state, journal_in

from kallyai_mcp.errors import ActRefused
from kallyai_mcp.model.acts import COUNTED, UNDER_WAY, State
from kallyai_mcp.model.records import Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

HOUR, DAY = 3600.0, 86_400.0


async def refused(attempt: Awaitable[object]) -> ActRefused:
    with pytest.raises(ActRefused) as caught:
        await attempt
    assert caught.value.error_code == "limit_reached"
    return caught.value


def limit_of(refusal: ActRefused) -> tuple[Any, ...]:
    facts = dict(refusal.details)
    assert facts.pop("outcome") == "not_sent"
    return tuple(facts.get(name) for name in ("limit", "allowed", "used", "asked", "frees_at"))


@pytest.mark.parametrize("state", list(State))
async def test_what_has_happened_or_may_have_counts_and_the_rest_is_given_back(tmp_path: Path, state: State) -> None:
    draft = a_draft(credits=2.0, places_call=True, recipients=("+1", "a@example.org"))
    async with journal_in(tmp_path) as journal:
        await in_state(journal, draft, state)
        used = Usage(2.0, 2.0, 1, 2, int(state in UNDER_WAY)) if state in COUNTED else Usage()
        assert await journal.usage(ANN) == used
        assert await journal.usage(BOB) == Usage()


async def test_what_was_charged_counts_instead_of_what_was_set_aside(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await in_state(journal, a_draft("dear", credits=2.0), State.DONE, charged=3.5)
        await in_state(journal, a_draft("cheap", credits=2.0), State.DONE, charged=0.0)
        await in_state(journal, a_draft("unsaid", credits=2.0), State.DONE)
        assert await journal.usage(ANN) == Usage(5.5, 5.5)


@pytest.mark.parametrize("charged", [float("nan"), float("inf"), -1e9, -0.01])
async def test_a_charge_that_cannot_be_true_leaves_what_was_set_aside(tmp_path: Path, charged: float) -> None:
    async with journal_in(tmp_path) as journal:
        act = await in_state(journal, a_draft(credits=2.0), State.DONE, charged=charged)
        assert act.charged is None
        assert await journal.usage(ANN) == Usage(2.0, 2.0)


async def test_an_absurd_charge_is_more_than_any_limit(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await in_state(journal, a_draft("one", credits=2.0), State.DONE, charged=1e300)
        assert (await journal.usage(ANN)).credits_day == 1e11
        most = replace(ROOMY, max_credits_per_hour=999_999_999)
        refusal = await refused(journal.begin(ANN, a_draft("two", credits=2.0), most))
        told = "At most 999999999 credits in an hour (--max-credits-per-hour). 100000000000 in use, 2 more asked for."
        assert refusal.message.startswith(told)


async def test_sums_of_credits_are_exact(tmp_path: Path) -> None:
    """Ten times 0.1 is 1, which floating point denies."""
    safety = replace(ROOMY, max_credits_per_hour=1.0)
    async with journal_in(tmp_path) as journal:
        for number in range(10):
            await begun(journal, a_draft(str(number), credits=0.1), safety)
        refusal = await refused(journal.begin(ANN, a_draft("more", credits=0.0001), safety))
        assert limit_of(refusal) == ("max_credits_per_hour", 1.0, 1.0, 0.0001, NOW + HOUR)


@pytest.mark.parametrize("asked", [50.0001, float("inf"), float("nan")])
async def test_one_act_may_cost_so_much_and_no_more(tmp_path: Path, asked: float) -> None:
    safety = replace(ROOMY, max_credits_per_act=50.0)
    async with journal_in(tmp_path) as journal:
        await begun(journal, a_draft("fits", credits=50.0), safety)
        refusal = await refused(journal.begin(ANN, a_draft(credits=asked), safety))
        assert refusal.details["limit"] == "max_credits_per_act"
        assert refusal.retryable is False
        assert len(await journal.acts(ANN)) == 1


async def test_credits_of_an_hour_come_back_one_act_after_the_other(tmp_path: Path) -> None:
    clock = Clock()
    safety = replace(ROOMY, max_credits_per_hour=10.0)
    async with journal_in(tmp_path, clock) as journal:
        await in_state(journal, a_draft("first", credits=3.0), State.DONE)
        clock.now += 600.25
        await in_state(journal, a_draft("second", credits=6.0), State.DONE)
        clock.now += 600
        little = await refused(journal.begin(ANN, a_draft("little", credits=2.0), safety))
        much = await refused(journal.begin(ANN, a_draft("much", credits=5.0), safety))
        assert limit_of(little) == ("max_credits_per_hour", 10.0, 9.0, 2.0, NOW + HOUR)
        assert limit_of(much) == ("max_credits_per_hour", 10.0, 9.0, 5.0, NOW + 600.25 + HOUR)
        assert little.as_dict() == {
            "code": "limit_reached",
            "message": "At most 10 credits in an hour (--max-credits-per-hour). 9 in use, 2 more asked for. "
            "There is room from 2027-01-15 09:00:00 UTC on. Nothing was sent.",
            "next_step": "Wait until then, or have the user raise --max-credits-per-hour "
            "(KALLYAI_MAX_CREDITS_PER_HOUR) and start anew; no tool can raise it.",
            "retryable": True,
            "limit": "max_credits_per_hour",
            "allowed": 10.0,
            "used": 9.0,
            "asked": 2.0,
            "frees_at": NOW + HOUR,
            "outcome": "not_sent",
        }
        assert "from 2027-01-15 09:10:01 UTC on" in much.message
        never = await refused(journal.begin(ANN, a_draft("never", credits=10.5), safety))
        assert limit_of(never) == ("max_credits_per_hour", 10.0, 9.0, 10.5, None)
        assert never.retryable is False

        await begun(journal, a_draft("fits", credits=1.0), safety)
        clock.now = NOW + HOUR - 0.5
        await refused(journal.begin(ANN, a_draft("little", credits=2.0), safety))
        clock.now = NOW + HOUR
        await begun(journal, a_draft("little", credits=2.0), safety)


async def test_what_is_only_set_aside_may_come_back_before_its_time(tmp_path: Path) -> None:
    limits = replace(ROOMY, max_credits_per_hour=10)
    async with journal_in(tmp_path) as journal:
        await in_state(journal, a_draft("done", credits=4.0), State.DONE, charged=3.0)
        flying = await begun(journal, a_draft("flying", credits=4.0), limits)
        refusal = await refused(journal.begin(ANN, a_draft("next", credits=4.0), limits))
        assert limit_of(refusal)[1:4] == (10, 7, 4)
        assert refusal.details["set_aside"] == 4
        assert "Of what is in use, 4 are only set aside for acts under way." in refusal.message
        assert refusal.next_step.startswith("Try again once those under way have ended")
        dear = await refused(journal.begin(ANN, a_draft("dear", credits=9.0), limits))
        assert "set_aside" not in dear.details
        await journal.settle(ANN, flying.id, State.DONE, charged=1.0)
        await begun(journal, a_draft("next", credits=4.0), limits)


async def test_credits_of_a_day_come_back_after_a_day(tmp_path: Path) -> None:
    clock = Clock()
    safety = replace(ROOMY, max_credits_per_day=10.0)
    async with journal_in(tmp_path, clock) as journal:
        await in_state(journal, a_draft("first", credits=10.0), State.DONE)
        clock.now += DAY - 1
        refusal = await refused(journal.begin(ANN, a_draft(credits=1.0), safety))
        assert limit_of(refusal) == ("max_credits_per_day", 10.0, 10.0, 1.0, NOW + DAY)
        assert await journal.usage(ANN) == Usage(0.0, 10.0)
        await begun(journal, a_draft("free"), safety)
        clock.now += 1
        assert await journal.usage(ANN) == Usage(in_flight=1)
        await begun(journal, a_draft(credits=1.0), safety)


async def test_a_limit_that_was_lowered_is_against_those_only_who_ask_for_more_of_it(tmp_path: Path) -> None:
    low = replace(ROOMY, max_credits_per_hour=1.0, max_calls_per_hour=0, max_new_recipients_per_day=0)
    async with journal_in(tmp_path) as journal:
        await in_state(journal, a_draft("1", credits=5.0, places_call=True, recipients=("a",)), State.DONE)
        await begun(journal, a_draft("2", recipients=("a",)), low)


async def test_phone_calls_of_an_hour_are_counted(tmp_path: Path) -> None:
    clock = Clock()
    safety = replace(ROOMY, max_calls_per_hour=2)
    async with journal_in(tmp_path, clock) as journal:
        for name in ("first", "second"):
            await in_state(journal, a_draft(name, places_call=True), State.DONE)
            clock.now += 60
        refusal = await refused(journal.begin(ANN, a_draft(places_call=True), safety))
        assert limit_of(refusal) == ("max_calls_per_hour", 2, 2, 1, NOW + HOUR)
        await begun(journal, a_draft("a mail"), safety)
        clock.now = NOW + HOUR
        await begun(journal, a_draft(places_call=True), safety)


async def test_people_contacted_for_the_first_time_are_counted(tmp_path: Path) -> None:
    clock = Clock()
    safety = replace(ROOMY, max_new_recipients_per_day=3)
    async with journal_in(tmp_path, clock) as journal:
        await in_state(journal, a_draft("old", recipients=("old",)), State.DONE)
        clock.now += DAY
        assert await journal.usage(ANN) == Usage()
        await in_state(journal, a_draft("1", recipients=("old", "a", "a")), State.DONE)
        clock.now += 60
        await in_state(journal, a_draft("2", recipients=("a", "b")), State.DONE)
        assert await journal.usage(ANN) == Usage(new_recipients_day=2)
        refusal = await refused(journal.begin(ANN, a_draft("3", recipients=("c", "d", "a")), safety))
        assert limit_of(refusal) == ("max_new_recipients_per_day", 3, 2, 2, NOW + DAY + DAY)
        await begun(journal, a_draft("3", recipients=("c", "b", "c")), safety)
        await refused(journal.begin(ANN, a_draft("4", recipients=("d",)), safety))
        await begun(journal, a_draft("5", recipients=("old", "a", "b", "c")), safety)
        await begun(journal, a_draft("6", recipients=("d",)), safety, account=BOB)
        clock.now = NOW + DAY + DAY
        await begun(journal, a_draft("4", recipients=("d",)), safety)


@pytest.mark.parametrize("state", sorted(set(State) - COUNTED))
async def test_an_act_that_did_not_happen_gives_its_people_back(tmp_path: Path, state: State) -> None:
    safety = replace(ROOMY, max_new_recipients_per_day=1)
    async with journal_in(tmp_path) as journal:
        await in_state(journal, a_draft("1", recipients=("a",)), state)
        await begun(journal, a_draft("2", recipients=("b",)), safety)
        await refused(journal.begin(ANN, a_draft("3", recipients=("a",)), safety))


async def test_acts_in_flight_are_those_of_living_processes(tmp_path: Path) -> None:
    safety = replace(ROOMY, max_acts_in_flight=2)
    async with journal_in(tmp_path) as first, journal_in(tmp_path) as second:
        act = await begun(first, a_draft("1"), safety)
        await begun(second, a_draft("2"), safety)
        refusal = await refused(first.begin(ANN, a_draft("3"), safety))
        assert limit_of(refusal) == ("max_acts_in_flight", 2, 2, 1, None)
        assert refusal.retryable is True
        assert "Wait until one of them has ended" in refusal.next_step
        await begun(first, a_draft("3"), safety, account=BOB)
        await second.aclose()
        await begun(first, a_draft("3"), safety)
        await refused(first.begin(ANN, a_draft("4"), safety))
        await first.settle(ANN, act.id, State.DONE)
        await begun(first, a_draft("4"), safety)
        assert (await first.usage(ANN)).in_flight == 2


async def test_a_limit_of_nothing_allows_nothing_of_it(tmp_path: Path) -> None:
    none = replace(ROOMY, max_credits_per_hour=0, max_calls_per_hour=0, max_new_recipients_per_day=0)
    async with journal_in(tmp_path) as journal:
        for draft in (a_draft(credits=0.1), a_draft(places_call=True), a_draft(recipients=("a",))):
            assert (await refused(journal.begin(ANN, draft, none))).retryable is False
        await begun(journal, a_draft(), none)
        await refused(journal.begin(ANN, a_draft("2"), replace(ROOMY, max_acts_in_flight=0)))


async def test_a_refused_act_leaves_nothing_behind(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await refused(journal.begin(ANN, a_draft(recipients=("a",)), replace(ROOMY, max_acts_in_flight=0)))
        assert await journal.acts(ANN) == []
        assert await journal.receipts(None) == []
        assert await journal.usage(ANN) == Usage()


async def test_whether_an_act_would_fit_is_told_without_recording_it(tmp_path: Path) -> None:
    safety = replace(ROOMY, max_credits_per_hour=2.0, max_calls_per_hour=1, max_new_recipients_per_day=1)
    async with journal_in(tmp_path) as journal:
        await journal.would_fit(ANN, 2.0, safety, places_call=True, recipients=["a"])
        assert await journal.acts(ANN) == []
        for too_much in (
            journal.would_fit(ANN, 2.1, safety),
            journal.would_fit(ANN, 1.0, replace(safety, max_calls_per_hour=0), places_call=True),
            journal.would_fit(ANN, 1.0, safety, recipients=["a", "b"]),
            journal.would_fit(ANN, 1.0, safety, mandate="m-1"),
        ):
            await refused(too_much)


async def test_a_mandate_bounds_its_acts_and_their_credits(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        mandate = a_mandate(acts=3, credits=10.0)
        await journal.add_mandate(ANN, mandate)
        first = await begun(journal, a_draft("1", credits=6.0), mandate=mandate)
        assert first.draft == a_draft("1", credits=6.0, mandate="m-1")
        refusal = await refused(journal.begin(ANN, a_draft("2", credits=5.0, mandate="m-1"), ROOMY))
        assert limit_of(refusal) == ("mandate_credits", 10.0, 6.0, 5.0, None)
        assert refusal.message == ("At most 10 credits of its mandate. 6 in use, 5 more asked for. Nothing was sent.")
        await journal.settle(ANN, first.id, State.DONE, charged=1.0)
        await begun(journal, a_draft("2", credits=5.0, mandate="m-1"))
        await in_state(journal, a_draft("3", credits=4.0, mandate="m-1"), State.FAILED)
        await begun(journal, a_draft("4", mandate="m-1"))
        assert await journal.mandate_usage(ANN, "m-1") == (3, 6.0)
        assert limit_of(await refused(journal.begin(ANN, a_draft("5", mandate="m-1"), ROOMY))) == (
            "mandate_acts",
            3,
            3,
            1,
            None,
        )
        await begun(journal, a_draft("5", credits=6.0))
        assert await journal.mandate_usage(ANN, "m-1") == (3, 6.0)
        assert await journal.mandate_usage(BOB, "m-1") == (0, 0.0)


@pytest.mark.parametrize("why", ["there is none", "it was taken back", "it has ended", "of another account"])
async def test_no_act_falls_under_a_mandate_that_is_not_in_force(tmp_path: Path, why: str) -> None:
    clock = Clock()
    mandate = a_mandate()
    async with journal_in(tmp_path, clock) as journal:
        if why != "there is none":
            await journal.add_mandate(BOB if why == "of another account" else ANN, mandate)
        if why == "it was taken back":
            await journal.revoke(ANN, mandate.id)
        if why == "it has ended":
            clock.now = mandate.until
        refusal = await refused(journal.begin(ANN, a_draft(), ROOMY, mandate=mandate))
        assert ("there is none" if why == "of another account" else why) in refusal.message
        assert refusal.details == {"limit": "mandate", "mandate": "m-1", "outcome": "not_sent"}
        assert await journal.acts(ANN) == []
