"""What is recorded of an act, how far it is, and what of that can change."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest
from anyio import from_thread
from journal_world import ANN, BOB, NOW, ROOMY, Clock, a_draft, begun, in_state, journal_in, lines

from kallyai_mcp.errors import ActRefused, InvalidSettings
from kallyai_mcp.journal import Journal
from kallyai_mcp.journal.acts import MOST_LISTED
from kallyai_mcp.model.acts import UNDER_WAY, Consent, State
from kallyai_mcp.model.records import Act

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

WHOLE = a_draft(
    arguments={"phone": "+14155550100", "task": "Büro \ud83d"},
    credits=4.25,
    places_call=True,
    recipients=("+14155550100",),
    masked="+1415***0100",
    consent=Consent.PAGE,
    repeat_of=None,
    is_harmless_twice=True,
    before={"status": "open"},
)
ENDS = sorted(set(State) - UNDER_WAY)


async def test_an_act_is_kept_as_it_was_recorded_at_every_step(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        act = await begun(journal, WHOLE)
        assert act == Act(id=act.id, draft=WHOLE, state=State.PREPARED, created=NOW)
        assert await journal.act(ANN, act.id) == act

        clock.now += 1
        sent = await journal.sending(ANN, act.id)
        assert sent == replace(act, state=State.SENT, sent=NOW + 1)
        assert await journal.act(ANN, act.id) == sent

        clock.now += 1
        done = await journal.settle(
            ANN, act.id, State.DONE, answer={"call_id": "c-1"}, charged=1.3, correlation_id="r-1", note="answered"
        )
        assert done == replace(
            sent,
            state=State.DONE,
            settled=NOW + 2,
            charged=1.3,
            answer={"call_id": "c-1"},
            correlation_id="r-1",
            note="answered",
        )
        assert await journal.act(ANN, act.id) == done


async def test_a_restart_keeps_acts_receipts_and_limits(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        done = await in_state(journal, replace(WHOLE, digest="d" * 64), State.DONE, charged=2.0)
        usage, receipts = await journal.usage(ANN), await journal.receipts(None)
    async with journal_in(tmp_path) as journal:
        assert await journal.acts(ANN) == [done]
        assert await journal.usage(ANN) == usage
        assert await journal.receipts(None) == receipts
        assert (await journal.verify()).broken is None


@pytest.mark.parametrize("after", ENDS)
@pytest.mark.parametrize("before", list(State))
async def test_an_act_goes_only_where_its_state_leads(tmp_path: Path, before: State, after: State) -> None:
    leads_to = {
        State.PREPARED: set(ENDS),
        State.SENT: set(ENDS),
        State.UNKNOWN: {State.DONE, State.FAILED, State.NOT_FOUND},
        State.NOT_FOUND: {State.DONE},
    }
    async with journal_in(tmp_path) as journal:
        act = await in_state(journal, a_draft(), before)
        count = len(await journal.receipts(None))
        settled = await journal.settle(ANN, act.id, after, note="told later")
        if after in leads_to.get(before, ()):
            assert settled == replace(act, state=after, settled=NOW, note="told later")
            assert len(await journal.receipts(None)) == count + 1
        else:
            assert settled == act
            assert len(await journal.receipts(None)) == count
        assert await journal.act(ANN, act.id) == settled


@pytest.mark.parametrize("state", sorted(UNDER_WAY))
async def test_nothing_is_settled_as_under_way(tmp_path: Path, state: State) -> None:
    async with journal_in(tmp_path) as journal:
        act = await begun(journal, a_draft())
        with pytest.raises(ValueError, match="no end of an act"):
            await journal.settle(ANN, act.id, state)


async def test_what_was_told_of_an_unknown_act_stays_but_its_error_goes(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        act = await in_state(
            journal, a_draft(), State.UNKNOWN, error="timeout", correlation_id="r-1", note="cut off", charged=1.0
        )
        assert (act.error, act.note) == ("timeout", "cut off")
        done = await journal.settle(ANN, act.id, State.DONE, answer={"call_id": "c-1"})
        assert done == replace(act, state=State.DONE, answer={"call_id": "c-1"}, error=None)


async def test_the_end_of_an_act_leaves_one_receipt(tmp_path: Path) -> None:
    draft = replace(WHOLE, mandate=None, consent=Consent.ELICITATION)
    async with journal_in(tmp_path) as journal:
        act = await begun(journal, draft)
        await journal.sending(ANN, act.id)
        assert await journal.receipts(None) == []
        for _ in range(2):
            await journal.settle(
                ANN, act.id, State.FAILED, charged=0.5, error="http_error", correlation_id="r-9", approval_mode="host"
            )
        assert await lines(journal) == [
            {
                "number": 1,
                "time": "2027-01-15T08:00:00.000Z",
                "account": ANN,
                "tool": draft.tool,
                "digest": draft.digest,
                "outcome": "failed",
                "agreed": "a person, asked by the host",
                "approval": "host",
                "act": act.id,
                "mandate": None,
                "destination": "+1415***0100",
                "charged": 0.5,
                "correlation_id": "r-9",
                "error": "http_error",
                "previous": "",
            }
        ]


async def test_half_a_character_in_a_text_of_the_service_does_no_harm(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        act = await begun(journal, a_draft(masked="é \ud83d"))
        assert await journal.act(ANN, act.id) == replace(act, draft=a_draft(masked="é ?"))
        done = await journal.settle(ANN, act.id, State.DONE, correlation_id="\udc00", note="ü \ud83d")
        assert (done.correlation_id, done.note) == ("?", "ü ?")
        assert (await journal.verify()).broken is None


async def test_a_receipt_names_the_approval_setting_in_force_at_the_begin(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        act = await begun(journal, a_draft(), replace(ROOMY, approval="off"))
        await journal.settle(ANN, act.id, State.NOT_SENT)
        assert [line["approval"] for line in await lines(journal)] == ["off"]


async def test_an_act_is_sent_once(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        act = await in_state(journal, a_draft(), State.SENT)
        with pytest.raises(ActRefused) as caught:
            await journal.sending(ANN, act.id)
        assert (caught.value.error_code, caught.value.details) == (
            "act_under_way",
            {"act": act.id, "outcome": "unknown"},
        )
        assert await journal.act(ANN, act.id) == act


@pytest.mark.parametrize("state", ENDS)
async def test_an_act_that_has_ended_is_not_sent(tmp_path: Path, state: State) -> None:
    async with journal_in(tmp_path) as journal:
        act = await in_state(journal, a_draft(), state)
        with pytest.raises(ActRefused) as caught:
            await journal.sending(ANN, act.id)
        assert caught.value.error_code == "journal_unusable"
        assert await journal.act(ANN, act.id) == act


async def test_an_act_of_another_account_is_none(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        act = await in_state(journal, a_draft(), State.SENT)
        assert await journal.act(BOB, act.id) is None
        assert await journal.acts(BOB) == []
        for attempt in (journal.sending(BOB, act.id), journal.settle(BOB, act.id, State.DONE)):
            with pytest.raises(ActRefused) as caught:
                await attempt
            assert caught.value.error_code == "journal_unusable"
        assert await journal.act(ANN, act.id) == act


async def test_acts_are_listed_by_state_and_time_the_newest_first(tmp_path: Path) -> None:
    clock = Clock()
    made: dict[State, Act] = {}
    async with journal_in(tmp_path, clock) as journal:
        for state in State:
            made[state] = await in_state(journal, a_draft(state), state)
            clock.now += 10
        newest_first = list(reversed(made.values()))
        assert await journal.acts(ANN) == newest_first
        assert await journal.acts(ANN, limit=2) == newest_first[:2]
        assert await journal.acts(ANN, limit=0) == []
        assert await journal.acts(ANN, limit=None) == newest_first
        assert await journal.acts(ANN, limit=10**30) == newest_first
        assert await journal.acts(ANN, since=NOW + 40) == newest_first[:3]
        wanted = {State.UNKNOWN, State.SENT}
        assert await journal.acts(ANN, states=wanted) == [made[State.UNKNOWN], made[State.SENT]]
        assert await journal.acts(ANN, states=wanted, limit=1) == [made[State.UNKNOWN]]
        assert await journal.acts(ANN, states=wanted, since=NOW + 50) == [made[State.UNKNOWN]]
        assert await journal.acts(ANN, states=()) == []
    assert MOST_LISTED >= 500


async def test_an_act_whose_run_is_cancelled_while_it_is_recorded_is_recorded_and_known(tmp_path: Path) -> None:
    """The caller must learn the act's identifier, or nobody could settle it."""
    scope = anyio.CancelScope()

    def clock() -> float:
        if threading.current_thread() is not threading.main_thread():
            from_thread.run_sync(scope.cancel)  # inside the transaction
        return NOW

    act: Act | None = None
    is_over = False
    async with Journal(tmp_path / "state", clock=clock) as journal:
        await begun(journal, a_draft("before"))
        scope = anyio.CancelScope()
        with scope:
            act = await begun(journal, a_draft())
            await anyio.lowlevel.checkpoint()
            is_over = True
        assert (is_over, act) == (False, await journal.act(ANN, "" if act is None else act.id))
        assert act is not None


@pytest.mark.parametrize("engine", ["file"], indirect=True)
async def test_nobody_waits_for_a_write_of_another_process_to_read(tmp_path: Path) -> None:
    async with journal_in(tmp_path, busy=0.3) as journal:
        await begun(journal, a_draft())
        other = sqlite3.connect(journal.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        looks = 0

        async def look() -> None:
            nonlocal looks
            while True:
                assert await journal.stopped(ANN) is None
                looks += 1

        most = 0
        async with anyio.create_task_group() as group:
            group.start_soon(look)
            for _ in range(20):  # the machine may stop all of this for as long as one write waits
                before = looks
                with pytest.raises(InvalidSettings) as caught:
                    await journal.stop(ANN, "a test")
                assert (caught.value.error_code, caught.value.retryable) == ("journal_unusable", True)
                most = max(most, looks - before)
                if most > 10:
                    break
            group.cancel_scope.cancel()
        other.execute("ROLLBACK")
        other.close()
        assert most > 10
        await journal.stop(ANN, "a test")
