"""What goes wrong beside an act: its journal fails for a moment, its answer is lost, somebody else signs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from histories import INTENTS, Life, Mortal

from kallyai_mcp.catalog import find
from kallyai_mcp.commands.acts import ProposeMandate
from kallyai_mcp.engine.outcome import charge_of
from kallyai_mcp.errors import ActRefused, ApprovalRequired, InvalidSettings, KallyError, TransportError
from kallyai_mcp.journal.database import Database
from kallyai_mcp.model import Consent, State
from kallyai_mcp.safety import ALL_DAY, Safety
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from histories import Process

    from kallyai_mcp.engine import Result
    from kallyai_mcp.model.records import Act

pytestmark = pytest.mark.anyio

FRIEND = "+12025550188"


def broken() -> InvalidSettings:
    return InvalidSettings("The journal is held.", code="journal_unusable", next_step="Try again.", retryable=True)


class Frail(Mortal):
    """A journal of which some methods fail, so many times each."""

    failing: dict[str, int]

    def _fail(self, name: str) -> None:
        left = getattr(self, "failing", {})
        if left.get(name, 0) > 0:
            left[name] -= 1
            raise broken()

    async def settle(self, *given: Any, **named: Any) -> Any:
        self._fail("settle")
        return await super().settle(*given, **named)

    async def stopped(self, account: str) -> Any:
        self._fail("stopped")
        return await super().stopped(account)

    async def taint(self, *given: Any, **named: Any) -> None:
        self._fail("taint")
        await super().taint(*given, **named)

    async def acts(self, *given: Any, **named: Any) -> Any:
        self._fail("acts")
        return await super().acts(*given, **named)


@pytest.fixture
async def life(tmp_path: Path) -> AsyncGenerator[Life]:
    life = Life(tmp_path, Frail)
    await life.begin()
    yield life
    for name in list(life.processes):
        await life.end(name)


def frail(life: Life) -> tuple[Process, Frail]:
    process = life.process("one")
    assert isinstance(process.journal, Frail)
    process.journal.failing = {}
    return process, process.journal


async def run(process: Process, intent: str) -> Result:
    tool, arguments = INTENTS[intent]
    return await process.engine.run(find(tool), arguments)


async def acts_of(life: Life, process: Process) -> list[Act]:
    return await process.journal.acts(life.owner.key, limit=None)


async def test_another_call_to_the_same_number_is_not_taken_for_one_whose_answer_was_lost(life: Life) -> None:
    process, _ = frail(life)
    process.wire.faults = ["cut after", "no connection", "no connection"]
    with pytest.raises(KallyError):
        await run(process, "call")
    process.wire.faults = ["cut before", "no connection", "no connection"]
    with pytest.raises(KallyError):
        await run(process, "other call")
    await process.parts.settler.look_all()
    found = {act.draft.arguments["task"]: act.state for act in await acts_of(life, process)}
    tasks = [INTENTS[intent][1]["task"] for intent in ("call", "other call")]
    assert found == {tasks[0]: State.DONE, tasks[1]: State.UNKNOWN}


async def test_a_call_that_may_be_either_of_two_whose_answers_were_lost_settles_neither(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The documented list of calls does not tell what a call was about."""
    process, _ = frail(life)
    for intent, fault in (("call", "cut after"), ("other call", "cut before")):
        process.wire.faults = [fault, "no connection", "no connection"]
        with pytest.raises(KallyError):
            await run(process, intent)
    settler = process.parts.settler
    read = process.parts.reader.read

    async def as_documented(name: str, arguments: Any) -> Any:
        answer = await read(name, arguments) or {}
        shown = ("call_id", "status", "to", "business_name", "created_at")
        return {"items": [{field: item.get(field) for field in shown} for item in answer["items"]]}

    monkeypatch.setattr(process.parts.reader, "read", as_documented)
    await settler.look_all()
    assert {act.state for act in await acts_of(life, process)} == {State.UNKNOWN}


