"""What an account's engine does while the database of the servers is away, here at an address where nobody listens."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from journal_world import ANN, Clock, a_draft, begun, journal_in

from kallyai_mcp.api import Answer
from kallyai_mcp.catalog import all_commands
from kallyai_mcp.engine.outcome import unshown
from kallyai_mcp.engine.owed import Owed
from kallyai_mcp.engine.reading import Reading
from kallyai_mcp.engine.settling import Settler
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.journal import Journal
from kallyai_mcp.journal.postgresql import PostgreSQL
from kallyai_mcp.journal.storage import StorageAway
from kallyai_mcp.model.acts import State
from kallyai_mcp.safety import Safety

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from kallyai_mcp.model.records import Act

pytestmark = pytest.mark.anyio

ANSWER = Answer(200, {"text": "words"}, None, None, "application/json", sandbox=False)


async def test_strangers_words_are_not_shown_where_other_servers_would_not_know_of_it() -> None:
    strange = next(command for command in all_commands() if command.third_party_text and not command.introduces)
    own = next(command for command in all_commands() if not command.third_party_text and not command.introduces)
    async with Journal(PostgreSQL("postgresql://nobody@127.0.0.1:1/x")) as journal:
        parts = cast("Any", SimpleNamespace(key=ANN))
        reading = Reading(journal, parts, parts, parts, Safety())
        for _ in range(2):
            with pytest.raises(StorageAway):
                await reading.admit(strange, {}, ANSWER)
            assert await reading.admit(own, {}, ANSWER) is ANSWER


async def test_an_end_that_could_not_be_written_is_written_once_that_can_be(tmp_path: Path) -> None:
    waited: list[float] = []
    tries = 0

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await anyio.lowlevel.checkpoint()

    async with journal_in(tmp_path, Clock()) as journal, anyio.create_task_group() as group:
        act = await begun(journal, a_draft())

        async def end() -> Act:
            nonlocal tries
            tries += 1
            if tries < 5:
                kind = (StorageAway, InvalidSettings)[tries % 2]  # one that may be over soon, and any other
                raise kind("away", next_step="wait", retryable=True)
            return await journal.settle(ANN, act.id, State.NOT_SENT)

        def start(work: Callable[[], Coroutine[None, None, None]]) -> None:
            group.start_soon(work)

        owed = Owed(start, sleep)
        owed.add(act.id, end)
        owed.add(act.id, end)
    assert waited == [1.0, 2.0, 4.0, 5.0, 5.0]
    async with journal_in(tmp_path, Clock()) as journal:
        assert [each.state for each in await journal.acts(ANN)] == [State.NOT_SENT]


async def test_what_was_done_is_told_though_its_answer_cannot_be_shown() -> None:
    strange = next(command for command in all_commands() if command.third_party_text and command.is_recorded)
    error = unshown(StorageAway("It is away.", next_step="Wait.", retryable=True), strange, "act-1")
    assert error.details == {"outcome": "done", "act": "act-1"}
    assert error.retryable is False
    assert "was done" in error.message
    assert "kallyai_wait" in error.next_step


async def test_an_act_of_long_ago_is_not_taken_for_another_ones_trace(tmp_path: Path) -> None:
    clock = Clock()
    async with journal_in(tmp_path, clock) as journal:
        act = await begun(journal, a_draft())
        parts = cast("Any", SimpleNamespace())  # whatever it asked would fail
        settler = Settler(
            parts, journal, ANN, approval_mode="ask", is_sandbox=lambda: False, start=lambda _: None, clock=clock
        )
        clock.now += 2 * 86_400
        assert await settler.look(act) is act
