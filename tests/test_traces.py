"""A run whose answer was lost is found by reading: exactly that run, and nothing before it was made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from act_cases import CASES, command_of, look, read, run
from sandbox_api import SandboxApi, open_sandbox

from kallyai_mcp.catalog import all_commands
from kallyai_mcp.model import Look
from kallyai_mcp.model.looking import Sight, entries, given, matches, see, value_at, values_at

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

TRACED = [command.name for command in all_commands() if command.trace is not None]
SKEW = timedelta(minutes=2)
"""What the service's clock may be behind, as the engine allows for it."""
MADE_ANEW: dict[str, dict[str, Any]] = {
    "ask": {"message": "Call +12025550107 and ask when they open on Sunday"},
    "coord message": {"text": "Call +12025550107 and ask what a shave costs"},
    "calls make": {"phone": "+12025550108"},
    "outreach create": {"description": "Ask whether the picture is ready"},
    "inbound add-rule": {"name": "Pass the doctor on"},
    "actions booking create": {"time": "20:30"},
    "actions bill dispute": {"description": "Internet, March"},
    "actions ride": {"destination": "Airport"},
    "actions food": {"description": "Two pizzas from the corner, and a salad"},
    "actions errand": {"description": "Fetch the shirts"},
    "actions email send": {"subject": "Late arrival, again"},
    "channels email-add": {"address": "sam@choir.example"},
    "search run": {"query": "Locksmith on Mondays"},
    "search quick": {"query": "Baker"},
}
"""What makes another run of it, that must not be taken for this one."""


@pytest.fixture
async def api() -> AsyncGenerator[SandboxApi]:
    async with open_sandbox() as api:
        # What a world begins with is older than any run.
        api.wait(3600)
        yield api


async def sight(api: SandboxApi, where: Look, arguments: dict[str, Any], since: datetime) -> Sight:
    return see(where, await read(api, where, arguments), arguments, since)


def ids(told: Mapping[str, Any]) -> set[str]:
    return {value for name, value in told.items() if name.endswith("id") and value is not None}


def trace_of(name: str) -> Look:
    trace = command_of(name).trace
    assert trace is not None
    return trace


@pytest.mark.anyio
@pytest.mark.parametrize("name", TRACED)
async def test_a_run_is_found_where_its_trace_says_and_nothing_is_before_it(api: SandboxApi, name: str) -> None:
    arguments, where = await CASES[name](api), trace_of(name)
    sent = api.world.clock.now()

    before = await sight(api, where, arguments, sent - SKEW)
    answer = await run(api, name, arguments)
    after = await sight(api, where, arguments, sent - SKEW)

    assert before.happened is (False if where.is_complete else None)
    assert after.happened is True
    if not where.is_gone:
        found = await look(api, where, arguments, sent - SKEW)
        assert found[:1] == [after.entry]
        assert len(found) == 1 or name == "inbound import-contacts"
        assert not ids(answer) or ids(answer) & ids(found[0])


@pytest.mark.anyio
@pytest.mark.parametrize("name", MADE_ANEW)
async def test_a_run_with_other_arguments_at_the_same_time_is_not_taken_for_it(api: SandboxApi, name: str) -> None:
    arguments, where = await CASES[name](api), trace_of(name)
    sent = api.world.clock.now()

    await run(api, name, arguments | MADE_ANEW[name])
    other = await sight(api, where, arguments, sent - SKEW)

    # Of an order the service may keep the description in its own words.
    is_open = any(field in where.loose and ours in MADE_ANEW[name] for field, ours in where.match.items())
    assert other == Sight(None if is_open else False)


@pytest.mark.anyio
@pytest.mark.parametrize("name", sorted(MADE_ANEW.keys() - {"channels email-add"}))  # an address is added once
async def test_an_equal_run_of_yesterday_is_not_taken_for_it(api: SandboxApi, name: str) -> None:
    arguments, where = await CASES[name](api), trace_of(name)
    await run(api, name, arguments)
    api.wait(24 * 3600)

    assert (await sight(api, where, arguments, api.world.clock.now() - SKEW)).happened is False


def test_every_command_that_makes_something_anew_is_tried_with_other_arguments() -> None:
    made = {name for name in TRACED if trace_of(name).since and not command_of(name).path_args}
    assert made - MADE_ANEW.keys() == {
        "inbound import-contacts",  # one list for each source
        "phone provision",  # numbers are as good as each other
        "subscription change-plan",  # there is one plan
    }


# What an answer lacks

