"""What every client is told and has to print, whatever it is made of."""

import json
import os
import sys
from typing import Any

_TOLD: dict[str, Any] = json.loads(sys.argv[1])
READ: str = _TOLD["facts"]["READ"]
COMPLETED: list[str] = _TOLD["facts"]["COMPLETED"]
PROMPT: list[Any] = _TOLD["facts"]["PROMPT"]


def command() -> list[str]:
    """Return the command line of the server."""
    return _TOLD["command"]


def environment() -> dict[str, str]:
    """Return the environment of the server: hosts pass little of their own."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("KALLYAI_")}
    return kept | {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def say(**facts: Any) -> None:
    """Print what was seen, as one line of JSON."""
    print(json.dumps(facts))  # noqa: T201 - stdout is how it reports
