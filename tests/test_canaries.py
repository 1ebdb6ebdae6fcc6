"""No secret leaves: every tool and every fault, with made-up tokens that are looked for in all that is written."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from canaries import (
    ACCESS,
    DEVICE,
    MAIL,
    NEW_ACCESS,
    NEW_REFRESH,
    PERSONAL,
    PHONE,
    REFRESH,
    SECRETS,
    WORDS,
    browser,
    command_lines,
    files_under,
    spilled,
    told,
    written_forms,
)
from canary_service import FAULTS, GRANT, PENDING, SIGN_IN_FAULTS, SLOW, CanaryService, faults_quoting, quoting
from full import FULL
from hosts import CREDENTIALS, SERVE, Host, environment
from recorder import WAIT

from kallyai_mcp.catalog import all_commands
from kallyai_mcp.examples import examples_of
from kallyai_mcp.journal.database import NAME as JOURNAL
from kallyai_mcp.model import Effect

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from kallyai_mcp.model import Command

REMOTE = [command for command in all_commands() if command.method is not None]
SOME = [command for command in REMOTE if command.tool in {"kallyai_calls_make", "kallyai_credits_balance"}] + [
    next(command for command in REMOTE if command.effect is effect) for effect in Effect
]
REFRESHING = ("ok", "400", "oauth", "500", "html ok", "redirect", "cut")
EVERY_TOOL = {"400", "422", "code", "html ok", "ok"}

# Deadlines of a second instead of half a minute.
HASTY = (
    "-c",
    "from kallyai_mcp.api import wire\n"
    "wire.Deadlines.total = lambda self, command: 0.5\n"
    "from kallyai_mcp.__main__ import main; raise SystemExit(main())",
)
# Everything that writes to stderr by itself does, with a token in its words.
MISBEHAVING = (
    "-c",
    "import asyncio, gc, logging, threading, warnings\n"
    "from kallyai_mcp.api import ApiClient\n"
    "async def lose(words): raise LookupError(words)\n"
    "class Unlucky:\n"
    "    def __init__(self, words): self.words = words\n"
    "    def __del__(self): raise LookupError(self.words)\n"
    "def end(words): raise LookupError(words)\n"
    "async def misbehave(self, command, request, tokens, *, run_id, before=None):\n"
    f"    token = await tokens.token(); words = f'{{token}} {WORDS} {PHONE} {MAIL}'\n"
    "    asyncio.get_running_loop().create_task(lose(words))\n"
    "    await asyncio.sleep(0.01); gc.collect()\n"
    "    Unlucky(words)\n"
    "    thread = threading.Thread(target=end, args=(words,)); thread.start(); thread.join()\n"
    "    logging.getLogger('kallyai_mcp').info('%d', words)\n"
    "    logging.getLogger('a.library').warning('token %s', token)\n"
    "    warnings.warn(f'token {token}', ResourceWarning)\n"
    "    raise LookupError(words) from KeyError(words)\n"
    "ApiClient.send = misbehave\n"
    "from kallyai_mcp.__main__ import main; raise SystemExit(main())",
)


@pytest.fixture(scope="module")
def service() -> Generator[CanaryService]:
    with quoting() as made:
        yield made


@contextmanager
def watched(
    folder: Path, service: CanaryService, *, ends_in: float = 3000, command: Sequence[str] = SERVE, **more: str
) -> Generator[Host]:
    """Give a server that is signed in by a file; when it has ended, all it wrote is searched."""
    path = folder / "home" / "token.json"
    path.parent.mkdir()
    path.touch(0o600)
    fields = {"access_token": ACCESS, "refresh_token": REFRESH, "expires_at": time.time() + ends_in}
    path.write_text(json.dumps(fields))
    environ = environment(
        folder / "home",
        service.origin,
        KALLYAI_TOKEN_FILE=str(path),
        KALLYAI_LOG_LEVEL="debug",
        KALLYAI_DEVICE_AUTHORIZATION_URL=f"{service.origin}/device",
        KALLYAI_TOKEN_URL=f"{service.origin}/device/token",
        PYTHONWARNINGS="always",
        **more,
    )
    del environ["KALLYAI_ACCESS_TOKEN"]
    host = Host(folder / "home", environ, command)
    host.listen()
    try:
        host.connect("2025-11-25")
        yield host
        assert host.is_alive()
        lines = command_lines(host.process.pid)
        assert lines or not sys.platform.startswith("linux")
        assert not [line for line in lines if spilled(line, SECRETS)]
    finally:
        host.close()
    for name, content in files_under(folder, [path]).items():
        # What an act is looked up by is kept for a while, for its owner alone; not so in the receipts, which stay.
        told_to_nobody = SECRETS if Path(name) == Path(environ["KALLYAI_STATE_DIR"], JOURNAL) else (*SECRETS, *PERSONAL)
        assert spilled(content, told_to_nobody) == set(), name
    assert spilled(receipts(Path(environ["KALLYAI_STATE_DIR"], JOURNAL)), {*SECRETS, *PERSONAL}) == set()


def receipts(journal: Path) -> str:
    """Return the whole log of receipts, as it is kept."""
    if not journal.exists():
        return ""
    assert journal.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as database:
        return "\n".join(map(repr, database.execute("SELECT * FROM receipt")))


def with_canaries(value: Any) -> Any:
    """Put a made-up person's number, address and words in the place of those of an example."""
    if isinstance(value, dict):
        return {key: with_canaries(inner) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]  # JSON
    if isinstance(value, list):
        return [with_canaries(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]  # JSON
    if not isinstance(value, str):
        return value
    if "@" in value:
        return MAIL
    if value.startswith("+") and value[1:].isdigit():
        return PHONE
    return WORDS if " " in value else value


def run(host: Host, command: Command) -> Mapping[str, Any]:
    """Run a tool with a person's words; where they do not fit an argument, with those of the example."""
    arguments = examples_of(command)[0]["arguments"]
    result = host.run(command.tool, with_canaries(arguments))
    if result["isError"] and result["structuredContent"]["error"]["code"] == "invalid_arguments":
        check(result)
        result = host.run(command.tool, arguments)
    return result


def check(result: Mapping[str, Any]) -> None:
    if result["isError"]:
        assert spilled(told(result), SECRETS) == set(), told(result)
        assert spilled(told(result), (PHONE[1:], MAIL), written_forms) == set(), told(result)


@pytest.mark.parametrize("name", FAULTS)
def test_no_answer_of_the_service_makes_a_secret_leave(tmp_path: Path, service: CanaryService, name: str) -> None:
    service.fault = service.refresh = FAULTS[name]
    is_slow = name in SLOW
    with watched(tmp_path, service, command=HASTY if is_slow else SERVE) as host:
        for command in REMOTE if FULL or name in EVERY_TOOL else SOME:
            check(run(host, command))


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "timeout"] if FULL else REFRESHING)
def test_no_answer_to_a_refresh_makes_a_secret_leave(tmp_path: Path, service: CanaryService, name: str) -> None:
    service.fault, service.refresh = FAULTS["ok"], SIGN_IN_FAULTS[name]
    service.device_start = SIGN_IN_FAULTS[name]
    with watched(tmp_path, service, ends_in=-1) as host:
        for tool in ("kallyai_credits_balance", "kallyai_auth_status"):
            check(host.run(tool))


