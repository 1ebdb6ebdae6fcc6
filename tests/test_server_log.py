"""What the server writes to stderr: enough to find a fault by, and nothing that is anybody's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, quote_plus

import pytest
from hosts import CREDENTIALS, TOKEN, Host, environment, hosting
from recorder import WAIT, Recorder, Reply, answer, recording

from kallyai_mcp.catalog import all_commands
from kallyai_mcp.examples import examples_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

CALL = ("kallyai_calls_make", {"phone": "+12025550143", "task": "Ask until when the kitchen is open"})

# Something breaks in a way nobody foresaw, with what was being worked on in the text of the exception.
BREAKING = (
    "-c",
    "from kallyai_mcp.api import ApiClient\n"
    "async def break_down(self, command, request, tokens, *, run_id, before=None):\n"
    "    raise LookupError(f'{request} {await tokens.token()}')\n"
    "ApiClient.send = break_down\n"
    "from kallyai_mcp.__main__ import main; raise SystemExit(main())",
)
# Likewise, but it ends the server.
CRASHING = (
    "-c",
    "import kallyai_mcp.server as server\n"
    "async def crash(*given, **named):\n"
    f"    raise LookupError('Ask until when {TOKEN} 2025550143')\n"
    "server.serve_stdio = crash\n"
    "from kallyai_mcp.__main__ import main; raise SystemExit(main())",
)


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in cast("dict[str, Any]", value).values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _texts(inner)


def _canaries() -> set[str]:
    """Every text of the examples that is somebody's words, name, number or address; short ones would occur anyway."""
    found: set[str] = set()
    for command in all_commands():
        for example in examples_of(command):
            found |= {text for text in (*_texts(example["arguments"]), *_texts(example["answer"])) if len(text) > 7}
    return {text for text in found if " " in text or "@" in text or text.lstrip("+").isdigit()} | {TOKEN}


def _spill(canaries: set[str], said: str) -> list[str]:
    return [canary for canary in canaries if any(form in said for form in _forms(canary))]


def _forms(text: str) -> set[str]:
    """A text as it is, in JSON, as Python shows it, and in an address."""
    return {text, json.dumps(text)[1:-1], repr(text)[1:-1], quote(text, safe=""), quote_plus(text)}


def _wreck(status: int, text: str) -> Reply:
    return answer({"error": {"code": "quota_exceeded", "message": text}}, status, ("X-Secret", text.encode().hex()))


FAULTS: list[Callable[[str], Reply]] = [
    lambda text: answer({"text": text}),
    lambda text: _wreck(500, text),
    lambda text: _wreck(422, text),
    lambda text: _wreck(401, text),
    lambda text: Reply(200, f"<html>{text}".encode(), (("Content-Type", "text/html"),)),
    lambda text: Reply(200, f'{{"text": "{text}'.encode()),
    lambda text: Reply(302, b"", (("Location", f"https://elsewhere.example/?token={TOKEN}&to=%2B12025550143"),)),
    lambda text: Reply(200, text.encode() * 3, cut=5),
]


@pytest.mark.parametrize("fault", FAULTS, ids=["ok", "500", "422", "401", "html", "half", "redirect", "cut"])
def test_the_log_holds_nothing_that_is_anybodys(
    tmp_path: Path, recorder: Recorder, fault: Callable[[str], Reply]
) -> None:
    canaries = _canaries() | set(CREDENTIALS.values())
    said = "Call me back at +1 (202) 555-0143, says Ana"
    with hosting(tmp_path, recorder.origin, KALLYAI_LOG_LEVEL="debug", PYTHONWARNINGS="always") as logged:
        for command in all_commands():
            if command.method == "GET" and fault in FAULTS[-1:]:
                continue  # would be repeated, with a wait each time
            reply = fault(said)
            # What is read around an act would be repeated likewise.
            about = command if fault in FAULTS[-1:] else None
            recorder.answers(replace(reply, headers=(*reply.headers, ("Set-Cookie", f"said={said}"))), about=about)
            logged.run(command.tool, examples_of(command)[0]["arguments"])
            logged.run(command.tool, examples_of(command)[0]["arguments"] | {"surplus": said})
        assert logged.is_alive()
    assert _spill(canaries | {"Call me back", "says Ana", "555-0143", "2025550143"}, logged.stderr) == []


def test_what_nobody_foresaw_is_told_to_the_host_and_logged_without_its_words(
    tmp_path: Path, recorder: Recorder
) -> None:
    canaries = {*_canaries(), "Ask until when", "2025550143"}
    with hosting(tmp_path, recorder.origin, command=BREAKING) as broken:
        result = broken.run(*CALL)
        assert (result["isError"], result["structuredContent"]["error"]["code"]) == (True, "internal_error")
        assert broken.is_alive()
    assert _spill(canaries, json.dumps(result)) == []
    assert "LookupError" in broken.stderr
    assert "break_down" in broken.stderr
    assert _spill(canaries, broken.stderr) == []


def test_what_ends_the_server_is_logged_without_its_words(tmp_path: Path, recorder: Recorder) -> None:
    with hosting(tmp_path, recorder.origin, None, command=CRASHING) as broken:
        assert broken.leaves(WAIT) == 1
    assert "LookupError" in broken.stderr
    assert _spill({TOKEN, "Ask until when", "2025550143"}, broken.stderr) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("KALLYAI_API_URL", "http://example.com"), ("KALLYAI_LOG_LEVEL", "loud"), ("KALLYAI_ACCESS_TOKEN", "two words")],
)
def test_settings_that_cannot_be_used_end_it_with_a_sentence(tmp_path: Path, name: str, value: str) -> None:
    environ = environment(tmp_path, "http://127.0.0.1:1") | {name: value}
    host = Host(tmp_path, environ)
    host.listen()
    try:
        assert host.leaves(WAIT) == 2
        assert name in host.stderr
        assert "Traceback" not in host.stderr
        assert value not in host.stderr
    finally:
        host.close()
    assert host.lines == []
