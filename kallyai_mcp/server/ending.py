"""The end of a process that serves: in time, whatever still holds it."""

from __future__ import annotations

import os
import sys
import threading


def end_in_time(seconds: float, code: int = 0) -> None:
    """End the process after some seconds, wherever it is by then."""
    last = threading.Timer(seconds, leave, (code,))
    last.daemon = True
    last.start()


def leave(code: int) -> None:
    """End the process at once; a thread may still be waiting for something that never comes."""
    sys.stderr.flush()
    os._exit(code)