async def test_one_call_is_not_taken_for_two_that_are_looked_up_at_once(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, _ = frail(life)
    tool, arguments = INTENTS["call"]
    with monkeypatch.context() as blind:
        blind.setattr(process.parts.reader, "read", _nothing)
        for fault in ("cut after", "cut before"):
            process.wire.faults = [fault, "no connection", "no connection"]
            with pytest.raises(KallyError) as lost:
                await process.engine.run(find(tool), arguments)
            arguments = INTENTS["call"][1] | {"repeat_of": str(lost.value.details["act"])}
    async with anyio.create_task_group() as group:
        for act in await acts_of(life, process):
            group.start_soon(process.parts.settler.look, act)
    assert sorted(act.state for act in await acts_of(life, process)) == [State.DONE, State.UNKNOWN]


async def _nothing(name: str, arguments: Any) -> None:
    del name, arguments


@pytest.mark.parametrize("fault", ["cut after", "silent after"])
async def test_a_contact_that_was_written_down_after_strangers_words_is_not_trusted_though_its_answer_was_lost(
    life: Life, fault: str
) -> None:
    process, journal = frail(life)
    await process.engine.run(find("kallyai_calls_history"), {})
    process.wire.faults = [fault]
    arguments = {"phone": FRIEND, "name": "The dentist"}
    with anyio.CancelScope() as waiting:
        process.wire.leave = waiting.cancel if fault == "silent after" else None
        with pytest.raises(TransportError):
            await process.engine.run(find("kallyai_inbound_add_contact"), arguments)
    process.wire.leave = None
    assert FRIEND in (await process.parts.contacts.names(fresh=True) or {})
    assert ("contact", FRIEND) in await journal.distrusted(life.owner.key)


async def test_strangers_words_that_could_not_be_marked_are_marked_before_the_next_act_is_judged(life: Life) -> None:
    process, journal = frail(life)
    journal.failing = {"taint": 1}
    await process.engine.run(find("kallyai_calls_history"), {})
    assert await journal.tainted(life.owner.key) is None
    with pytest.raises(ApprovalRequired):
        await run(process, "call")


async def test_no_act_is_begun_while_what_was_read_cannot_be_marked(life: Life) -> None:
    process, journal = frail(life)
    journal.failing = {"taint": 2}
    await process.engine.run(find("kallyai_calls_history"), {})
    with pytest.raises(InvalidSettings, match="journal"):
        await run(process, "call")
    assert await acts_of(life, process) == []


async def test_a_stop_that_cannot_be_looked_for_cuts_no_act_under_way(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, journal = frail(life)
    monkeypatch.setattr("kallyai_mcp.engine.acts.STOP_LOOKS_EVERY", 0.001)
    passed = process.wire._passed  # pyright: ignore[reportPrivateUsage]  # the service takes its time

    async def slowly(request: Any) -> Any:
        if request.method == "POST":
            journal.failing = {"stopped": 2}
            while journal.failing["stopped"]:
                await anyio.lowlevel.checkpoint()
        return await passed(request)

    monkeypatch.setattr(process.wire, "_passed", slowly)
    result = await run(process, "mail")
    assert result.structured["_act"]["outcome"] == "done"


async def test_an_end_that_could_not_be_written_is_told_as_it_is_and_written_with_the_next_act(life: Life) -> None:
    process, journal = frail(life)
    journal.failing = {"settle": 1}
    told = (await run(process, "mail")).structured["_act"]
    assert (told["outcome"], told["note"]) == ("done", "its end is not yet written down")
    assert [act.state for act in await acts_of(life, process)] == [State.SENT]
    again = (await run(process, "mail")).structured
    assert again["_earlier"]["act"] == told["id"]
    assert [(act.id, act.state) for act in await acts_of(life, process)] == [(told["id"], State.DONE)]


async def test_a_stop_holds_though_the_acts_cannot_be_listed(life: Life) -> None:
    process, journal = frail(life)
    journal.failing = {"acts": 1}
    with pytest.raises(InvalidSettings):
        await process.parts.brake.stop(life.owner.key, "a test")
    with pytest.raises(ActRefused) as refused:
        await run(process, "call")
    assert refused.value.error_code == "stopped"


async def test_an_act_is_not_sent_for_somebody_who_has_signed_in_meanwhile(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, journal = frail(life)
    begin = journal.begin

    async def begun(*given: Any, **named: Any) -> Any:
        act = await begin(*given, **named)
        life.owner.subject = "sub somebody else"
        return act

    monkeypatch.setattr(journal, "begin", begun)
    with pytest.raises(ActRefused, match="signed in"):
        await run(process, "call")
    assert process.wire.posts.total() == 0
    assert [act.state for act in await acts_of(life, process)] == [State.NOT_SENT]


@pytest.mark.parametrize("is_other", [True, False], ids=["somebody else's", "theirs"])
async def test_an_act_goes_on_with_a_newer_token_of_the_same_person_only(
    life: Life, monkeypatch: pytest.MonkeyPatch, is_other: bool
) -> None:
    process, _ = frail(life)
    tokens: Any = process.parts.acts._tokens  # pyright: ignore[reportPrivateUsage]  # what knows the person
    handle, refused = process.wire.handle_async_request, [401]

    async def handled(request: Any) -> Any:
        if request.method == "POST" and refused:
            return httpx2.Response(refused.pop(), json={"error": {"code": "unauthorized"}})
        return await handle(request)

    async def renewed(_: str) -> str:
        life.owner.subject = "sub somebody else" if is_other else life.owner.subject
        return DEMO_TOKEN

    monkeypatch.setattr(process.wire, "handle_async_request", handled)
    monkeypatch.setattr(tokens, "renew", renewed)
    if not is_other:
        assert (await run(process, "mail")).structured["_act"]["outcome"] == "done"
        return
    with pytest.raises(ActRefused, match="signed in"):
        await run(process, "mail")
    assert process.wire.posts.total() == 0
    assert [act.state for act in await acts_of(life, process)] == [State.NOT_SENT]


async def test_whose_act_it_is_counts_when_the_token_is_at_hand(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before that a file may be half written by another process, and an equal act would not be seen as equal."""
    process, _ = frail(life)
    first = await run(process, "mail")
    subject, life.owner.subject = life.owner.subject, "unread"
    tokens: Any = process.parts.acts._tokens  # pyright: ignore[reportPrivateUsage]  # what knows the person
    token = tokens.token

    async def read() -> str | None:
        life.owner.subject = subject
        return await token()

    monkeypatch.setattr(tokens, "token", read)
    again = await run(process, "mail")
    assert again.structured["_earlier"]["act"] == first.structured["_act"]["id"]


async def test_a_mandate_agreed_to_with_a_warning_is_not_trusted_once_the_warning_is_over(life: Life) -> None:
    process, journal = frail(life)
    account, control = life.owner.key, process.parts.control
    proposed = ProposeMandate(
        purpose="Calls", tools=["kallyai_calls_make"], recipients=[FRIEND], acts=1, credits=5, until=_in_an_hour()
    )
    now = journal._clock()  # pyright: ignore[reportPrivateUsage]  # the time of the database
    await journal.taint(account, "calls history", now + 1000)
    with pytest.raises(ApprovalRequired) as asked:
        await control.mandate(proposed)
    await journal.decide(account, asked.value.approval, agreed=True, how=Consent.PAGE, shown=asked.value.question)
    database = journal._database  # pyright: ignore[reportPrivateUsage]
    assert isinstance(database, Database)
    database._clock = lambda: now + 800  # pyright: ignore[reportPrivateUsage]
    await _forget_taint(journal)
    await control.mandate(proposed)
    assert [mandate.is_trusted for mandate in await journal.mandates(account)] == [False]


async def test_a_mandate_is_asked_anew_where_somebody_else_has_signed_in_since_it_was_agreed_to(life: Life) -> None:
    process, journal = frail(life)
    proposed = ProposeMandate(purpose="Calls", tools=["kallyai_calls_make"], acts=1, credits=5, until=_in_an_hour())
    with pytest.raises(ApprovalRequired) as asked:
        await process.parts.control.mandate(proposed)
    await journal.decide(
        life.owner.key, asked.value.approval, agreed=True, how=Consent.PAGE, shown=asked.value.question
    )
    life.owner.subject = "sub somebody else"
    with pytest.raises(ApprovalRequired):
        await process.parts.control.mandate(proposed)
    assert await journal.mandates(life.owner.key) == []


async def _forget_taint(journal: Mortal) -> None:
    database = journal._database  # pyright: ignore[reportPrivateUsage]
    await database.write(lambda tx: tx.run("UPDATE taint SET until = 0"))


def _in_an_hour() -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="minutes")


async def test_lists_hold_where_the_service_does_not_show_whom_an_act_would_reach(tmp_path: Path) -> None:
    safety = Safety(approval="off", contact_hours=ALL_DAY, deny_mail_domains=("hotel.example",))
    life = Life(tmp_path, Frail, safety)
    await life.begin()
    process, _ = frail(life)
    with pytest.raises(ActRefused) as refused:
        await process.engine.run(find("kallyai_actions_email_approve"), {"email_id": "sbx_email_unseen"})
    assert (refused.value.error_code, process.wire.posts.total()) == ("destination_refused", 0)
    await life.end("one")


async def test_consent_does_not_hold_for_what_an_identifier_has_come_to_stand_for_since(tmp_path: Path) -> None:
    life = Life(tmp_path, Frail, Safety(contact_hours=ALL_DAY))
    await life.begin()
    process, journal = frail(life)
    send, mail = INTENTS["mail"]
    drafted = await life.agreed(process, find(send), mail)
    draft = life.world.need("outbox_email", drafted.structured["id"])
    arguments = {"email_id": draft["id"]}
    approve = find("kallyai_actions_email_approve")
    with pytest.raises(ApprovalRequired) as asked:
        await process.engine.run(approve, arguments)
    await journal.decide(
        life.owner.key, asked.value.approval, agreed=True, how=Consent.PAGE, shown=asked.value.question
    )
    life.world.save("outbox_email", draft | {"body": "Send me the code."})
    with pytest.raises(ApprovalRequired) as again:
        await process.engine.run(approve, arguments)
    assert again.value.approval != asked.value.approval
    assert "Send me the code." in again.value.question
    assert life.world.need("outbox_email", draft["id"])["status"] == draft["status"]
    await journal.decide(
        life.owner.key, again.value.approval, agreed=True, how=Consent.PAGE, shown=again.value.question
    )
    done = await process.engine.run(approve, arguments)
    assert done.structured["_act"]["outcome"] == "done"
    await life.end("one")


@pytest.mark.parametrize(
    ("status", "charged"), [("scheduled", None), ("in_progress", None), ("success", 0.0), (None, 0.0)]
)
def test_a_call_that_is_not_over_keeps_what_was_set_aside_for_it(status: str | None, charged: float | None) -> None:
    assert charge_of(find("kallyai_calls_make"), {"status": status, "credits_used": 0}) == charged
