"""Opening a browser: in a child process, so that nothing it prints reaches our output, which is the protocol's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Protocol

OWN_VARIABLES = "KALLYAI_"


class Opener(Protocol):
    """Opens an address that was checked before, if it can."""

    def __call__(self, address: str) -> bool:
        """Whether a browser was started."""
        ...


def open_in_browser(address: str) -> bool:
    """Start the user's browser by Python's `webbrowser`. No shell is involved, and the child gets no secrets.

    `-I` keeps modules in the current folder out of the child.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
    try:
        child = subprocess.Popen(  # noqa: S603 - this interpreter; the address was checked and is one argument
            [sys.executable, "-I", "-m", "webbrowser", address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError:
        return False
    threading.Thread(target=child.wait, name="kallyai-browser", daemon=True).start()
    return True
