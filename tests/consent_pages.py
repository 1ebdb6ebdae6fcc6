"""The pages for approvals as they are reached: straight, with any head a program could send, or by a socket."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from consent_world import QUESTION, TOOL, Book
from sandbox_browser import hidden_fields

from kallyai_mcp.server.approval_page import ApprovalPages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from kallyai_mcp.model.records import Approval, Question

    Headers = Iterable[tuple[str, str]]

FORM = "application/x-www-form-urlencoded"


@dataclass
class Reply:
    """An answer of a page."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def heading(self) -> str:
        """What it says first."""
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.text, re.DOTALL)
        assert found is not None, self.text
        return found[1]


class House:
    """The pages, the book that they write into, and one question with its page."""

    def __init__(self, pages: ApprovalPages, book: Book, approval: Approval, address: str) -> None:
        self.pages = pages
        self.book = book
        self.id = approval.id
        self.address = address
        parts = urlsplit(address)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.host = parts.netloc
        self.path = parts.path

    @property
    def approval(self) -> Approval:
        """How the question stands."""
        return self.book.approvals[self.id]

    async def send(
        self, method: str = "GET", path: str | None = None, headers: Headers | None = None, body: bytes = b""
    ) -> Reply:
        """Send one request; with our own host if no headers are given."""
        given = [("Host", self.host)] if headers is None else headers
        target, _, query = (path or self.path).partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": target,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.pages(scope, receive, send)
        headers_sent = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], headers_sent, b"".join(part.get("body", b"") for part in sent[1:]).decode())

    async def token(self) -> str:
        """Load the page, and return the token of its form."""
        return hidden_fields((await self.send()).text)["token"]

    async def press(self, decision: str, token: str) -> Reply:
        """Send the form as a browser does."""
        headers = [
            ("Host", self.host),
            ("Origin", self.origin),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", FORM),
        ]
        body = urlencode({"token": token, "decision": decision}).encode()
        return await self.send("POST", headers=headers, body=body)


@asynccontextmanager
async def pages_of(question: Question = QUESTION, book: Book | None = None) -> AsyncGenerator[House]:
    """Give the pages with one question."""
    kept = Book() if book is None else book

    async def give() -> Book:
        return kept

    pages = ApprovalPages(give, kept.now)
    approval = kept.open(TOOL, "digest", question)
    try:
        address = await pages.address(approval.id)
        assert address is not None
        yield House(pages, kept, approval, address)
    finally:
        await pages.close()
