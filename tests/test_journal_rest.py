"""The stop, mandates, strangers' words, and what is forgotten."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
    a_mandate,
    agreed_to,
    begun,
    in_state,
    journal_in,
    lines,
)

from kallyai_mcp.errors import ActRefused
from kallyai_mcp.journal.stops import refusal
from kallyai_mcp.model.acts import UNDER_WAY, Consent, State
from kallyai_mcp.model.records import Stopped, Taint

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

DAYS_3 = 3 * 86_400.0


def said(line: dict[str, Any]) -> dict[str, Any]:
    """What a receipt says that is not of the chain."""
    return {name: line[name] for name in line if name not in {"number", "time", "previous", "account"} and line[name]}


async def test_a_stop_holds_in_every_process_until_it_is_resumed(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as first, journal_in(tmp_path, clock) as second:
        assert await first.stopped(ANN) is None
        stopped = await first.stop(ANN, "the tool kallyai_stop")
        assert stopped == Stopped(NOW, "the tool kallyai_stop")
        clock.now += 60
        assert await second.stop(ANN, "a terminal") == stopped
        assert await second.stopped(ANN) == stopped
        assert await second.stopped(BOB) is None
        with pytest.raises(ActRefused) as caught:
            await second.begin(ANN, a_draft(), ROOMY)
        assert caught.value.as_dict() == {
            "code": "stopped",
            "message": "All acts are stopped (by the tool kallyai_stop). Nothing was sent.",
            "next_step": "Only a person can go on, in a terminal: kallyai-mcp resume. Reading works meanwhile.",
            "retryable": False,
            "outcome": "not_sent",
        }
        await begun(second, a_draft(), account=BOB)
    async with journal_in(tmp_path, clock) as journal:
        assert await journal.stopped(ANN) == stopped
        assert await journal.resume(ANN) is True
        assert await journal.resume(ANN) is False
        assert await journal.stopped(ANN) is None
        await begun(journal, a_draft())
        assert [said(line) for line in await lines(journal, ANN)] == [
            {"tool": "stop", "outcome": "stopped", "agreed": "nobody", "details": {"by": "the tool kallyai_stop"}},
            {"tool": "resume", "outcome": "resumed", "agreed": "nobody"},
        ]


def test_what_a_stop_has_cut_off_may_have_been_done() -> None:
    assert "it may have been done all the same" in refusal(Stopped(NOW, "a terminal"), outcome="unknown").message


async def test_a_stop_comes_before_everything_else(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await in_state(journal, a_draft(), State.DONE)
        await journal.stop(ANN, "a test")
        with pytest.raises(ActRefused) as caught:
            await journal.begin(ANN, a_draft(repeat_of="x", approval="x"), replace(ROOMY, max_acts_in_flight=0))
        assert caught.value.error_code == "stopped"


async def test_an_act_stopped_before_it_was_sent_is_not_sent(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as first, journal_in(tmp_path) as second:
        act = await begun(first, a_draft(credits=2.0))
        await second.stop(ANN, "a terminal")
        with pytest.raises(ActRefused) as caught:
            await first.sending(ANN, act.id)
        assert (caught.value.error_code, caught.value.details) == ("stopped", {"outcome": "not_sent", "act": act.id})
        settled = replace(act, state=State.NOT_SENT, settled=NOW, error="stopped", note="stopped by a terminal")
        assert await first.acts(ANN) == [settled]
        assert (await first.usage(ANN)).credits_hour == 0.0
        assert [(line["outcome"], line["error"]) for line in await lines(first)] == [
            ("stopped", None),
            ("not_sent", "stopped"),
        ]


async def test_an_act_that_was_sent_is_settled_also_after_a_stop(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        act = await in_state(journal, a_draft(), State.SENT)
        await journal.stop(ANN, "a test")
        assert (await journal.settle(ANN, act.id, State.DONE)).state is State.DONE


async def test_mandates_are_kept_until_they_end_or_are_taken_back(tmp_path: Path) -> None:
    clock = Clock()
    short, long = a_mandate(id="m-short", until=NOW + 60), a_mandate(id="m-long", created=NOW + 1, credits=2.5)
    async with journal_in(tmp_path, clock) as journal:
        await journal.add_mandate(ANN, short)
        await journal.add_mandate(ANN, long)
    async with journal_in(tmp_path, clock) as journal:
        assert await journal.mandates(ANN) == [long, short]
        assert await journal.mandates(BOB) == []
        assert await journal.mandates(ANN, active_at=NOW + 60) == [long]
        assert await journal.open_mandates(ANN) == [long, short]
        clock.now += 60
        assert await journal.open_mandates(ANN) == [long]
        taken_back = replace(long, revoked=NOW + 60)
        assert await journal.revoke(BOB, long.id) is None
        assert await journal.revoke(ANN, "m-other") is None
        assert await journal.revoke(ANN, long.id) == taken_back
        clock.now += 60
        assert await journal.revoke(ANN, long.id) == taken_back
        assert await journal.open_mandates(ANN) == []
        assert await journal.mandates(ANN) == [taken_back, short]


async def test_a_mandate_leaves_receipts_without_its_words_and_numbers(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.add_mandate(ANN, a_mandate())
        await journal.revoke(ANN, "m-1")
        await journal.revoke(ANN, "m-1")
        assert [said(line) for line in await lines(journal)] == [
            {
                "tool": "mandate",
                "outcome": "mandate",
                "agreed": "a person, in a terminal",
                "mandate": "m-1",
                "details": {"tools": [CALL], "acts": 3, "credits": 10.0, "until": NOW + 3600, "is_trusted": True},
            },
            {"tool": "mandate", "outcome": "revoked", "agreed": "nobody", "mandate": "m-1"},
        ]


async def test_a_mandate_is_never_replaced(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.add_mandate(ANN, a_mandate())
        with pytest.raises(ValueError, match="there is a mandate m-1 already"):
            await journal.add_mandate(ANN, a_mandate(acts=99))
        await journal.add_mandate(BOB, a_mandate(acts=99))
        assert await journal.mandates(ANN) == [a_mandate()]


async def test_strangers_words_are_remembered_for_as_long_as_the_later_end(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as first, journal_in(tmp_path, clock) as second:
        assert await first.tainted(ANN) is None
        await first.taint(ANN, "calls transcript", NOW + 1800)
        assert await second.tainted(ANN) == Taint("calls transcript", NOW + 1800)
        await second.taint(ANN, "search run", NOW + 600)
        assert await first.tainted(ANN) == Taint("search run", NOW + 1800)
        await first.taint(ANN, "email show", NOW + 1900)
        assert await first.tainted(BOB) is None
        clock.now = NOW + 1899.5
        assert await first.tainted(ANN) == Taint("email show", NOW + 1900)
        clock.now = NOW + 1900
        assert await first.tainted(ANN) is None
        await first.taint(ANN, "email show", NOW + 2000)
        assert await first.tainted(ANN) == Taint("email show", NOW + 2000)


async def test_what_is_not_trusted_is_remembered_until_it_is(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.distrust(ANN, "contact", iter(["+1", "a@example.org"]))
        await journal.distrust(ANN, "contact", ["+1"])
        await journal.distrust(ANN, "rule", ["+1"])
        await journal.distrust(BOB, "contact", ["+2"])
    async with journal_in(tmp_path) as journal:
        assert await journal.distrusted(ANN) == {("contact", "+1"), ("contact", "a@example.org"), ("rule", "+1")}
        await journal.trust(ANN, "contact", ["+1", "+9"])
        assert await journal.distrusted(ANN) == {("contact", "a@example.org"), ("rule", "+1")}
        assert await journal.distrusted(BOB) == {("contact", "+2")}


@pytest.mark.parametrize("state", sorted(set(State) - UNDER_WAY))
async def test_words_are_forgotten_three_days_after_the_end_of_an_act(
    tmp_path: Path, engine: str, state: State
) -> None:
    clock = Clock()
    draft = a_draft(
        arguments={"task": "a-secret-task"}, recipients=("+1-secret",), before={"was": "secret"}, credits=1.0
    )
    async with journal_in(tmp_path, clock) as journal:
        act = await in_state(journal, draft, state, answer={"text": "a-secret-answer"}, note="noted")
        receipts = await journal.receipts(None)
        clock.now += DAYS_3 - 1
        await journal.forget()
        assert await journal.act(ANN, act.id) == act
        clock.now += 1
        await journal.forget()
        bare = replace(draft, arguments={}, recipients=(), before=None)
        assert await journal.act(ANN, act.id) == replace(act, draft=bare, answer=None)
        assert await journal.receipts(None) == receipts
    if engine == "postgresql":
        return  # which overwrites what was deleted when it cleans up
    with closing(sqlite3.connect(tmp_path / "state" / "acts.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"secret" not in (tmp_path / "state" / "acts.db").read_bytes()


async def test_an_act_under_way_is_not_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        acts = [await in_state(journal, a_draft(state), state) for state in sorted(UNDER_WAY)]
        clock.now += 10 * DAYS_3
        await journal.forget()
        assert await journal.acts(ANN) == acts[::-1]


async def test_an_answer_found_late_is_kept_as_long(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        act = await in_state(journal, a_draft(), State.NOT_FOUND)
        clock.now += DAYS_3
        await journal.forget()
        found = await journal.settle(ANN, act.id, State.DONE, answer={"id": "1"})
        await journal.forget()
        assert (found.answer, await journal.act(ANN, act.id)) == ({"id": "1"}, found)
        clock.now += DAYS_3
        await journal.forget()
        assert await journal.act(ANN, act.id) == replace(found, answer=None)


async def test_whom_it_contacted_is_known_also_when_an_act_is_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    none = replace(ROOMY, max_new_recipients_per_day=0)
    async with journal_in(tmp_path, clock) as journal:
        await in_state(journal, a_draft(recipients=("+1",)), State.DONE)
        clock.now += DAYS_3
        await journal.forget()
        await begun(journal, a_draft("two", recipients=("+1",)), none)


async def test_questions_are_forgotten_three_days_after_their_end(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        asked = await journal.ask(ANN, CALL, "asked", QUESTION)
        used = await agreed_to(journal, a_draft())
        await begun(journal, a_draft(approval=used.id))
        declined = await journal.ask(ANN, CALL, "declined", QUESTION)
        await journal.decide(ANN, declined.id, agreed=False, how=Consent.PAGE, shown=SHOWN)
        ids = [approval.id for approval in (asked, used, declined)]
        clock.now += 900 + DAYS_3 - 1
        await journal.forget()
        assert [await journal.approval(ANN, name) is None for name in ids] == [False] * 3
        clock.now += 1
        await journal.forget()
        assert [await journal.approval(ANN, name) is None for name in ids] == [True] * 3


async def test_a_begin_forgets_once_an_hour(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        old = await in_state(journal, a_draft("old"), State.DONE)
        clock.now += DAYS_3 - 1800
        await begun(journal, a_draft("1"))
        clock.now += 1800
        await begun(journal, a_draft("new"))
        assert await journal.act(ANN, old.id) == old
        clock.now += 1800
        await begun(journal, a_draft("2"))
        assert await journal.act(ANN, old.id) == replace(old, draft=replace(old.draft, arguments={}))


async def test_a_clock_that_is_set_back_does_not_put_the_forgetting_off(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        clock.now = NOW + 100 * DAYS_3
        await begun(journal, a_draft("1"))
        clock.now = NOW
        old = await in_state(journal, a_draft("old"), State.DONE)
        clock.now = NOW + DAYS_3
        await begun(journal, a_draft("2"))
        assert await journal.act(ANN, old.id) == replace(old, draft=replace(old.draft, arguments={}))