TASKS = Look(
    command="outreach tasks",
    fixed={"limit": 100},
    given={"status": "state"},
    entries=("tasks", "items"),
    match={"to|submission.phone": "target", "goal": "words"},
    loose=("goal",),
    since="created_at|metadata.created_at",
    states={"is_open": ("true",)},
)
SENT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ENTRY = {"to": "+12025550143", "goal": "Ask", "created_at": "2026-03-02T09:00:01Z", "is_open": True}
ARGS = {"target": "+12025550143", "words": "Ask", "state": None}


def told(entry: dict[str, Any], where: Look = TASKS) -> bool | None:
    return see(where, {"tasks": [entry]}, ARGS, SENT).happened


def test_the_command_that_reads_is_given_what_was_given() -> None:
    assert given(TASKS, ARGS) == {"limit": 100}
    assert given(TASKS, ARGS | {"state": "pending"}) == {"limit": 100, "status": "pending"}


def test_an_entry_is_meant_by_all_that_the_look_says_of_it() -> None:
    assert told(ENTRY) is True
    assert told(ENTRY | {"to": "+12025550144"}) is False
    assert told(ENTRY | {"to": None, "submission": {"phone": "+12025550143"}}) is True
    assert told(ENTRY | {"is_open": False}) is False
    assert told(ENTRY | {"created_at": "2026-03-02T08:59:59Z"}) is False
    assert told(ENTRY | {"created_at": "2026-03-02T10:30:00+02:00"}) is False
    assert told(ENTRY | {"created_at": "2026-03-02T09:30:00"}) is True


@pytest.mark.parametrize("lost", ENTRY)
def test_a_field_that_is_not_there_leaves_it_open(lost: str) -> None:
    assert told({name: value for name, value in ENTRY.items() if name != lost}) is None


def test_what_says_nothing_leaves_it_open() -> None:
    assert told(ENTRY | {"created_at": "yesterday"}) is None
    assert told(ENTRY | {"created_at": 7}) is None
    assert told(ENTRY | {"goal": "Enquire"}) is None
    assert see(TASKS, {"results": []}, ARGS, SENT) == Sight(None)
    assert see(TASKS, {"tasks": "none"}, ARGS, SENT) == Sight(None)
    assert see(replace(TASKS, is_complete=False), {"tasks": []}, ARGS, SENT) == Sight(None)


def test_an_empty_list_says_that_nothing_happened() -> None:
    assert see(TASKS, {"items": []}, ARGS, SENT) == Sight(False)
    assert see(TASKS, {"tasks": ["no entry"]}, ARGS, SENT) == Sight(False)


def test_of_what_is_to_be_gone_the_absence_is_the_trace() -> None:
    gone = Look(command="inbound rules", entries=("tasks",), match={"id": "target"}, is_gone=True)
    rule = {"id": "+12025550143"}
    assert told(rule, gone) is False
    assert told({"id": "other"}, gone) is True
    assert told({}, gone) is None
    assert see(gone, {"tasks": []}, ARGS, SENT) == Sight(True)
    assert see(gone, {}, ARGS, SENT) == Sight(None)
    assert not matches(gone, rule, ARGS, SENT)


def test_what_belongs_to_another_act_is_not_meant() -> None:
    mine, other = ENTRY | {"id": 1}, ENTRY | {"id": 2}
    answer = {"tasks": [other, mine]}
    assert see(TASKS, answer, ARGS, SENT, is_other=lambda entry: entry["id"] == 2) == Sight(True, mine)
    assert see(TASKS, {"tasks": [other]}, ARGS, SENT, is_other=lambda entry: entry["id"] == 2) == Sight(False)


def test_without_a_time_to_compare_any_age_will_do() -> None:
    assert see(TASKS, {"tasks": [ENTRY | {"created_at": "2020-01-01T00:00:00Z"}]}, ARGS, None).happened is True


def test_an_answer_that_is_the_entry_itself_is_looked_at_whole() -> None:
    alone = Look(command="calls info", states={"status": ("cancelled",), "next": ("null",), "left": ("3",)})
    answer = {"status": "cancelled", "next": None, "left": 3}
    assert entries(alone, answer) == [answer]
    assert see(alone, answer, {}, None) == Sight(True, answer)


def test_values_are_found_in_depth_in_lists_and_under_alternatives() -> None:
    goal = {"title": "Dinner", "steps": [{"name": "Look"}, {"name": "Book"}, {"name": "Look"}], "by": None}
    assert values_at(goal, "steps.name") == ["Look", "Book"]
    assert values_at(goal, "title|steps.name") == ["Dinner", "Look", "Book"]
    assert values_at(goal, "title.name|none") == []
    assert value_at(goal, "by|title") == "Dinner"
    assert value_at(goal, "by") is None
