"""The pipes: nothing but protocol comes out of the server, whatever prints; and anything at all may come in."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from fences import with_origin
from hosts import LEGACY, MODERN, Host, hosting
from recorder import WAIT, Recorder, answer, recording

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ERAS = [LEGACY[-1], MODERN]
READ: tuple[str, dict[str, Any]] = ("kallyai_coord_goals", {})

# A library that prints, writes and starts a child that does so and reads, within a run and after all is over.
PRINTING = (
    "-c",
    "import atexit, os, subprocess\n"
    "import kallyai_mcp.server.stdio as stdio; stdio.LAST_MOMENT = 600.0\n"  # by which it would not end in order
    "from kallyai_mcp.api import ApiClient\n"
    "send = ApiClient.send\n"
    "async def talkative(*given, **named):\n"
    "    print('noise: printed', flush=True)\n"
    "    os.write(1, b'noise: written\\n')\n"
    "    assert subprocess.run(['cat'], capture_output=True).stdout == b''\n"
    "    subprocess.run(['echo', 'noise: a child'])\n"
    "    return await send(*given, **named)\n"
    "ApiClient.send = talkative\n"
    "atexit.register(lambda: (print('noise: at exit', flush=True), os.write(1, b'noise: written at exit\\n')))\n"
    "from kallyai_mcp.__main__ import main; raise SystemExit(main())",
)
# Python runs this before anything else; whoever imports one of the modules meets noise, or a signal.
AT_IMPORT = """
import os, signal, sys
class Noisy:
    def find_spec(self, name, path=None, target=None):
        if name in {"anyio", "anyio._backends._asyncio", "mcp.server.lowlevel.server", "httpx2", "tenacity"}:
            print("noise: import of", name)
            os.write(1, b"noise: import, written\\n")
        if name == os.environ.get("INTERRUPT_AT"):
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Noisy())
"""


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


@pytest.fixture(scope="module", params=ERAS)
def host(
    request: pytest.FixtureRequest, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Host]:
    with hosting(tmp_path_factory.mktemp("host"), recorder.origin, request.param) as made:
        yield made


@pytest.fixture
def noisy(tmp_path: Path) -> str:
    """A folder for PYTHONPATH whose modules make the libraries noisy."""
    folder = tmp_path / "noisy"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(AT_IMPORT)
    return str(folder)


@pytest.mark.parametrize("module", ["anyio", "mcp.server.lowlevel", "kallyai_mcp.app"])
def test_an_interrupt_while_it_starts_ends_it_quietly(
    tmp_path: Path, recorder: Recorder, noisy: str, module: str
) -> None:
    with hosting(tmp_path, recorder.origin, None, PYTHONPATH=noisy, INTERRUPT_AT=module) as starting:
        assert starting.leaves(WAIT) == 130
        assert "Traceback" not in starting.stderr


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("how", [signal.SIGTERM, None])
def test_nothing_but_protocol_reaches_stdout(
    tmp_path: Path, recorder: Recorder, era: str, how: signal.Signals | None
) -> None:
    with hosting(tmp_path, recorder.origin, era, command=PRINTING) as listening:
        recorder.answers(answer({}, 503, ("Retry-After", "0")), answer({"goals": []}))
        assert listening.run(*READ)["structuredContent"] == with_origin(READ[0], {"goals": []})
        assert listening.is_alive()
        listening.stop(how)
        listening.leaves(WAIT)
    for line in listening.lines:
        assert json.loads(line)["jsonrpc"] == "2.0"
    for noise in ("printed", "written", "a child", *([] if how else ["at exit", "written at exit"])):
        assert f"noise: {noise}" in listening.stderr


@pytest.mark.parametrize("era", ERAS)
def test_libraries_that_print_while_imported_do_not_reach_stdout(
    tmp_path: Path, recorder: Recorder, noisy: str, era: str
) -> None:
    """The way every host starts it; what Python itself runs before our first line is out of reach."""
    with hosting(tmp_path, recorder.origin, era, PYTHONPATH=noisy) as listening:
        recorder.answers(answer({}, 503, ("Retry-After", "0")), answer({"goals": []}))
        assert listening.run(*READ)["structuredContent"] == with_origin(READ[0], {"goals": []})
    for line in listening.lines:
        assert json.loads(line)["jsonrpc"] == "2.0"
    for module in ("anyio", "mcp.server.lowlevel.server", "httpx2", "tenacity"):
        assert f"noise: import of {module}\n" in listening.stderr
    assert "noise: import, written" in listening.stderr


NONSENSE = [
    b"",
    b" ",
    b"not json",
    b"{",
    b"[]",
    b"[{}]",
    b"null",
    b"7",
    b'"text"',
    b"{}",
    b'{"jsonrpc": "2.0"}',
    b'{"jsonrpc": "1.0", "id": 1, "method": "tools/list"}',
    b'{"jsonrpc": "2.0", "id": {}, "method": "tools/list"}',
    b'{"jsonrpc": "2.0", "id": 5, "method": 5}',
    b'{"jsonrpc": "2.0", "method": "no/such/notification"}',
    b'{"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "x", "progress": "y"}}',
    b'{"jsonrpc": "2.0", "id": 99, "result": {}}',
    b'{"jsonrpc": "2.0", "id": 99, "error": {"code": 1, "message": "x"}}',
    b"\xff\xfe\x00\x01",
    b'{"jsonrpc": "2.0", "id": "\xff", "method": "ping\xff"}',
    b"\x00" * 100,
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"x" * 1_000_000,
    b"GET / HTTP/1.1\r",
]


def test_nonsense_leaves_the_server_alive(host: Host, recorder: Recorder) -> None:
    recorder.answers(answer({"goals": []}))
    for line in NONSENSE:
        host.write(line + b"\n")
        number = host.ask("tools/list")
        while (message := host.next()).get("id") != number:
            assert message.get("error"), line[:80]
    assert host.run(*READ)["structuredContent"] == with_origin(READ[0], {"goals": []})
    assert "Traceback" not in host.stderr


def test_what_is_no_message_is_answered_with_an_error(host: Host) -> None:
    """A host that made a mistake would otherwise wait for ever (JSON-RPC 2.0, 5.1)."""
    for line, code, number in (
        (b"{not json", -32700, None),
        (b"[]", -32600, None),
        (b'{"jsonrpc": "2.0", "id": "mine", "method": 5}', -32600, "mine"),
        (b'{"jsonrpc": "1.0", "id": 7, "method": "ping"}', -32600, 7),
    ):
        host.write(line + b"\n")
        message = host.next()
        assert (message["id"], message["error"]["code"]) == (number, code)


def test_the_messages_of_a_batch_are_answered_one_by_one(tmp_path: Path, recorder: Recorder) -> None:
    """Protocol 2025-03-26 has servers take batches (basic, JSON-RPC batching)."""
    with hosting(tmp_path, recorder.origin, "2025-03-26") as early:
        batch = [{"jsonrpc": "2.0", "id": f"batch-{number}", "method": "ping"} for number in range(3)]
        early.write(json.dumps(batch).encode() + b"\n")
        assert {early.next()["id"] for _ in batch} == {"batch-0", "batch-1", "batch-2"}


def test_nonsense_before_the_first_request_leaves_the_server_alive(tmp_path: Path, recorder: Recorder) -> None:
    for number, era in enumerate(ERAS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with hosting(folder, recorder.origin, None) as early:
            early.write(b"\n".join([b"not json", b"\xff", b"[]", b""]))
            assert [early.next()["error"]["code"] for _ in range(3)] == [-32700, -32700, -32600]
            early.connect(era)
            assert early.is_alive()
