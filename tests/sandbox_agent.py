"""An agent that works with the tools of one server process against one sandbox, and looks at what its runs did.

The sandbox's clock jumps when something waits and stands otherwise; the agent puts it ahead to let time pass.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from hosts import without_act
from recorder import WAIT
from sandbox_browser import hidden_fields

from kallyai_mcp.catalog import find
from kallyai_mcp.engine.strangers import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from hosts import Host


class Agent:
    """Runs tools, each of which must do what it says."""

    def __init__(self, host: Host, origin: str) -> None:
        self._host = host
        self.browser = httpx2.Client(base_url=origin)
        """What a person next to the agent uses; it keeps cookies and follows no redirects."""
        self.answers: dict[str, list[dict[str, Any]]] = {}
        """By tool, what its successful runs answered."""

    def run(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Run a tool, named without its prefix; it must succeed. Return what the service answered."""
        name = f"kallyai_{tool}"
        structured, _ = without_act(find(name), self._succeed(name, arguments))
        origin = structured.pop(ORIGIN, None)
        assert (origin is not None) is find(name).third_party_text, name
        self.answers.setdefault(name, []).append(structured)
        return structured

    def follow(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Run a tool that answers for another one, whoever's words that brings. Return what it answered."""
        structured = self._succeed(f"kallyai_{tool}", arguments)["structuredContent"]
        self.answers.setdefault(f"kallyai_{tool}", []).append(structured)
        return structured

    def file(self, tool: str, **arguments: Any) -> str:
        """Run a tool that hands over a file, and return that."""
        name = f"kallyai_{tool}"
        result = self._succeed(name, arguments)
        self.answers.setdefault(name, []).append(result["structuredContent"])
        return next(part["resource"]["text"] for part in result["content"] if part["type"] == "resource")

    def _succeed(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = self._host.run(name, arguments)
        assert not result["isError"], f"{name}: {result['content']}"
        return result

    def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Run a tool that must fail. Return the error."""
        result = self._host.run(f"kallyai_{tool}", arguments)
        assert result["isError"], f"{tool}: {result['structuredContent']}"
        return result["structuredContent"]["error"]

    def gone(self, tool: str, **arguments: Any) -> None:
        """Run a tool on something that must not be there any more."""
        assert self.refused(tool, **arguments)["http_status"] == 404

    def meets(self, condition: Callable[[], bool]) -> None:
        """Look again and again until a condition holds."""
        end = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < end

    def wait(self, seconds: float) -> None:
        """Let time pass in the sandbox, and everything happen that is due by then."""
        self.control("clock", advance=seconds)

    def control(self, name: str, **order: Any) -> dict[str, Any]:
        """Send an order to a control of the sandbox, or look at it."""
        answer = self.browser.request("POST" if order else "GET", f"/sandbox/{name}", json=order or None)
        assert answer.is_success, answer.text
        return answer.json()

    def approve(self, page: str) -> None:
        """Open a page that asks a person, and press its button for yes."""
        opened = self.browser.get(page)
        assert opened.status_code == 200
        fields = hidden_fields(opened.text) | {"decision": "approve"}
        assert self.browser.post(httpx2.URL(page).path, data=fields).status_code == 200

    def credits_left(self) -> float:
        """Return the balance."""
        return self.run("credits_balance")["credits_remaining"]

    @contextmanager
    def paying(self, credits_: float) -> Generator[None]:
        """Demand that what happens in the block costs so many credits."""
        before = self.credits_left()
        yield
        assert before - self.credits_left() == pytest.approx(credits_)


def one(entries: list[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    """Return the only entry of a list that has these values."""
    found = [entry for entry in entries if facts.items() <= entry.items()]
    assert len(found) == 1, f"{len(found)} of {len(entries)} have {facts}"
    return found[0]


def has(entries: list[dict[str, Any]], **facts: Any) -> bool:
    """Whether an entry of a list has these values."""
    return any(facts.items() <= entry.items() for entry in entries)
