"""Faults on demand: what can go wrong between a client and the API, asked for by a header or armed in advance.

A fault is written as the header `X-KallyAI-Sandbox-Fault` is: words and settings joined by semicolons, such as
`status=429; retry-after=3` or `latency=2; drop-after`. Times are real seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kallyai_mcp.model.codes import CODES
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.sandbox.refusal import Form

FAULT_HEADER = "X-KallyAI-Sandbox-Fault"

INSTEAD = {
    "drop": "Close the connection before anything is done.",
    "hang": "Do nothing and never answer.",
}
AFTER = {
    "drop-after": "Do what was asked, then close the connection without an answer.",
    "cut": "Do what was asked, send half of the answer's body, then close the connection.",
    "html": "Do what was asked, answer with a web page.",
    "empty": "Do what was asked, answer with no body.",
    "not-json": "Do what was asked, answer with text that only looks like JSON.",
    "surrogate": "Do what was asked, answer with half of a surrogate pair in a text.",
    "form-b": "Send an error in the second documented form of the envelope.",
}
SETTINGS = {
    "latency": "Wait so many seconds first.",
    "status": "Do nothing, answer with this status.",
    "code": "Do nothing, answer with this documented code and its status.",
    "retry-after": "Seconds for the Retry-After header of such an answer.",
    "redirect": "Do nothing, answer 307 with this address in Location.",
    "dribble": "Do what was asked, send the body byte by byte, with so many seconds between.",
    "big": "Do what was asked, answer with a JSON text of so many MiB.",
}
_LONGEST_WAIT = 3600.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to go wrong with one request. Words as in the tables above."""

    instead: str | None = None
    after: str | None = None
    latency: float = 0
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None
    redirect: str | None = None
    dribble: float | None = None
    big: int | None = None
    form: Form | None = None

    @property
    def refusal(self) -> Refusal | None:
        """The answer that stands in for the API's, if there is one."""
        if self.redirect is not None:
            return Refusal(status=307, message="Moved.", headers={"Location": self.redirect})
        if self.code is not None:
            return Refusal(self.code, status=self.status, retry_after=self.retry_after)
        if self.status is None:
            return None
        code = "rate_limited" if self.status == 429 else None
        return Refusal(code, status=self.status, retry_after=self.retry_after)


def parse_fault(text: str) -> Fault:
    """Read a fault.

    Raises:
        Refusal: 400, with what is not understood.
    """
    fault = Fault()
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, given, value = (piece.strip() for piece in part.partition("="))
        try:
            fault = replace(fault, **_read(name.lower(), value if given else None))
        except ValueError as error:
            known = ", ".join((*INSTEAD, *AFTER, *(f"{name}=" for name in SETTINGS)))
            raise Refusal(
                status=400, message=f"The fault {part[:64]!r} is not understood: {error}. Known: {known}."
            ) from None
    return fault


def _read(name: str, value: str | None) -> dict[str, Any]:
    if name == "form-b":
        return {"form": "b"}
    if name == "dribble":
        return {"dribble": _number(value or "0.3")}
    if name in INSTEAD:
        return {"instead": name}
    if name in AFTER:
        return {"after": name}
    if name not in SETTINGS:
        raise ValueError("no such fault")
    if not value:
        raise ValueError("it needs a value")
    read: Callable[[str], Any] = _READERS[name]
    return {name.replace("-", "_"): read(value)}


def _number(value: str) -> float:
    number = float(value)
    if math.isnan(number) or not 0 <= number <= _LONGEST_WAIT:
        raise ValueError(f"it must be 0 to {_LONGEST_WAIT:.0f}")
    return number


def _status(value: str) -> int:
    status = int(value)
    if not 200 <= status <= 599:
        raise ValueError("a status is 200 to 599")
    return status


def _code(value: str) -> str:
    if value not in CODES:
        raise ValueError("no such code is documented")
    return value


def _address(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("it must be an address")
    return value


def _mebibytes(value: str) -> int:
    size = int(value)
    if not 1 <= size <= 4096:
        raise ValueError("it must be 1 to 4096")
    return size


_READERS: dict[str, Callable[[str], Any]] = {
    "latency": _number,
    "status": _status,
    "code": _code,
    "retry-after": _number,
    "redirect": _address,
    "big": _mebibytes,
}


@dataclass(slots=True)
class Armed:
    """A fault that waits for requests: for the next `times`, of one method, path or tool where these are given."""

    text: str
    fault: Fault
    times: int = 1
    method: str | None = None
    path: str | None = None
    tool: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what the control endpoint shows."""
        facts = {"fault": self.text, "times": self.times, "method": self.method, "path": self.path, "tool": self.tool}
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(slots=True)
class Switches:
    """What the control endpoints have set about the answers of one sandbox."""

    armed: list[Armed] = field(default_factory=list[Armed])
    form: Form = "a"

    def take(self, method: str, path: str, tool_at: Callable[[str, str], str | None]) -> Fault | None:
        """Return the fault that is armed for this request, counting it down."""
        for armed in self.armed:
            if armed.method not in (None, method) or armed.path not in (None, path):
                continue
            if armed.tool is not None and armed.tool != tool_at(method, path):
                continue
            armed.times -= 1
            if armed.times < 1:
                self.armed.remove(armed)
            return armed.fault
        return None

    def clear(self) -> None:
        """Disarm everything, and go back to the first form of the envelope."""
        self.armed.clear()
        self.form = "a"
