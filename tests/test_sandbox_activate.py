"""The page on which a person approves a device code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from page_rules import Page
from sandbox_browser import hidden_fields, open_client, still_world

from kallyai_mcp.sandbox import signin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    import httpx2

    from kallyai_mcp.sandbox.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
def world() -> Generator[World]:
    with still_world() as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncGenerator[httpx2.AsyncClient]:
    async with open_client(world) as client:
        yield client


def begin(world: World, client_id: str = "kallyai-mcp") -> str:
    return signin.begin(world, client_id, "calls:read calls:write")[1]["user_code"]


async def test_page_says_who_asks_for_what(client: httpx2.AsyncClient, world: World) -> None:
    code = begin(world)
    page = Page((await client.get(f"/activate?user_code={code}")).text)

    assert [text for _, text in page.all("h1")] == ["KallyAI MCP server asks for access"]
    assert [text for _, text in page.all("strong")] == ["Sandbox.", code]
    assert [text for _, text in page.all("li")] == ["See your calls", "Place calls and steer them"]
    assert [text for _, text in page.all("button")] == ["Approve", "Deny"]
    assert "Compare this code with the one the program shows." in page.texts[0]


async def test_unknown_client_is_shown_as_its_own_claim(client: httpx2.AsyncClient, world: World) -> None:
    page = await client.get(f"/activate?user_code={begin(world, '<script>alert(1)</script>')}")

    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; asks for access" in page.text
    assert "the program's own claim" in page.text


@pytest.mark.parametrize("spelling", ["{0}-{1}", "{0}{1}", " {0} {1}. ", "{0}\u2013{1}"])
@pytest.mark.parametrize("lower", [False, True])
async def test_case_and_punctuation_of_a_code_do_not_matter(
    client: httpx2.AsyncClient, world: World, spelling: str, lower: bool
) -> None:
    code = begin(world)
    typed = spelling.format(*code.split("-"))
    fields = hidden_fields((await client.get("/activate")).text)
    answer = await client.post("/activate", data=fields | {"user_code": typed.lower() if lower else typed})

    assert answer.status_code == 200
    assert f'id="code">{code}<' in answer.text


async def refused(client: httpx2.AsyncClient, code: str) -> tuple[int, str]:
    """Type a code that does not work; return the status and the message that belongs to the field."""
    fields = hidden_fields((await client.get("/activate")).text)
    answer = await client.post("/activate", data=fields | {"user_code": code})
    page = Page(answer.text)
    (field,) = [attrs for attrs, _ in page.all("input") if attrs.get("name") == "user_code"]
    assert field["aria-invalid"] == "true"
    assert field["aria-describedby"] == "hint error"
    assert page.all("title")[0][1].startswith("Error: ")
    (message,) = [text for attrs, text in page.all("p") if attrs.get("id") == "error"]
    return answer.status_code, message


async def test_codes_that_do_not_work_are_explained_at_the_field(client: httpx2.AsyncClient, world: World) -> None:
    done, late = begin(world), begin(world)
    grant = signin.by_user_code(world, done)
    assert grant is not None
    signin.decide(world, grant, approve=True)

    assert await refused(client, " ") == (422, "Enter the code that the program shows.")
    status, message = await refused(client, "BCDF-GHJ")
    assert (status, message.split(".")[0]) == (404, "No program is waiting for this code")
    assert (await refused(client, done))[0] == 409
    world.clock.advance(600)
    assert await refused(client, late) == (410, "This code has expired. Let the program make a new one.")


async def test_guessing_ends_after_a_few_tries(client: httpx2.AsyncClient, world: World) -> None:
    code = begin(world)
    tries = [(await refused(client, f"BBBB-BBB{letter}"))[0] for letter in "BCDFGHJ"]
    assert tries == [404] * signin.MAX_WRONG_CODES + [429, 429]

    stopped = await client.get(f"/activate?user_code={code}")
    assert (stopped.status_code, stopped.headers["retry-after"]) == (429, "600")
    world.clock.advance(599)
    assert (await client.get(f"/activate?user_code={code}")).status_code == 429
    world.clock.advance(1)
    assert (await client.get(f"/activate?user_code={begin(world)}")).status_code == 200


async def test_answer_counts_once(client: httpx2.AsyncClient, world: World) -> None:
    form = hidden_fields((await client.get(f"/activate?user_code={begin(world)}")).text)
    statuses = [
        (await client.post("/activate", data=form | {"decision": decision})).status_code
        for decision in ("perhaps", "deny", "approve")
    ]

    assert statuses == [400, 200, 409]
    assert world.all("device_grant")[0]["status"] == "denied"
