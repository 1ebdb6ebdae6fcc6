"""The sandbox's API over HTTP: routes, tokens, checks of arguments, repeats."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from kallyai_mcp import catalog
from kallyai_mcp.examples import examples_of
from kallyai_mcp.model import Args, Command, Effect, arg
from kallyai_mcp.model.codes import CODES
from kallyai_mcp.sandbox.app import MAX_BODY
from kallyai_mcp.sandbox.intake import read_arguments
from kallyai_mcp.sandbox.scopes import SCOPES, needed_scope
from kallyai_mcp.sandbox.serve import SandboxOptions
from tests.sandbox_core import CALL, call_with, connected, error_of, small_world

if TYPE_CHECKING:
    import httpx2

pytestmark = pytest.mark.anyio


async def test_every_answer_says_that_it_is_the_sandbox() -> None:
    async with connected(small_world()) as client:
        for path in ("/v1/calls/sbx_call_1/transcript", "/nowhere", "/sandbox/state", "/v1/credits/plans"):
            answer = await client.get(path)
            assert answer.headers["X-KallyAI-Sandbox"] == "true"
            assert answer.headers["X-Request-Id"].startswith("sbx_req_")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_token"),
        ("Basic a2FsbHk6YWk=", "missing_token"),
        ("Bearer ", "missing_token"),
        ("Bearer kallyai_sandbox_at_unknown", "token_expired"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.live", "token_expired"),
    ],
)
async def test_a_request_without_a_good_token_is_refused(header: str | None, code: str) -> None:
    async with connected(small_world(), token=None) as client:
        answer = await client.get("/v1/credits/balance", headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, error_of(answer)["code"]) == (401, code)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_public_addresses_need_no_token() -> None:
    async with connected(small_world(), token=None) as client:
        for command in catalog.all_commands():
            if command.public and command.method is not None:
                example = examples_of(command)[0]["request"]
                assert example is not None
                answer = await client.request(example["method"], example["path"], params=example["query"])
                assert answer.status_code < 400


async def test_a_token_opens_what_its_scopes_allow() -> None:
    async with connected(small_world(), token=None) as client:
        issued = (await client.post("/sandbox/tokens", json={"scopes": ["credits:read"]})).json()
        signed_in = {"Authorization": f"Bearer {issued['access_token']}"}
        allowed = await client.get("/v1/credits/balance", headers=signed_in)
        refused = await client.post("/v1/calls", json=CALL, headers=signed_in)
    assert allowed.status_code == 200
    assert (refused.status_code, error_of(refused)["code"]) == (403, "forbidden")
    assert error_of(refused)["details"] == {"scope": "calls:write"}


def test_every_scope_demanded_is_a_documented_one() -> None:
    demanded = {needed_scope(command) for command in catalog.all_commands() if not command.public}
    assert demanded - {None} == set(SCOPES) - {"billing:manage"}


async def test_a_revoked_or_expired_token_is_refused() -> None:
    async with connected(small_world(), token=None) as client:
        first = (await client.post("/sandbox/tokens", json={"expires_in": 60})).json()["access_token"]
        await client.post("/sandbox/clock", json={"advance": 60})
        second = (await client.post("/sandbox/tokens")).json()["access_token"]
        await client.delete("/sandbox/tokens")
        for token in (first, second):
            answer = await client.get("/v1/credits/balance", headers={"Authorization": f"Bearer {token}"})
            assert error_of(answer)["code"] == "token_expired"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/calls/a%2Fb/transcript/c", 404),
        ("PUT", "/v1/calls", 405),
        ("HEAD", "/v1/calls", 405),
        ("PUT", "/sandbox/clock", 405),
        ("GET", "/v1/auth/refresh", 405),
    ],
)
async def test_what_is_not_there_is_refused_in_the_envelope(method: str, path: str, status: int) -> None:
    async with connected(small_world()) as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    if method != "HEAD":
        assert error_of(answer)["message"]
    assert ("Allow" in answer.headers) == (status == 405)


async def test_an_encoded_slash_stays_within_its_segment() -> None:
    world = small_world()
    world.add("call", {"to": "x"}, id="a/b?c")
    async with connected(world) as client:
        answer = await client.get("/v1/calls/a%2Fb%3Fc/transcript")
    assert answer.json() == {"entries": ["x"]}


async def test_an_unknown_id_is_the_documented_404() -> None:
    async with connected(small_world()) as client:
        answer = await client.get("/v1/calls/sbx_call_0/transcript")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "call_not_found")


async def test_a_command_without_an_area_answers_with_its_example() -> None:
    (example, *_) = examples_of(catalog.find("kallyai_credits_balance"))
    async with connected(small_world()) as client:
        answer = await client.get("/v1/credits/balance")
    assert answer.json() == example["answer"]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (call_with(respondent_phone="555 0100"), 422, "missing_phone_number", "submission.respondent_phone"),
        (call_with(language="fr"), 422, "unsupported_language", "submission.language"),
        (call_with(task_description="short"), 422, None, "submission.task_description"),
        (call_with(party_size=0), 422, None, "submission.party_size"),
        (call_with(party_size="two"), 422, None, "submission.party_size"),
        (call_with(is_urgent=None), 422, None, "submission.is_urgent"),
        (call_with(shout=True), 422, None, "submission.shout"),
        ({**CALL, "phone": "+15550100"}, 422, None, "phone"),
        ({**CALL, "submission.is_urgent": True}, 422, None, "'submission.is_urgent'"),
        ({**CALL, "submission": []}, 422, "missing_phone_number", "submission"),
    ],
)
async def test_a_body_is_checked_by_the_declaration(
    body: dict[str, Any], status: int, code: str | None, field: str
) -> None:
    async with connected(world := small_world()) as client:
        answer = await client.post("/v1/calls", json=body)
    error = error_of(answer)
    assert (answer.status_code, error.get("code")) == (status, code)
    assert field in [entry["field"] for entry in error["details"]["fields"]]
    assert world.counts() == {}


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b"[" * 100_000, "application/json"),
        (json.dumps(CALL).encode(), "text/plain"),
    ],
)
async def test_a_body_that_is_no_json_object_is_malformed(content: bytes, content_type: str) -> None:
    async with connected(small_world()) as client:
        answer = await client.post("/v1/calls", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == 400
    assert "code" not in error_of(answer)


async def test_a_body_too_large_is_not_read() -> None:
    async with connected(small_world()) as client:
        answer = await client.post("/v1/calls", content=b" " * (MAX_BODY + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("colour=red", "colour"),
    ],
)
async def test_a_query_is_checked_by_the_declaration(query: str, field: str) -> None:
    async with connected(small_world()) as client:
        answer = await client.get(f"/v1/calls?{query}")
    assert answer.status_code == 422
    assert [entry["field"] for entry in error_of(answer)["details"]["fields"]] == [field]


@pytest.mark.parametrize("operation", ["connect", "test"])
async def test_credentials_of_a_channel_are_demanded_and_not_kept(operation: str) -> None:
    world = small_world()
    path = f"/v1/channels/webhook/telegram/{operation}"
    async with connected(world) as client:
        assert (await client.post(path, json={"bot_token": "123:secret"})).status_code == 200
        missing = await client.post(path, json={})
        foreign = await client.post(path, json={"bot_token": "123:secret", "access_token": "x"})
    assert [entry["field"] for entry in error_of(missing)["details"]["fields"]] == ["bot_token"]
    assert [entry["field"] for entry in error_of(foreign)["details"]["fields"]] == ["access_token"]
    assert "secret" not in json.dumps(world.all("request"))


async def test_the_same_key_places_one_call() -> None:
    world = small_world()
    async with connected(world) as client:
        key = {"Idempotency-Key": "7c9e6679-7425-40de-944b-e07fc1f90ae7"}
        answers: list[httpx2.Response] = []

        async def place() -> None:
            answers.append(await client.post("/v1/calls", json=CALL, headers=key))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(place)
            await place()
        turned = dict(reversed(CALL.items()))
        answers.append(await client.post("/v1/calls", json=turned, headers=key))
        other = await client.post("/v1/calls", json=call_with(party_size=2), headers=key)
    assert len({answer.text for answer in answers}) == 1
    assert (len(answers), len(world.all("call"))) == (7, 1)
    assert other.status_code == 409
    assert [request["idempotency_key"] for request in world.all("request")] == [*key.values()] * 8


async def test_without_a_key_each_request_is_a_call() -> None:
    world = small_world()
    async with connected(world) as client:
        for _ in range(2):
            await client.post("/v1/calls", json=CALL)
    assert len(world.all("call")) == 2


async def test_an_interrupted_first_request_is_not_done_again() -> None:
    world = small_world()
    world.clock.speed = 0
    async with connected(world) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.post("/v1/calls", json=CALL, headers={"Idempotency-Key": "k"}))
            with anyio.fail_after(60):
                while not world.all("call"):
                    await world.change()
            group.cancel_scope.cancel()
        answer = await client.post("/v1/calls", json=CALL, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, len(world.all("call"))) == (409, 1)


async def test_every_command_answers_its_example() -> None:
    """Ids of the examples are unknown to the sandbox, so a documented refusal is as good an answer as a success."""
    world = SandboxOptions.repeatable().world()
    async with connected(world) as client:
        for command in catalog.all_commands():
            for example in examples_of(command):
                if (request := example["request"]) is None:
                    continue
                with anyio.fail_after(60):
                    answer = await client.request(
                        request["method"], request["path"], params=request["query"], **body_of(request["body"])
                    )
                assert answer.status_code < 500, command.name
                if answer.status_code >= 400:
                    assert error_of(answer)["message"], command.name
                    assert error_of(answer).get("code", "known") in {*CODES, "known"}


def body_of(body: dict[str, Any] | None) -> dict[str, Any]:
    return {} if body is None else {"json": body}


async def test_every_area_answers_commands_that_there_are() -> None:
    """A command without an area of its own is answered with its example's sample, so that a new one works at once."""
    world = SandboxOptions.repeatable().world()
    assert world.handlers.keys() <= {command.name for command in catalog.all_commands() if command.method is not None}


async def test_a_number_in_a_path_is_read_as_a_number() -> None:
    class Place(Args):
        index: int = arg("Place in the list.")

    command = Command(
        domain="lists",
        words=("lists",),
        args=Place,
        method="GET",
        path="/v1/lists/{index}",
        effect=Effect.READ,
        answer={},
    )
    assert read_arguments(command, {"index": "7"}, [], b"", "").model_dump() == {"index": 7}