@pytest.mark.parametrize("name", ["pending", "grant", *SIGN_IN_FAULTS] if FULL else ["grant", "400", "oauth"])
def test_a_sign_in_shows_its_codes_page_and_nothing_secret_not_to_the_browser_either(tmp_path: Path, name: str) -> None:
    with quoting() as service:
        service.device_token = {"pending": PENDING, "grant": GRANT}.get(name) or SIGN_IN_FAULTS[name]
        opened = tmp_path / "browser.told"
        program = browser(tmp_path)
        with watched(tmp_path, service, BROWSER=f"{program} %s", DISPLAY=":7") as host:
            host.run("kallyai_logout")
            begun = host.run("kallyai_login")
            assert "ABCD-EFGH" in told(begun)
            assert spilled(told(begun), SECRETS) == set()
            waited = time.monotonic() + WAIT
            while not opened.exists() and time.monotonic() < waited:
                assert spilled("\n".join(command_lines(host.process.pid)), SECRETS) == set()
                time.sleep(0.02)
            dump = opened.read_text()
            assert f"{service.origin}/page" in dump
            assert "PATH=" in dump
            assert "KALLYAI_" not in dump
            assert spilled(dump, {*SECRETS, *CREDENTIALS.values()}) == set()
            waited = time.monotonic() + WAIT
            while not service.asked.wait(0.1) and time.monotonic() < waited:
                host.run("kallyai_login")
            after = host.run("kallyai_login")
            assert spilled(told(after), SECRETS) == set()
            if name == "grant":
                service.fault = faults_quoting((NEW_ACCESS, NEW_REFRESH, DEVICE))["422"]
                result = host.run("kallyai_credits_balance")
                assert result["isError"]
                check(result)


def test_what_breaks_in_any_way_is_logged_without_its_words(tmp_path: Path, service: CanaryService) -> None:
    with watched(tmp_path, service, command=MISBEHAVING) as host:
        for command in SOME:
            result = run(host, command)
            assert result["structuredContent"]["error"]["code"] == "internal_error"
            check(result)
    for trace in ("Task exception was never retrieved", "A thread ended", "nobody to go to", "could not be written"):
        assert trace in host.stderr


def test_what_is_no_message_is_logged_without_its_words(tmp_path: Path, service: CanaryService) -> None:
    """Whoever writes to the server may quote secrets in lines that are no protocol."""
    with watched(tmp_path, service) as host:
        for words in (*SECRETS, *PERSONAL):
            quoted = json.dumps(words)
            for line in (
                words,
                quoted,
                f'{{"jsonrpc": "2.0", "method": {quoted}, "params": {quoted}}}',
                f'{{"jsonrpc": "2.0", "method": "notifications/{WORDS}", "params": {{"x": {quoted}}}}}',
                f'{{"jsonrpc": "2.0", "method": "notifications/progress", "params": {{"progressToken": {quoted}}}}}',
                f'{{"jsonrpc": "2.0", "id": 990, "result": {quoted}}}',
            ):
                host.write(line.encode() + b"\n")
        while True:
            number = host.ask("ping")
            while "id" in (message := host.next()) and message["id"] != number:
                pass
            if message.get("id") == number:
                break
