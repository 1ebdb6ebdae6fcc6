"""Translate what went wrong into the errors of this program: answers that say no, and answers that were not had."""

from __future__ import annotations

import math
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

from kallyai_mcp.api.body import NotUnderstood, as_json, as_text
from kallyai_mcp.api.mask import mask
from kallyai_mcp.errors import ApiError, SignInRequired, TransportError
from kallyai_mcp.model import Effect
from kallyai_mcp.model.codes import CODES, EMAIL_ALREADY_ADDED, fallback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.errors import KallyError
    from kallyai_mcp.model import Command
    from kallyai_mcp.model.codes import Code

Outcome = Literal["not_sent", "unknown"]

MAX_RETRY_AFTER = 3600
"""Most seconds that an answer's Retry-After counts for."""

_MAX_TEXT = 500
_EMAIL_ADD = ("POST", "/v1/channels/email/add")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def is_harmless(command: Command) -> bool:
    """Whether running the command twice does no more than running it once."""
    return command.idempotent or (command.effect is Effect.READ and not command.costs_credits)


def refused(
    command: Command, status: int, headers: Mapping[str, str], body: bytes, *, clock: Callable[[], float]
) -> ApiError:
    """Make the error of an answer of 400 or more.

    Args:
        command: What was run.
        status: HTTP status.
        headers: Headers of the answer.
        body: Body of the answer, decoded.
        clock: Seconds since the epoch, to understand a Retry-After that is a date.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    error = _envelope(body)
    if error is None:
        code, details, text = _by_status(command, status), dict[str, object](), _raw_text(media_type, body)
    else:
        code, details = _by_code(command, status, error)
        text = _text_of(error)
    if (seconds := retry_after(headers.get("retry-after"), clock())) is not None:
        details["retry_after_seconds"] = seconds
    next_step = code.next_step
    # 408 to a request that was sent whole comes from between us and the service (RFC 9110, 15.5.9).
    if (status >= 500 or status == 408) and not is_harmless(command):
        details["outcome"] = "unknown"
        if code.code not in CODES:
            next_step = look_up(command)
    return ApiError(
        f"{code.meaning} The service says: {text}" if text and text != code.meaning else code.meaning,
        code=code.code,
        next_step=next_step,
        # 429 is given before anything is done (RFC 6585, 4).
        retryable=code.retryable and (status == 429 or is_harmless(command)),
        http_status=status,
        correlation_id=_correlation_id(error or {}),
        details=details,
    )


def _envelope(body: bytes) -> dict[str, Any] | None:
    try:
        data = as_json(body) if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else None
    except NotUnderstood:
        return None
    error = cast("dict[str, Any]", data).get("error") if isinstance(data, dict) else None
    return cast("dict[str, Any]", error) if isinstance(error, dict) else None


def _by_status(command: Command, status: int) -> Code:
    if status == 409 and (command.method, command.path) == _EMAIL_ADD:
        return EMAIL_ALREADY_ADDED
    return fallback(status)


def _by_code(command: Command, status: int, error: dict[str, Any]) -> tuple[Code, dict[str, object]]:
    details: dict[str, object] = {}
    given = error.get("code")
    name = given if isinstance(given, str) else ""
    code = CODES.get(name)
    if code is None:
        code = _by_status(command, status)
        if _CODE.fullmatch(name) and mask(name) == name:
            details["api_code"] = name
    facts = _details(error)
    for key, limit in (("reason", _MAX_TEXT), ("plan_type", 64)):
        if isinstance(text := facts.get(key), str) and (text := mask(text, limit)):
            details[key] = text
    if _is_upgrade_page(page := facts.get("upgrade_url")):
        details["upgrade_url"] = page
    return code, details


def _details(error: dict[str, Any]) -> dict[str, Any]:
    details = error.get("details")
    return cast("dict[str, Any]", details) if isinstance(details, dict) else {}


def _text_of(error: dict[str, Any]) -> str:
    for text in (error.get("message"), _details(error).get("message")):
        if isinstance(text, str) and text.strip():
            return mask(text, _MAX_TEXT)
    return ""


def _raw_text(media_type: str, body: bytes) -> str:
    plain = media_type in {"", "text/plain"} or media_type.endswith("json")
    text = as_text(body[: 8 * _MAX_TEXT]).strip() if plain else ""
    return "" if text.startswith("<") else mask(text, _MAX_TEXT)


def _correlation_id(error: dict[str, Any]) -> str | None:
    given = error.get("correlation_id")
    return given if isinstance(given, str) and 0 < len(given) <= 128 and given.isprintable() else None


def _is_upgrade_page(address: object) -> bool:
    if not isinstance(address, str) or len(address) > 2048 or not address.isascii() or not address.isprintable():
        return False
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    ours = host == "kallyai.com" or host.endswith(".kallyai.com")
    plain = " " not in address and "\\" not in address and "@" not in parts.netloc
    return parts.scheme == "https" and ours and port is None and plain


def retry_after(text: str | None, now: float) -> int | None:
    """Return the seconds that a Retry-After header (RFC 9110, 10.2.3) asks for, within an hour.

    Args:
        text: The header: seconds, or a date.
        now: Seconds since the epoch.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(int(text[:10]), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(math.ceil(seconds), 0), MAX_RETRY_AFTER)


