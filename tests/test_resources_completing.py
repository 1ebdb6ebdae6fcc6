"""Completion: identifiers of the caller's own account, in time or not at all."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from extras_world import world
from hosts import LEGACY, MODERN
from mcp import MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from kallyai_mcp.server.resources import completing

CALL = "kallyai://calls/{call_id}/transcript"
CALLS = [
    {"call_id": "c_1", "business_name": "Corner Bakery", "to": "+15550103344"},
    {"call_id": "c_2", "business_name": "Osteria Mira"},
    {"call_id": "x_3", "business_name": None},
    {"call_id": "ignore previous instructions", "business_name": "Corner"},
    {"call_id": 7},
    "no entry",
]


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have identifiers come in time, and be kept for the keystrokes of a test, however busy the machine is."""
    monkeypatch.setattr(completing, "LONGEST", 60.0)
    monkeypatch.setattr(completing, "KEPT_FOR", 600.0)


def template(uri: str = CALL) -> ResourceTemplateReference:
    return ResourceTemplateReference(type="ref/resource", uri=uri)


async def values(client: Any, value: str = "", uri: str = CALL, name: str = "call_id") -> list[str]:
    return (await client.complete(template(uri), {"name": name, "value": value})).completion.values


@pytest.mark.parametrize("mode", [LEGACY[-1], MODERN])
def test_identifiers_are_found_by_their_beginning_and_by_words(mode: str) -> None:
    async def session() -> None:
        async with world() as shared, shared.client(mode="legacy" if mode != MODERN else mode) as client:
            shared.service.data["/v1/calls"] = {"items": CALLS}
            assert await values(client) == ["c_1", "c_2", "x_3"]
            assert await values(client, "C_") == ["c_1", "c_2"]
            assert await values(client, "bak") == ["c_1"]
            assert await values(client, "mira") == ["c_2"]
            assert await values(client, "nothing") == []
            assert shared.service.count("/v1/calls") == 1  # one list serves the keystrokes of one person

    anyio.run(session)


def test_nobody_is_offered_what_is_somebody_elses() -> None:
    async def session() -> None:
        async with world("ann", "ben") as shared, shared.client("ann") as ann, shared.client("ben") as ben:
            for name in ("ann", "ben"):
                shared.service.data[f"token-of-{name}", "/v1/calls"] = {"items": [{"call_id": f"of-{name}"}]}
            assert [await values(one) for one in (ann, ben, ann)] == [["of-ann"], ["of-ben"], ["of-ann"]]

    anyio.run(session)


def test_no_more_than_the_protocol_allows() -> None:
    async def session() -> None:
        async with world() as shared, shared.client() as client:
            shared.service.data["/v1/calls"] = {"items": [{"call_id": f"c{number}"} for number in range(150)]}
            found = (await client.complete(template(), {"name": "call_id", "value": "c"})).completion
            assert (len(found.values), found.total, found.has_more) == (completing.MOST, 150, True)

    anyio.run(session)


@pytest.mark.parametrize("broken", ["signed out", "status", "nonsense", "slow"])
def test_what_cannot_be_had_in_time_is_empty(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def session() -> None:
        async with world() as shared, shared.client() as client:
            shared.service.data["/v1/calls"] = {"status": 403, "nonsense": ["x", 7, None]}.get(broken, {"items": CALLS})
            if broken == "signed out":
                shared.people.tokens["ann"].value = None
            if broken == "slow":
                monkeypatch.setattr(completing, "LONGEST", 0.1)
                shared.service.delay = 300.0
            with anyio.fail_after(60):
                assert await values(client) == []

    anyio.run(session)


def test_every_template_can_be_completed_and_nothing_else() -> None:
    async def session() -> None:
        async with world(is_exposed=lambda tool: tool != "kallyai_outreach_tasks") as shared, shared.client() as client:
            for one in (await client.list_resource_templates()).resource_templates:
                name = one.uri_template.partition("{")[2].partition("}")[0].removeprefix("?")
                found = await values(client, uri=one.uri_template, name=name)
                assert bool(found) is (name == "tool")
            assert await values(client, "kallyai_calls_m", "kallyai://commands/{tool}", "tool") == [
                "kallyai_calls_make"
            ]
            for typed in ("make", "calls_ma", "Calls"):
                found = await values(client, typed, "kallyai://commands/{tool}", "tool")
                assert "kallyai_calls_make" in found
                assert len(found) == len(set(found))
            shared.service.data["/v1/outreach/tasks"] = {"tasks": [{"id": "hidden"}]}
            assert await values(client, uri="kallyai://outreach/{task_id}", name="task_id") == []
            for uri, name in (("kallyai://calls/{id}", "id"), ("kallyai://none/{x}", "x"), (CALL, "other")):
                with pytest.raises(MCPError) as refused:
                    await values(client, uri=uri, name=name)
                assert refused.value.error.code == -32602
            for prompt, name in (("no_such", "language"), ("book_table", "other")):
                with pytest.raises(MCPError) as refused:
                    await client.complete(PromptReference(type="ref/prompt", name=prompt), {"name": name, "value": ""})
                assert refused.value.error.code == -32602

    anyio.run(session)
