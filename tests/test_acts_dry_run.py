"""A dry run shows the exact request and the checks, and sends nothing: for every command that is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hosts import CREDENTIALS, UNATTENDED, FixedToken, engine_of
from recorder import Recorder, recording

from kallyai_mcp import __version__
from kallyai_mcp.api import ApiClient
from kallyai_mcp.catalog import all_commands, find
from kallyai_mcp.errors import InvalidArguments
from kallyai_mcp.examples import Example, examples_of
from kallyai_mcp.model import Defaults
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from kallyai_mcp.model import Command

EXAMPLES = [
    pytest.param(command, example, id=f"{command.tool}-{number}")
    for command in all_commands()
    if command.is_recorded
    for number, example in enumerate(examples_of(command))
]


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


def rehearsed(
    recorder: Recorder, folder: Path, command: Command, arguments: Mapping[str, Any], **environ: str
) -> dict[str, Any]:
    """Run a command in a process of its own past, and return its answer."""

    async def run() -> dict[str, Any]:
        settings = Settings.read(
            UNATTENDED | {"KALLYAI_API_URL": recorder.origin, "KALLYAI_STATE_DIR": str(folder)} | environ
        )
        async with ApiClient(recorder.origin, version=__version__) as api:
            engine, parts = engine_of(settings, api, FixedToken(), Defaults(credentials=CREDENTIALS))
            result = await engine.run(command, arguments)
            await parts.aclose()
        return result.structured

    return anyio.run(run)


def checks(told: Mapping[str, Any]) -> dict[str, bool]:
    return {check["check"]: check["passed"] for check in told["checks"]}


@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_it_shows_the_exact_request_and_sends_nothing(
    recorder: Recorder, tmp_path: Path, command: Command, example: Example
) -> None:
    recorder.answers()
    told = rehearsed(recorder, tmp_path, command, example["arguments"] | {"dry_run": True})
    assert recorder.requests == []
    assert told["dry_run"] is True
    expected = example["request"]
    assert expected is not None
    shown = {name: told["request"][name] for name in ("method", "path", "query", "body")}
    if command.environment is None:
        assert shown == expected
    else:
        assert not any(value in str(shown) for value in CREDENTIALS.values())
    assert told["price_estimate"]
    assert told["undo"]
    assert checks(told).keys() >= {"not stopped", "destination", "not done before", "limits"}


def test_a_server_in_dry_run_sends_no_act_at_all(recorder: Recorder, tmp_path: Path) -> None:
    recorder.answers()
    arguments = {"phone": "+12025550100", "task": "Ask whether they are open on Sunday"}
    told = rehearsed(recorder, tmp_path, find("kallyai_calls_make"), arguments, KALLYAI_DRY_RUN="1")
    assert told["dry_run"] is True
    assert recorder.requests == []


@pytest.mark.parametrize(
    ("arguments", "environ", "failing"),
    [
        ({"phone": "+19005550199"}, {}, "destination"),
        ({"phone": "+12025550100"}, {"KALLYAI_MAX_CALLS_PER_HOUR": "0"}, "limits"),
        ({"phone": "+12025550100"}, {"KALLYAI_MAX_NEW_RECIPIENTS_PER_DAY": "0"}, "limits"),
        ({"phone": "+12025550100"}, {"KALLYAI_APPROVAL": "ask"}, "consent"),
        ({"phone": "+12025550100"}, {"KALLYAI_DENY_COUNTRIES": "US"}, "destination"),
    ],
    ids=["premium", "limit", "new people", "consent", "country"],
)
def test_it_names_the_check_that_would_not_be_passed(
    recorder: Recorder, tmp_path: Path, arguments: dict[str, Any], environ: dict[str, str], failing: str
) -> None:
    recorder.answers()
    whole = arguments | {"task": "Ask whether they are open on Sunday", "dry_run": True}
    told = rehearsed(recorder, tmp_path, find("kallyai_calls_make"), whole, **environ)
    assert [name for name, passed in checks(told).items() if not passed] == [failing]
    assert recorder.requests == []


@pytest.mark.parametrize("value", ["true", 1, []])
def test_a_dry_run_that_is_neither_true_nor_false_is_refused(recorder: Recorder, tmp_path: Path, value: object) -> None:
    """It must not be taken for a real run."""
    recorder.answers()
    arguments = {"phone": "+12025550100", "task": "Ask whether they are open on Sunday", "dry_run": value}
    with pytest.raises(InvalidArguments, match="dry_run"):
        rehearsed(recorder, tmp_path, find("kallyai_calls_make"), arguments)
    assert recorder.requests == []


def test_the_request_carries_the_number_that_was_judged(recorder: Recorder, tmp_path: Path) -> None:
    command = find("kallyai_outreach_create")
    given = {"description": "Ask for a call back", "target": "tel:+1-202-555-0143", "dry_run": True}
    told = rehearsed(recorder, tmp_path, command, given)
    assert told["request"]["body"]["recipient_identifier"] == "+12025550143"
    refused = rehearsed(recorder, tmp_path, command, given | {"target": "+12025550143,,911"})
    assert checks(refused)["destination"] is False
