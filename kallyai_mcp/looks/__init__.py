"""How every page for people looks: colours in light and dark, type, sheets and buttons."""

from __future__ import annotations

from pathlib import Path

_THEME = Path(__file__).parent / "theme.css"


def sheet(own: Path) -> bytes:
    """Return the style sheet of some pages: what all pages share, then their own rules.

    Raises:
        OSError: It cannot be read.
    """
    return _THEME.read_bytes() + b"\n" + own.read_bytes()
