"""Ctrl-C ends a terminal command at whatever moment it comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A signal that another thread of the process gets is handled by the main thread, which is not woken for it: so it is,
# too, with one that comes between the main thread's last look and its sleep.
_PROGRAM = """
import signal, threading, time, anyio
from kallyai_mcp.cli.event_loop import run_async

async def wait(word):
    assert word == "given"
    asleep.set()
    await anyio.sleep_forever()

def press():
    asleep.wait()
    time.sleep(0.2)  # the event loop has fallen asleep by then; if not, the test proves less, and passes
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

asleep = threading.Event()
threading.Thread(target=press, daemon=True).start()
try:
    run_async(wait, "given")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals go to no thread there")
def test_ctrl_c_wakes_an_event_loop_that_sleeps() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - our own program
    assert ended.stdout == "interrupted\n"


def test_what_the_work_brings_is_returned_and_what_it_raises_is_raised() -> None:
    from kallyai_mcp.cli.event_loop import run_async

    async def double(number: int) -> int:
        if number < 0:
            raise ValueError(number)
        return 2 * number

    assert run_async(double, 2) == 4
    with pytest.raises(ValueError, match="-1"):
        run_async(double, -1)
