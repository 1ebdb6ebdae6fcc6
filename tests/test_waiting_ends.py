"""Waiting ends: with what was brought, with what people must find out, or with a run that was never sent."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from histories import INTENTS, Life
from test_review_of_acts import Frail, frail, run
from virtual_time import run_virtually

from kallyai_mcp.catalog import by_words, find
from kallyai_mcp.cli.asides import parted, shown_asides
from kallyai_mcp.engine import Engine
from kallyai_mcp.engine.cutting import LIMIT
from kallyai_mcp.engine.more import MORE, Continued, Source
from kallyai_mcp.engine.outcome import ACT
from kallyai_mcp.engine.result import Body, Result, wire_size
from kallyai_mcp.engine.settling import LONGEST_RUN, LOOKS_AFTER, SEARCHED_FOR
from kallyai_mcp.engine.underway import WAITING, Underway
from kallyai_mcp.engine.waiting import Waiting
from kallyai_mcp.errors import KallyError, SignInRequired, TransportError
from kallyai_mcp.model import Defaults, State
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from histories import Process

    from kallyai_mcp.model import Command
    from kallyai_mcp.model.records import Act

pytestmark = pytest.mark.anyio

WAIT = find("kallyai_wait")
CALL = find("kallyai_calls_make")
SOON = 0.3
"""Seconds that a call of a host has here, where what it waits for does not end."""


@pytest.fixture
async def life(tmp_path: Path) -> AsyncGenerator[Life]:
    life = Life(tmp_path, Frail)
    await life.begin()
    yield life
    for name in list(life.processes):
        await life.end(name)


def engine_of(process: Process, tokens: Any = None, start: Any = None) -> Engine:
    """Return an engine that can wait for acts."""
    parts, own = process.parts, tokens or process.parts._tokens  # pyright: ignore[reportPrivateUsage]  # the same
    return Engine(
        process.api, own, Defaults(), {}, lambda: parts.acts, lambda: parts.reading, past=lambda: parts.past,
        start=start,
    )  # fmt: skip


async def waited(process: Process, act: str, within: float = 60.0) -> dict[str, Any]:
    result = None
    while result is None:
        try:
            result = await engine_of(process).run(WAIT, {"id": act}, until=anyio.current_time() + within)
        except TransportError as error:
            if error.error_code != "timeout":
                raise
            within *= 2  # a busy machine could not even look once
    assert shown_asides(parted(result.structured)[1])  # a terminal can show it, too
    return result.structured | {"text": result.text}


async def lost(life: Life, process: Process, tool: str, arguments: dict[str, Any]) -> Act:
    process.wire.faults = ["cut before"] * 9
    with pytest.raises(KallyError) as failed:
        await process.engine.run(find(tool), arguments)
    assert failed.value.details["outcome"] == "unknown"
    [act] = await process.journal.acts(life.owner.key)
    return act


def later(process: Process, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    settler: Any = process.parts.settler
    clock = settler._clock
    monkeypatch.setattr(settler, "_clock", lambda: clock() + seconds)


async def test_waiting_for_what_cannot_be_found_ends_and_says_who_can_tell(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, _ = frail(life)
    monkeypatch.setattr(process.parts.reader, "read", _nothing)
    act = await lost(life, process, *INTENTS["call"])
    searching = await waited(process, act.id, SOON)
    assert searching[WAITING]["id"] == act.id
    assert searching[ACT]["retry_safe"] is False
    later(process, SEARCHED_FOR - 200, monkeypatch)
    assert WAITING in await waited(process, act.id, SOON)
    later(process, 201, monkeypatch)
    ended = await waited(process, act.id)
    assert WAITING not in ended
    told = ended[ACT]
    assert (told["outcome"], told["retry_safe"]) == ("unknown", False)
    for words in ("the user in the KallyAI app", "you with kallyai_calls_history", f"repeat_of set to {act.id}"):
        assert words in told["find_out"]
    assert told["find_out"] in ended["text"]


async def _nothing(name: str, arguments: Mapping[str, Any]) -> None:
    del name, arguments


async def test_what_no_list_of_the_service_shows_is_not_searched_for(life: Life) -> None:
    process, _ = frail(life)
    moved = {"call_id": "sbx_call_1", "date": "2030-01-01", "time": "10:00"}
    act = await lost(life, process, "kallyai_calls_reschedule", moved)
    ended = await waited(process, act.id)
    assert WAITING not in ended
    assert (ended[ACT]["outcome"], ended[ACT]["retry_safe"]) == ("unknown", False)
    assert "you with kallyai_calls_info" in ended[ACT]["find_out"]


async def test_what_left_no_trace_is_told_with_who_can_tell(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    process, _ = frail(life)
    act = await lost(life, process, *INTENTS["mail"])
    later(process, 61, monkeypatch)
    ended = await waited(process, act.id)
    assert WAITING not in ended
    assert (ended[ACT]["outcome"], ended[ACT]["retry_safe"]) == ("not_found", False)
    assert "you with kallyai_actions_email_outbox" in ended[ACT]["find_out"]


async def test_what_another_process_never_ends_is_not_waited_for_for_ever(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, journal = frail(life)
    journal.failing = {"settle": 9}
    other.wire.faults = ["cut before"] * 9
    with pytest.raises(KallyError):
        await run(other, "mail")
    process = life.process("two")
    [act] = await process.journal.acts(life.owner.key)
    assert act.state is State.SENT
    assert WAITING in await waited(process, act.id, SOON)
    later(process, LONGEST_RUN, monkeypatch)
    ended = await waited(process, act.id)
    assert WAITING not in ended
    assert ended[ACT]["retry_safe"] is False


async def test_an_end_that_is_owed_is_written_before_its_act_is_waited_for(life: Life) -> None:
    process, journal = frail(life)
    journal.failing = {"settle": 1}
    act = (await run(process, "mail")).structured[ACT]["id"]
    assert [one.state for one in await journal.acts(life.owner.key)] == [State.SENT]
    assert (await waited(process, act))[ACT]["outcome"] == "done"
    assert [one.state for one in await journal.acts(life.owner.key)] == [State.DONE]


async def test_an_act_upon_what_another_act_has_made_is_found_there(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, journal = frail(life)
    draft = (await run(process, "mail")).structured["id"]
    process.wire.faults = ["cut after"]
    with pytest.raises(TransportError):
        await life.agreed(process, find("kallyai_actions_email_approve"), {"email_id": draft})
    act = (await journal.acts(life.owner.key))[0]
    later(process, 61, monkeypatch)
    told = (await waited(process, act.id))[ACT]
    assert (told["outcome"], told["id"]) == ("done", act.id)


@pytest.mark.parametrize(("fault", "outcome"), [("cut before", "not_found"), ("cut after", "done")])
async def test_what_another_act_has_made_and_this_one_was_to_remove_is_looked_for(
    life: Life, monkeypatch: pytest.MonkeyPatch, fault: str, outcome: str
) -> None:
    process, journal = frail(life)
    rule: dict[str, Any] = {"name": "Family", "action": "forward", "conditions": {}, "action_config": {}}
    made = await life.agreed(process, find("kallyai_inbound_add_rule"), rule)
    process.wire.faults = [fault]
    with pytest.raises(TransportError):
        await life.agreed(process, find("kallyai_inbound_delete_rule"), {"rule_id": made.structured["id"]})
    act = (await journal.acts(life.owner.key))[0]
    later(process, 61, monkeypatch)
    assert (await waited(process, act.id))[ACT]["outcome"] == outcome


class Tokens:
    """A sign-in that may end between two looks at it."""

    def __init__(self) -> None:
        self.looks = -1

    async def token(self) -> str | None:
        self.looks -= 1
        return None if self.looks == 0 else DEMO_TOKEN

    async def renew(self, refused: str) -> str | None:
        del refused
        return None


async def test_nobody_is_asked_to_sign_in_for_a_run_that_ended_long_ago(life: Life) -> None:
    process, journal = frail(life)
    tokens: Any = Tokens()
    acts: Any = process.parts.acts
    acts._tokens = tokens
    async with anyio.create_task_group() as group:

        def start(work: Any) -> None:
            group.start_soon(work)

        engine = engine_of(process, tokens, start)
        tokens.looks = 2  # there is a token when the act is recorded, and none when it is sent
        with pytest.raises(SignInRequired):
            await engine.run(CALL, INTENTS["call"][1], until=anyio.current_time() + 60)
        [act] = await journal.acts(life.owner.key)
        assert act.state is State.NOT_SENT
        for _ in range(2):
            told = (await engine.run(WAIT, {"id": act.id}, until=anyio.current_time() + 60)).structured[ACT]
            assert (told["outcome"], told["error"]) == ("not_sent", "sign_in_required")
        contact = find("kallyai_inbound_add_contact")
        tokens.looks = 1
        underway: Any = engine._underway  # pyright: ignore[reportPrivateUsage]  # it is in no journal
        with pytest.raises(SignInRequired):
            await engine.run(contact, {"phone": "+12025550188", "name": "Marta"}, until=anyio.current_time() + 60)
        number = next(number for number, kept in underway._runs.items() if kept.command is contact)
        with pytest.raises(KallyError) as refused:
            await engine.run(WAIT, {"id": number}, until=anyio.current_time() + 60)
        assert not isinstance(refused.value, SignInRequired)
        assert (refused.value.error_code, refused.value.retryable) == ("sign_in_required", True)


async def test_a_run_whose_answer_was_lost_is_told_as_it_was_found_afterwards(life: Life) -> None:
    process, journal = frail(life)
    async with anyio.create_task_group() as group:

        def start(work: Any) -> None:
            group.start_soon(work)

        engine = engine_of(process, start=start)
        process.wire.faults = ["cut after", "no connection", "no connection"]
        with pytest.raises(TransportError):
            await engine.run(CALL, INTENTS["call"][1], until=anyio.current_time() + 60)
        [act] = await journal.acts(life.owner.key)
        found = await engine.run(WAIT, {"id": act.id}, until=anyio.current_time() + 60)
        assert found.structured["call_id"]


def test_the_search_ends_with_its_last_look() -> None:
    assert sum(LOOKS_AFTER) == SEARCHED_FOR == 300


class Open:
    """A seal that seals nothing."""

    def seal(self, payload: bytes) -> str:
        return urlsafe_b64encode(payload).decode()

    def open(self, token: str) -> bytes | None:
        return urlsafe_b64decode(token)


def test_a_piece_of_what_is_not_over_can_be_gone_on_from() -> None:
    goal = {"id": "g-1", "status": "active", "description": " ".join(f"word{number}" for number in range(20_000))}

    async def read(command: Command, arguments: Mapping[str, Any]) -> Result:
        if command.name != "coord goal":
            raise AssertionError
        del arguments
        return Body(data=goal).result()

    async def mark(command: Command) -> None:
        del command

    async def story() -> None:
        continued = Continued(Open(), lambda: "ann")
        waiting = Waiting(read, Underway(), None, mark, lambda tool: tool == "kallyai_coord_goal")
        result = await waiting.wait("g-1", anyio.current_time() + 10, None, continued.finish)
        assert wire_size(result) <= LIMIT
        assert result.structured[WAITING] == {"id": "g-1"}
        assert "not over yet" in result.text
        text, command = result.structured["description"], by_words()[("coord", "goal")]
        while (token := result.structured[MORE]["cursor"]) is not None:
            result = continued.finish(
                Body(data=goal).result(), Source(command, {"goal_id": "g-1"}), continued.open(token)
            )
            text += result.structured["description"]
        assert text == goal["description"]

    run_virtually(story)
