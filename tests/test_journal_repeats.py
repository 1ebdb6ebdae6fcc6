"""The same act once more: under way, just done, unknown, wanted again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from journal_world import ANN, BOB, NOW, ROOMY, Clock, a_draft, agreed_to, begun, in_state, journal_in, lines

from kallyai_mcp.errors import ActRefused, InvalidArguments
from kallyai_mcp.journal.beginning import REPEAT_WINDOW, UNKNOWN_WINDOW
from kallyai_mcp.model.acts import UNDER_WAY, State
from kallyai_mcp.model.records import Earlier

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

STANDS_FOR = {State.DONE: 600.0, State.UNKNOWN: 86_400.0, State.NOT_FOUND: 86_400.0}


def test_the_windows_are_the_documented_ones() -> None:
    assert (REPEAT_WINDOW, UNKNOWN_WINDOW) == (600.0, 86_400.0)


@pytest.mark.parametrize("state", sorted(UNDER_WAY))
@pytest.mark.parametrize("harmless", [False, True])
async def test_an_act_under_way_is_not_begun_a_second_time(tmp_path: Path, state: State, harmless: bool) -> None:
    async with journal_in(tmp_path) as journal:
        act = await in_state(journal, a_draft(), state)
        with pytest.raises(ActRefused) as caught:
            await journal.begin(ANN, a_draft(is_harmless_twice=harmless), ROOMY)
        refusal = caught.value
        assert (refusal.error_code, refusal.retryable) == ("act_under_way", True)
        assert refusal.details == {"act": act.id, "outcome": "not_sent"}
        with pytest.raises(ActRefused):
            await journal.begin(ANN, a_draft(repeat_of=act.id), ROOMY)
        with pytest.raises(ActRefused) as caught:
            await journal.earlier(ANN, act.draft.digest, harmless=False)
        assert caught.value.error_code == "act_under_way"
        assert await journal.earlier(ANN, act.draft.digest, harmless=True) is None
        assert await journal.acts(ANN) == [act]


@pytest.mark.parametrize("state", sorted(STANDS_FOR))
async def test_an_equal_act_is_answered_with_the_earlier_one_until_its_window_is_over(
    tmp_path: Path, state: State
) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        act = await in_state(journal, a_draft(), state)
        clock.now = NOW + STANDS_FOR[state] - 0.5
        assert await journal.begin(ANN, a_draft(), ROOMY) == Earlier(act)
        assert await journal.earlier(ANN, act.draft.digest, harmless=False) == act
        assert await journal.acts(ANN) == [act]
        clock.now = NOW + STANDS_FOR[state]
        assert await journal.earlier(ANN, act.draft.digest, harmless=False) is None
        again = await begun(journal, a_draft())
        assert await journal.acts(ANN) == [again, act]


async def test_the_window_begins_with_the_end_of_the_act(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        act = await in_state(journal, a_draft(), State.SENT)
        clock.now += 1000
        act = await journal.settle(ANN, act.id, State.DONE)
        clock.now += 599
        assert await journal.begin(ANN, a_draft(), ROOMY) == Earlier(act)


@pytest.mark.parametrize("state", [State.FAILED, State.NOT_SENT])
async def test_what_did_not_happen_does_not_stand_in_the_way(tmp_path: Path, state: State) -> None:
    async with journal_in(tmp_path) as journal:
        await in_state(journal, a_draft(), state)
        await begun(journal, a_draft())


@pytest.mark.parametrize("other", [a_draft("two"), None])
async def test_another_act_or_account_is_not_the_same(tmp_path: Path, other: object) -> None:
    async with journal_in(tmp_path) as journal:
        await in_state(journal, a_draft(), State.UNKNOWN)
        if other is None:
            await begun(journal, a_draft(), account=BOB)
        else:
            await begun(journal, a_draft("two"))


@pytest.mark.parametrize("state", sorted(STANDS_FOR))
async def test_what_is_harmless_twice_is_begun_again(tmp_path: Path, state: State) -> None:
    async with journal_in(tmp_path) as journal:
        act = await in_state(journal, a_draft(), state)
        assert await journal.earlier(ANN, act.draft.digest, harmless=True) is None
        await begun(journal, a_draft(is_harmless_twice=True))


@pytest.mark.parametrize("state", sorted(STANDS_FOR))
async def test_an_act_that_names_the_earlier_one_is_begun(tmp_path: Path, state: State) -> None:
    async with journal_in(tmp_path) as journal:
        act = await in_state(journal, a_draft(), state)
        assert await journal.earlier(ANN, act.draft.digest, act.id, harmless=False) is None
        again = await begun(journal, a_draft(repeat_of=act.id))
        assert again.draft == a_draft(repeat_of=act.id)


async def test_only_the_newest_equal_act_allows_one_more(tmp_path: Path) -> None:
    """One permission to repeat is good for one repetition."""
    async with journal_in(tmp_path) as journal:
        first = await in_state(journal, a_draft(), State.DONE)
        second = await in_state(journal, a_draft(repeat_of=first.id), State.DONE)
        assert await journal.begin(ANN, a_draft(repeat_of=first.id), ROOMY) == Earlier(second)
        assert await journal.earlier(ANN, first.draft.digest, first.id, harmless=False) == second
        await begun(journal, a_draft(repeat_of=second.id))


async def test_a_failed_act_does_not_hide_an_unknown_one_before_it(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        unknown = await in_state(journal, a_draft(), State.UNKNOWN)
        failed = await in_state(journal, a_draft(repeat_of=unknown.id), State.FAILED)
        assert await journal.begin(ANN, a_draft(), ROOMY) == Earlier(unknown)
        assert await journal.begin(ANN, a_draft(repeat_of=failed.id), ROOMY) == Earlier(unknown)


@pytest.mark.parametrize("whose", ["nobody's", "of another act", "of another account"])
async def test_an_act_that_names_no_equal_one_is_refused(tmp_path: Path, whose: str) -> None:
    async with journal_in(tmp_path) as journal:
        named = "00000000-0000-4000-8000-000000000000"
        if whose == "of another act":
            named = (await in_state(journal, a_draft("two"), State.DONE)).id
        elif whose == "of another account":
            named = (await in_state(journal, a_draft(), State.DONE, account=BOB)).id
        with pytest.raises(InvalidArguments) as caught:
            await journal.begin(ANN, a_draft(repeat_of=named), ROOMY)
        assert [problem.argument for problem in caught.value.problems] == ["repeat_of"]


async def test_an_act_left_behind_unsent_is_settled_and_does_not_stand_in_the_way(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as dead:
        act = await in_state(dead, a_draft(), State.PREPARED)
    async with journal_in(tmp_path) as journal:
        again = await begun(journal, a_draft())
        settled = replace(
            act,
            state=State.NOT_SENT,
            settled=NOW,
            note="the process that had prepared it ended before anything was sent",
        )
        assert await journal.acts(ANN) == [again, settled]


async def test_an_act_left_behind_sent_is_unknown_and_stands_in_the_way(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as dead:
        act = await in_state(dead, a_draft(), State.SENT)
    clock.now += 10 * 86_400
    async with journal_in(tmp_path, clock) as journal:
        unknown = replace(
            act,
            state=State.UNKNOWN,
            settled=clock.now,
            note="the process that had sent it ended before the answer came",
        )
        assert await journal.begin(ANN, a_draft(), ROOMY) == Earlier(unknown)
        assert await journal.act(ANN, act.id) == unknown
        assert [(line["act"], line["outcome"]) for line in await lines(journal)] == [(act.id, "unknown")]
        await begun(journal, a_draft(repeat_of=act.id))


async def test_an_act_of_another_living_journal_of_this_process_is_under_way(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as first, journal_in(tmp_path) as second:
        await in_state(first, a_draft(), State.PREPARED)
        with pytest.raises(ActRefused) as caught:
            await second.begin(ANN, a_draft(), ROOMY)
        assert caught.value.error_code == "act_under_way"
        assert await second.recover(ANN, "ask") == []


async def test_a_refused_or_answered_act_does_not_use_up_its_approval(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await in_state(journal, a_draft(), State.DONE)
        approval = await agreed_to(journal, a_draft())
        assert isinstance(await journal.begin(ANN, a_draft(approval=approval.id), ROOMY), Earlier)
        assert await journal.approval(ANN, approval.id) == approval
