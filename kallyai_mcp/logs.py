"""The log: to stderr only, with everything secret or personal masked, tracebacks included."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from kallyai_mcp.privacy import mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_NOISY = ("httpx2", "httpcore2", "httpx", "httpcore", "uvicorn", "mcp", "asyncio")


class MaskingFormatter(logging.Formatter):
    """Format a record, then mask the whole text: message, arguments and traceback alike."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "asyncio" and "\n" in (message := record.getMessage()):
            # After its first line it shows objects, exceptions with their words among them.
            record = logging.makeLogRecord(record.__dict__ | {"msg": message.partition("\n")[0], "args": None})
        return mask(super().format(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        """Tell where an exception came from, and its type. What it says may be anybody's words, and is left out."""
        return "\n".join(_told(ei[1]))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to stderr. A record that cannot be formatted is named by its place; its arguments may be anything."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say where the record came from."""
        with suppress(OSError, ValueError):
            self.stream.write(f"A log record could not be written ({record.name}, line {record.lineno}).\n")


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
    handler = _Handler(sys.stderr)
    handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_thread
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger(__name__).critical("The program ended by an error.", exc_info=(kind, error, trace))


def _log_unraisable(happened: sys.UnraisableHookArgs) -> None:
    error = happened.exc_value
    logging.getLogger(__name__).error(
        "An error had nobody to go to.", exc_info=(happened.exc_type, error, happened.exc_traceback) if error else None
    )


def _log_thread(happened: threading.ExceptHookArgs) -> None:
    error = happened.exc_value
    logging.getLogger(__name__).error(
        "A thread ended by an error.", exc_info=(happened.exc_type, error, happened.exc_traceback) if error else None
    )
