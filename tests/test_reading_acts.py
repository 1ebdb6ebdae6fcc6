"""Contacts written down after strangers' words are not trusted, and looking at acts of before changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from histories import Life
from test_review_of_acts import Frail, frail
from test_waiting_ends import engine_of

from kallyai_mcp.catalog import find
from kallyai_mcp.engine.outcome import ACT
from kallyai_mcp.errors import ApprovalRequired, KallyError
from kallyai_mcp.model import Consent, State

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from histories import Process

    from kallyai_mcp.engine import Result

pytestmark = pytest.mark.anyio

IMPORT = find("kallyai_inbound_import_contacts")
SOURCE = {"source": "google"}
WAIT = find("kallyai_wait")


@pytest.fixture
async def life(tmp_path: Path) -> AsyncGenerator[Life]:
    life = Life(tmp_path, Frail)
    await life.begin()
    yield life
    for name in list(life.processes):
        await life.end(name)


async def read_strangers(process: Process) -> None:
    await process.engine.run(find("kallyai_calls_history"), {})


async def forget_strangers(process: Process) -> None:
    database = process.journal._database  # pyright: ignore[reportPrivateUsage]
    await database.write(lambda tx: tx.run("UPDATE taint SET until = 0"))


async def distrusted(life: Life, process: Process) -> set[str]:
    return {value for kind, value in await process.journal.distrusted(life.owner.key) if kind == "contact"}


def answering(process: Process, monkeypatch: pytest.MonkeyPatch, *numbers: str) -> None:
    """Have the service answer an import with the contacts that it has brought."""
    send = process.api.send

    async def telling(command: Any, *given: Any, **named: Any) -> Any:
        answer = await send(command, *given, **named)
        if command is IMPORT:
            answer.data["contacts"] = [{"phone_number": number} for number in numbers]
        return answer

    monkeypatch.setattr(process.api, "send", telling)


async def imported(life: Life, process: Process) -> Result:
    return await life.agreed(process, IMPORT, SOURCE)


async def test_looking_at_an_act_of_before_distrusts_nobody(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    process, _ = frail(life)
    answering(process, monkeypatch, "+12025550188")
    done = await imported(life, process)
    assert await process.journal.tainted(life.owner.key) is not None  # the contacts' names are others' words
    assert await distrusted(life, process) == set()
    again = await process.engine.run(IMPORT, SOURCE)
    waited = await engine_of(process).run(WAIT, {"id": done.structured[ACT]["id"]})
    assert "_earlier" in again.structured
    assert waited.structured["contacts"] == done.structured["contacts"]
    assert await distrusted(life, process) == set()


@pytest.mark.parametrize("is_over", [False, True], ids=["still", "over when the answer comes"])
async def test_who_was_brought_in_after_strangers_words_is_not_trusted(
    life: Life, monkeypatch: pytest.MonkeyPatch, is_over: bool
) -> None:
    process, journal = frail(life)
    answering(process, monkeypatch, "+12025550188", "+12025550189")
    await read_strangers(process)
    sending = journal.sending

    async def late(*given: Any, **named: Any) -> Any:
        if is_over:
            await forget_strangers(process)
        return await sending(*given, **named)

    monkeypatch.setattr(journal, "sending", late)
    await imported(life, process)
    assert await distrusted(life, process) == {"+12025550188", "+12025550189"}


async def test_who_was_brought_in_by_an_act_whose_answer_was_lost_is_not_trusted_once_it_is_seen(life: Life) -> None:
    process, journal = frail(life)
    await read_strangers(process)
    with pytest.raises(ApprovalRequired) as asked:
        await process.engine.run(IMPORT, SOURCE)
    account, question = life.owner.key, asked.value
    await journal.decide(account, question.approval, agreed=True, how=Consent.PAGE, shown=question.question)
    process.wire.faults = ["cut before"] * 9
    with pytest.raises(KallyError):
        await process.engine.run(IMPORT, SOURCE)
    [act] = await journal.acts(account)
    await forget_strangers(process)
    await journal.settle(account, act.id, State.DONE, answer={"name": "Marta", "phone_number": "+12025550188"})
    assert await distrusted(life, process) == set()
    await engine_of(process).run(WAIT, {"id": act.id})
    assert await distrusted(life, process) == {"+12025550188"}


async def test_an_act_is_not_sent_where_it_cannot_be_noted_that_strangers_may_be_behind_it(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, journal = frail(life)
    await read_strangers(process)
    distrust, before = journal.distrust, process.wire.posts.total()

    async def failing(account: str, kind: str, keys: Any) -> None:
        if kind == "act":
            raise KallyError("The journal is held.", code="journal_unusable", next_step="Try again.")
        await distrust(account, kind, keys)

    monkeypatch.setattr(journal, "distrust", failing)
    with pytest.raises(KallyError, match="held"):
        await imported(life, process)
    assert process.wire.posts.total() == before
    assert [act.state for act in await journal.acts(life.owner.key)] == [State.NOT_SENT]
