"""What is to be done once more is named by the act that it repeats: checked before anybody is asked anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from histories import INTENTS, Life

from kallyai_mcp.catalog import find
from kallyai_mcp.errors import ApprovalRequired, InvalidArguments, TransportError
from kallyai_mcp.model import Consent, State
from kallyai_mcp.model.records import Mandate
from kallyai_mcp.safety import ALL_DAY, Safety

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from histories import Process

    from kallyai_mcp.engine.result import Result
    from kallyai_mcp.model.records import Act

pytestmark = pytest.mark.anyio

GONE = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
async def life(tmp_path: Path) -> AsyncGenerator[Life]:
    life = Life(tmp_path, safety=Safety(contact_hours=ALL_DAY))
    await life.begin()
    yield life
    for name in list(life.processes):
        await life.end(name)


async def done(life: Life, process: Process, intent: str) -> str:
    tool, arguments = INTENTS[intent]
    return (await life.agreed(process, find(tool), arguments)).structured["_act"]["id"]


async def refused(process: Process, intent: str, **options: Any) -> str:
    tool, arguments = INTENTS[intent]
    with pytest.raises(InvalidArguments) as caught:
        await process.engine.run(find(tool), arguments | options)
    return caught.value.problems[0].argument


@pytest.mark.parametrize("which", ["none", "another tool", "other arguments"])
async def test_a_wrong_act_to_repeat_is_refused_before_a_person_is_asked(life: Life, which: str) -> None:
    process = life.process("one")
    acts = {"none": GONE, "another tool": await done(life, process, "mail")}
    acts["other arguments"] = await done(life, process, "other call")
    assert await refused(process, "call", repeat_of=acts[which]) == "repeat_of"
    assert await process.journal.approvals(life.owner.key) == []
    if which != "other arguments":  # before anything else is looked at, too
        await process.journal.stop(life.owner.key, "a test")
        assert await refused(process, "call", repeat_of=acts[which]) == "repeat_of"
        assert await refused(process, "call", repeat_of=acts[which], dry_run=True) == "repeat_of"


async def test_a_rehearsal_tells_whether_the_act_to_repeat_is_equal(life: Life) -> None:
    process = life.process("one")
    other, call = await done(life, process, "other call"), await done(life, process, "call")
    tool, arguments = INTENTS["call"]

    async def checked(**options: Any) -> dict[str, bool]:
        result = await process.engine.run(find(tool), arguments | {"dry_run": True} | options)
        return {check["check"]: check["passed"] for check in result.structured["checks"]}

    assert (await checked())["not done before"] is False
    assert (await checked(repeat_of=call))["not done before"] is True
    wrong = await checked(repeat_of=other)
    assert (wrong["repeat_of"], wrong["not done before"]) == (False, False)


@pytest.mark.parametrize(("acts", "passes"), [(2, True), (1, False)], ids=["with room", "used up"])
async def test_a_rehearsal_counts_what_is_left_of_a_mandate(life: Life, acts: int, passes: bool) -> None:
    process, account = life.process("one"), life.owner.key
    tool, arguments = INTENTS["mail"]
    now = time.time()
    mandate = Mandate(
        id="m-1", purpose="Mails", tools=(tool,), recipients=(arguments["to"],), acts=acts, credits=9.0,
        until=now + 600, is_trusted=True, created=now, consent=Consent.TERMINAL,
    )  # fmt: skip
    await process.journal.add_mandate(account, mandate)
    await process.engine.run(find(tool), arguments)
    dry = await process.engine.run(find(tool), arguments | {"subject": "Another", "dry_run": True})
    assert {check["check"]: check["passed"] for check in dry.structured["checks"]}["consent"] is passes


async def test_what_is_wanted_once_more_is_asked_and_done_once_more(life: Life) -> None:
    process = life.process("one")
    call = await done(life, process, "call")
    tool, arguments = INTENTS["call"]
    with pytest.raises(ApprovalRequired) as asked:
        await process.engine.run(find(tool), arguments | {"repeat_of": call})
    assert "it would be done once more" in asked.value.question
    again = await life.agreed(process, find(tool), arguments | {"repeat_of": call})
    assert again.structured["_act"]["id"] != call


async def test_another_one_is_not_done_where_the_first_is_found_after_all(life: Life) -> None:
    process = life.process("one")
    tool, arguments = INTENTS["call"]
    with pytest.raises(ApprovalRequired) as first:
        await process.engine.run(find(tool), arguments)
    await agree(life, process, first.value)
    process.wire.faults = ["cut after", "no connection", "no connection"]
    with pytest.raises(TransportError) as lost:
        await process.engine.run(find(tool), arguments)
    again = arguments | {"repeat_of": str(lost.value.details["act"])}
    told = await process.engine.run(find(tool), again)
    assert told.structured["_earlier"]["act"] == lost.value.details["act"]
    assert len(life.world.all("call", to=arguments["phone"])) == 1
    with pytest.raises(ApprovalRequired):  # now they know
        await process.engine.run(find(tool), again)


@pytest.mark.parametrize(("fault", "outcome"), [("cut before", "unknown"), ("cut after", "done")])
async def test_another_one_whose_answer_was_lost_is_not_taken_for_the_first_that_was_answered_without_a_word(
    life: Life, fault: str, outcome: str
) -> None:
    process = life.process("one")
    tool, arguments = INTENTS["mail"]

    async def meets(fault: str, **options: Any) -> Result:
        with pytest.raises(ApprovalRequired) as asked:
            await process.engine.run(find(tool), arguments | options)
        await agree(life, process, asked.value)
        process.wire.faults = [fault]
        return await process.engine.run(find(tool), arguments | options)

    first = await meets("empty")
    with pytest.raises(TransportError):
        await meets(fault, repeat_of=first.structured["_act"]["id"])
    await process.parts.settler.look_all()
    acts = await process.journal.acts(life.owner.key, limit=None)
    assert [str(act.state) for act in acts] == [outcome, "done"]


async def test_consent_to_another_one_holds_for_no_other_repeat_and_not_once_the_first_is_known_to_be_done(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = life.process("one")
    tool, arguments = INTENTS["mail"]
    with pytest.raises(ApprovalRequired) as first:
        await process.engine.run(find(tool), arguments)
    await agree(life, process, first.value)
    process.wire.faults = ["cut after"]
    with pytest.raises(TransportError) as lost:
        await process.engine.run(find(tool), arguments)
    act = str(lost.value.details["act"])
    settler, account = process.parts.settler, life.owner.key

    async def blind(act: Act) -> Act:
        return act

    monkeypatch.setattr(settler, "look", blind)
    with pytest.raises(ApprovalRequired) as another:
        await process.engine.run(find(tool), arguments | {"repeat_of": act})
    assert "is unknown; it would be done once more" in another.value.question
    await agree(life, process, another.value)
    await process.journal.settle(account, act, State.DONE, answer={"id": "sbx_email_1"})
    with pytest.raises(ApprovalRequired) as anew:
        await process.engine.run(find(tool), arguments | {"repeat_of": act})
    assert anew.value.approval != another.value.approval
    assert "is done; it would be done once more" in anew.value.question
    await agree(life, process, anew.value)
    second = await process.engine.run(find(tool), arguments | {"repeat_of": act})
    assert second.structured["_act"]["outcome"] == "done"


async def agree(life: Life, process: Process, asked: ApprovalRequired) -> None:
    await process.journal.decide(life.owner.key, asked.approval, agreed=True, how=Consent.PAGE, shown=asked.question)