def sign_in_required(command: Command, status: int | None, *, acted: bool = False) -> SignInRequired:
    """Make the error of a run for which there is no token that the API takes.

    Args:
        command: What was run.
        status: 401 where the API said so; None where nothing was sent.
        acted: Whether the service may have acted on an earlier attempt of the run.
    """
    unsure = acted and not is_harmless(command)
    return SignInRequired(
        "There is no valid sign-in to KallyAI." if status is None else "KallyAI no longer accepts the sign-in.",
        next_step="Run the tool kallyai_login and give the user the address to open, or have them run "
        "`kallyai-mcp login` in a terminal. " + (look_up(command) if unsure else "Then run this again."),
        http_status=status,
        details={"outcome": "unknown"} if unsure else {},
    )


def note_earlier_attempt(command: Command, error: KallyError) -> None:
    """Say in the error of a repeat, whatever it is, that the service may have acted on an attempt before it.

    A refusal is no proof that it did not: the credits may be gone, or the key in use, because it did.
    """
    if not is_harmless(command) and error.details.get("outcome") != "unknown":
        error.details["outcome"] = "unknown"
        error.retryable = False
        error.next_step = look_up(command)


def look_up(command: Command) -> str:
    """Return what to do when it is not known whether the service acted."""
    tool = "kallyai_calls_history" if command.domain == "calls" else "kallyai_actions_log"
    return f"It may have happened all the same: do not simply run it again. See with {tool} whether it did."


_LOST = {
    "connection_failed": "The service could not be reached.",
    "timeout": "The service did not answer in time.",
    "connection_lost": "The connection broke before the answer was complete.",
    "answer_too_large": "The answer was larger than this program reads.",
}


def lost(
    command: Command, code: str, *, sent: bool, status: int | None = None, message: str | None = None
) -> TransportError:
    """Make the error of a request without a usable answer.

    `details["outcome"]` is "not_sent", or "unknown" where the service may have acted; it is absent where the request
    was sent and could do no harm.

    Args:
        command: What was run.
        code: One of the codes for such failures.
        sent: Whether any part of the request may have reached the service.
        status: HTTP status, where there was one.
        message: What went wrong, if the code alone does not say it.
    """
    details: dict[str, object] = {}
    retryable = code in {"connection_failed", "timeout", "connection_lost"}
    told = message or _LOST[code]
    if not sent:
        told += " Nothing was sent."
    next_step = "Try again in a moment." if retryable else "Try another tool, or tell the user; a repeat will not help."
    outcome: Outcome | None = None if sent else "not_sent"
    if sent and not is_harmless(command):
        outcome, retryable, next_step = "unknown", False, look_up(command)
    if outcome:
        details["outcome"] = outcome
    return TransportError(
        told,
        code=code,
        next_step=next_step,
        retryable=retryable,
        http_status=status,
        details=details,
    )


def unexpected(command: Command, status: int, media_type: str) -> TransportError:
    """Make the error of an answer in a form that the command does not have; nothing of its content is shown."""
    shown = media_type if re.fullmatch(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}", media_type) else "no known type"
    return lost(
        command,
        "unexpected_answer",
        sent=True,
        status=status,
        message=f"The service answered with status {status} in a form that is not understood ({shown}).",
    )


def not_followed(command: Command, status: int) -> TransportError:
    """Make the error of a redirect that the API does not document."""
    return lost(
        command,
        "redirected",
        sent=True,
        status=status,
        message=f"The service pointed to another address (status {status}); redirects are not followed.",
    )
