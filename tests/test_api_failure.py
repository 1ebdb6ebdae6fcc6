"""Every documented refusal, in both envelope forms, becomes an error that says what to do."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from api_world import GET_GOALS, GOALS, POST_MAIL, RUN, SEND_MAIL, FakeTokens, raw, reply, scripted

from kallyai_mcp.catalog import by_tool, find
from kallyai_mcp.errors import ApiError
from kallyai_mcp.model import ApiRequest
from kallyai_mcp.model.codes import CODES, EMAIL_ALREADY_ADDED, STATUS_FALLBACKS, Code, fallback

pytestmark = pytest.mark.anyio

ID = "3d0f6a52-8a51-4f2c-9d7b-0c5b1e6f2a11"


def form_a(code: str, text: str, details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": text, "details": details, "correlation_id": ID}}


def form_b(code: str, text: str, details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "details": {"message": text} | details, "correlation_id": ID}}


REFUSALS = [code for code in CODES.values() if code.http_status != 401]


async def refusal(*replies: Any, command: Any = GOALS, request: ApiRequest = GET_GOALS, **options: Any) -> ApiError:
    client, _ = scripted(*replies, **options)
    with pytest.raises(ApiError) as caught:
        await client.send(command, request, FakeTokens(), run_id=RUN)
    return caught.value


@pytest.mark.parametrize("envelope", [form_a, form_b])
@pytest.mark.parametrize("code", REFUSALS, ids=lambda code: code.code)
async def test_a_documented_code_brings_its_meaning(code: Code, envelope: Any) -> None:
    error = await refusal(reply(code.http_status, envelope(code.code, "Some text.", {"reason": "a rule"})))
    assert error.as_dict() == {
        "code": code.code,
        "message": f"{code.meaning} The service says: Some text.",
        "next_step": code.next_step,
        "retryable": code.retryable,
        "http_status": code.http_status,
        "correlation_id": ID,
        "reason": "a rule",
    }


@pytest.mark.parametrize("code", [*CODES.values(), *STATUS_FALLBACKS.values(), EMAIL_ALREADY_ADDED], ids=str)
def test_next_steps_name_tools_that_exist(code: Code) -> None:
    assert set(re.findall(r"kallyai_\w+", code.next_step)) <= by_tool().keys()
    assert code.meaning.endswith(".")
    assert code.next_step.endswith(".")


@pytest.mark.parametrize("status", [*STATUS_FALLBACKS, 418, 451, 502, 504, 507, 599])
async def test_a_status_without_envelope_has_its_own_code(status: int) -> None:
    if status == 401:
        assert fallback(401).code == "http_401"
        return
    error = await refusal(raw(b"<html><b>secret page</b></html>", "text/html", status))
    assert (error.error_code, error.http_status) == (f"http_{status}", status)
    assert error.message == fallback(status).meaning


async def test_an_unknown_code_is_kept_beside_the_status() -> None:
    error = await refusal(reply(422, {"error": {"code": "new_rule", "message": "No."}}))
    assert error.error_code == "http_422"
    assert error.details == {"api_code": "new_rule"}
    assert error.message.endswith("The service says: No.")


@pytest.mark.parametrize("code", ["tel_15551234567", "a b", "x" * 65, "", "<b>"])
async def test_a_code_that_is_no_identifier_is_not_repeated(code: str) -> None:
    assert (await refusal(reply(422, {"error": {"code": code}}))).details == {}


@pytest.mark.parametrize(
    "data",
    [None, 1, [], "text", {"error": "text"}, {"error": []}, {"error": {"code": 5, "message": {}, "details": []}}],
    ids=str,
)
async def test_a_deformed_envelope_is_reported_by_its_status(data: Any) -> None:
    assert (await refusal(reply(404, data))).error_code == "http_404"


async def test_plain_text_is_shown_and_html_is_not() -> None:
    shown = await refusal(raw(b"Closed for\x00 repairs", "text/plain", 404))
    assert shown.message.endswith("The service says: Closed for repairs")
    assert "page" not in (await refusal(raw(b"  <!doctype html><p>page", "text/plain", 404))).message


async def test_personal_data_in_a_message_is_masked() -> None:
    error = await refusal(
        reply(
            403,
            {
                "error": {
                    "code": "blocked_number",
                    "message": "+15551234567 of a@b.example",
                    "details": {"reason": "+1 555 123 4567"},
                }
            },
        )
    )
    assert error.message.endswith("The service says: [number] of [address]")
    assert error.details["reason"] == "[number]"


@pytest.mark.parametrize(
    ("page", "is_shown"),
    [
        ("https://kallyai.com/app?upgrade=true", True),
        ("https://www.kallyai.com/x", True),
        ("http://kallyai.com/x", False),
        ("https://kallyai.com.evil.example/x", False),
        ("https://evil.example\\@kallyai.com/", False),
        ("https://a@kallyai.com/", False),
        ("https://[kallyai.com/", False),
        ("javascript:alert(1)", False),
        (7, False),
    ],
)
async def test_only_kallyais_own_upgrade_page_is_shown(page: Any, is_shown: bool) -> None:
    details = {"plan_type": "starter", "upgrade_url": page, "minutes_allocated": 9, "minutes_used": 9}
    error = await refusal(reply(402, form_a("quota_exceeded", "Used up.", details)))
    assert error.details == {"plan_type": "starter"} | ({"upgrade_url": page} if is_shown else {})


@pytest.mark.parametrize("given", [5, "", "x" * 129, "a\nb", None], ids=str)
async def test_a_correlation_id_that_is_none_is_left_out(given: Any) -> None:
    error = await refusal(reply(404, {"error": {"code": "goal_not_found", "correlation_id": given}}))
    assert error.correlation_id is None


async def test_a_second_registration_of_an_address_is_explained() -> None:
    command = find("kallyai_channels_email_add")
    error = await refusal(reply(409, {}), command=command, request=ApiRequest("POST", command.path, (), {}))
    assert (error.error_code, error.next_step) == ("http_409", EMAIL_ALREADY_ADDED.next_step)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("70", 70),
        ("999999999999999", 3600),
        ("Thu, 01 Jan 1970 00:02:30 GMT", 90),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("soon", None),
        ("-5", None),
        ("٣", None),
    ],
)
async def test_retry_after_is_told_in_seconds(header: str, seconds: int | None) -> None:
    error = await refusal(
        httpx2.Response(429, headers=[(b"Retry-After", header.encode())]),
        clock=lambda: 60.0,
        command=SEND_MAIL,
        request=POST_MAIL,
    )
    assert error.details.get("retry_after_seconds") == seconds
    assert error.retryable


async def test_a_failed_act_is_not_called_retryable() -> None:
    error = await refusal(reply(503), command=SEND_MAIL, request=POST_MAIL)
    assert not error.retryable
    assert error.details["outcome"] == "unknown"
    assert "kallyai_actions_log" in error.next_step
