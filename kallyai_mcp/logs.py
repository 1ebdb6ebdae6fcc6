"""The log: to stderr only, with everything secret or personal masked, tracebacks included."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kallyai_mcp.privacy import mask

if TYPE_CHECKING:
    from collections.abc import Generator

_NOISY = ("httpx2", "httpcore2", "httpx", "httpcore", "uvicorn", "mcp", "asyncio")


class MaskingFormatter(logging.Formatter):
    """Format a record, then mask the whole text: message, arguments and traceback alike."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def configure(level: str) -> None:
    """Send the log of this program and its libraries to stderr.

    Libraries speak from WARNING on, at any level: at lower ones they print addresses with their queries.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))


@contextmanager
def stdout_to_stderr() -> Generator[None]:
    """Send whatever is printed to stderr: the host reads stdout as protocol, also before and after serving."""
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
