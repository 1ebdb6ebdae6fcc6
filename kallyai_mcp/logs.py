"""The log: to stderr only, with everything secret or personal masked, tracebacks included."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.privacy import mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_NOISY = ("httpx2", "httpcore2", "httpx", "httpcore", "uvicorn", "mcp", "asyncio")


class MaskingFormatter(logging.Formatter):
    """Format a record, then mask the whole text: message, arguments and traceback alike."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        """Tell where an exception came from, and its type. What it says may be anybody's words, and is left out."""
        return "\n".join(_told(ei[1]))


def _told(error: BaseException) -> Iterator[str]:
    kind = type(error).__qualname__
    if (earlier := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        yield from _told(earlier)
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _told(inner)
    yield "".join(traceback.format_tb(error.__traceback__)) + kind


def configure(level: str) -> None:
    """Send the log of this program and its libraries to stderr.

    Libraries speak from WARNING on, at any level: at lower ones they print addresses with their queries.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger(__name__).critical("The program ended by an error.", exc_info=(kind, error, trace))
