"""The page on which a person answers one question, for hosts that cannot ask. Its address holds a secret.

The secret finds the question and decides nothing. What decides is the form of the page, sent by a browser that has
loaded it: POST, from our own origin, with a token that was handed out for this form and is good for once. Opening,
fetching ahead or checking the address changes nothing, however often.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import re
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

import anyio
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response

from kallyai_mcp.errors import KallyError
from kallyai_mcp.looks import sheet
from kallyai_mcp.model import Consent
from kallyai_mcp.server.loopback import HOST, Loopback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from kallyai_mcp.model.records import Approval, Question
    from kallyai_mcp.server.consent import Consents

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "pages"
FILES = {"/style.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml"}
FORM = "application/x-www-form-urlencoded"
LARGEST_FORM = 4096
"""Bytes of a form."""

MOST_PAGES = 256
"""Questions with an address; beyond, the address that was given first is forgotten."""

MOST_FORMS = 16
"""Forms of one page that can still be sent; a browser may load it more than once before its person answers."""

DECISIONS = {"approve": True, "decline": False}
HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # With "no-referrer" a browser sends its forms from the origin "null" (Fetch, 3.2). Nothing here leads elsewhere.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PATH = re.compile(r"/approve/([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(slots=True)
class _Page:
    """The page of one approval.

    Attributes:
        approval: Its identifier.
        secret: What its address ends with.
        forms: Tokens of the forms that can still be sent, with the question that each of them shows.
        deciding: Held while a form is looked at, so that a second one sees what became of the first.
    """

    approval: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    forms: OrderedDict[str, Question] = field(default_factory=OrderedDict[str, "Question"])
    deciding: anyio.Lock = field(default_factory=anyio.Lock)

    def form(self, question: Question) -> str:
        """Hand out the token of one more form."""
        token = secrets.token_urlsafe(32)
        self.forms[token] = question
        if len(self.forms) > MOST_FORMS:
            self.forms.popitem(last=False)
        return token

    def use(self, token: str) -> Question | None:
        """Use a token up. The question that its form shows; None for no good token."""
        good = [known for known in self.forms if hmac.compare_digest(known.encode(), token.encode())]
        return self.forms.pop(good[0]) if good else None


class ApprovalPages:
    """The pages of all questions that were not asked otherwise, on a server of their own.

    Args:
        consents: Gives what was asked and takes the answers.
        clock: Seconds since the epoch.
    """

    def __init__(self, consents: Callable[[], Awaitable[Consents]], clock: Callable[[], float] = time.time) -> None:
        self._consents = consents
        self._clock = clock
        self._starting = anyio.Lock()
        self._loopback: Loopback | None = None
        self._origin = ""
        self._pages: OrderedDict[str, _Page] = OrderedDict()
        self._found: dict[bytes, _Page] = {}
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        cast("dict[str, Any]", self._templates.globals)["foot"] = "This page is served by kallyai-mcp on this computer."

    async def address(self, approval: str) -> str | None:
        """Return the address of the page of an approval; None where this machine gives us no port."""
        async with self._starting:
            if self._loopback is None and not await self._start():
                return None
        page = self._pages.get(approval)
        if page is None:
            page = self._pages[approval] = _Page(approval)
            self._found[_digest(page.secret)] = page
            if len(self._pages) > MOST_PAGES:
                _, oldest = self._pages.popitem(last=False)
                del self._found[_digest(oldest.secret)]
        return f"{self._origin}/approve/{page.secret}"

    def advice(self, address: str | None) -> str | None:
        """Return what is to be done with an address."""
        if address is None:
            return None
        return (
            f"Show the user this address, word for word: {address} There they see all of it, and approve or "
            "decline; in a terminal `kallyai-mcp approve` does the same. Then run the same tool again with the "
            "same arguments. Nothing that you write can approve it."
        )

    async def close(self) -> None:
        """End the server. A later `address` starts it anew, under other addresses."""
        loopback, self._loopback = self._loopback, None
        self._pages.clear()
        self._found.clear()
        if loopback is not None:
            await loopback.close()

    async def _start(self) -> bool:
        loopback = Loopback(self)
        try:
            port = await loopback.start()
        except OSError as error:
            logger.warning("No page for approvals can be served: %s", error.strerror)
            return False
        self._loopback, self._origin = loopback, f"http://{HOST}:{port}"
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except KallyError as error:
            response = self._say("This cannot be done now", error.message, error.next_step, status=503)
        for name, value in HEADERS.items():
            response.headers[name] = value
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if [f"http://{host}" for host in request.headers.getlist("host")] != [self._origin]:
            # A name that resolves to this machine would let any web page in (DNS rebinding).
            return self._say("Wrong address", "This page is reached by its address alone.", status=421)
        path, method = request.scope["path"], request.method
        if method not in {"GET", "HEAD", "POST"}:
            return self._not_allowed("GET, HEAD, POST")
        if path in FILES:
            return file(path) if method != "POST" else self._not_allowed("GET, HEAD")
        match = _PATH.fullmatch(path)
        page = None if match is None else self._found.get(_digest(match[1]))
        if page is None:
            return self._say(
                "There is no such page",
                "The address is incomplete, or kallyai-mcp was started anew since. Ask the assistant for a new one.",
                status=404,
            )
        if method != "POST":
            return await self._show(page)
        return await self._decide(page, request)

    async def _show(self, page: _Page) -> Response:
        approval = await (await self._consents()).find(page.approval)
        if approval is None or approval.decision is not None or approval.expires <= self._clock():
            return self._tell(approval)
        return self._fill(
            "question.html",
            question=approval.question,
            action=f"/approve/{page.secret}",
            token=page.form(approval.question),
            until=datetime.fromtimestamp(approval.expires, UTC).astimezone(),
            left=_minutes(approval.expires - self._clock()),
        )

    async def _decide(self, page: _Page, request: Request) -> Response:
        if (refusal := self._stranger(request)) is not None:
            return refusal
        fields = await form_fields(request)
        if isinstance(fields, int):
            return self._say("The form cannot be read", "Nothing was decided.", status=fields)
        consents = await self._consents()
        async with page.deciding:
            approval = await consents.find(page.approval)
            if approval is None or approval.decision is not None or approval.expires <= self._clock():
                return self._tell(approval, status=409)
            shown = page.use(fields["token"])
            if shown is None:
                return self._say(
                    "This form is not valid any more",
                    "It was sent before, or loaded too long ago. Nothing was decided: load the page again.",
                    status=403,
                )
            if shown != approval.question:
                return self._changed()
            agreed, text = DECISIONS[fields["decision"]], shown.text()
            try:
                decided = await consents.decide(page.approval, agreed=agreed, how=Consent.PAGE, shown=text)
            except KallyError:
                # Somebody was faster, elsewhere.
                approval = await consents.find(page.approval)
                if approval is not None and approval.decision is None and approval.expires > self._clock():
                    if approval.question.text() != text:
                        return self._changed()
                    raise
                return self._tell(approval, status=409)
        return self._tell(decided)

    def _stranger(self, request: Request) -> Response | None:
        """Refuse what no form of ours sends."""
        headers = request.headers
        if headers.getlist("origin") != [self._origin] or set(headers.getlist("sec-fetch-site")) - {"same-origin"}:
            return self._say(
                "Not from this page", "Nothing was decided: the form was sent by another page.", status=403
            )
        if [value.lower() for value in headers.getlist("content-type")] != [FORM]:
            return self._say("The form cannot be read", "Nothing was decided.", status=415)
        return None

    def _tell(self, approval: Approval | None, *, status: int = 200) -> Response:
        """Say what became of a question."""
        told = told_of(approval, self._clock())
        return self._fill("message.html", told.status or status, **told.texts)

    def _changed(self) -> Response:
        return self._say(
            "The question has changed",
            "Since this page was loaded something about it has changed. Nothing was decided: load it again.",
            status=409,
        )

    def _not_allowed(self, methods: str) -> Response:
        response = self._say("This cannot be done here", "Nothing was decided.", status=405)
        response.headers["Allow"] = methods
        return response

    def _say(self, heading: str, *lines: str, about: str = "", mood: str = "", status: int) -> Response:
        return self._fill("message.html", status, heading=heading, lines=lines, about=about, mood=mood)

    def _fill(self, template: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(**values), status)


def file(path: str) -> Response:
    """Return one of `FILES`: what pages load beside their text."""
    own = FOLDER / path.removeprefix("/")
    return Response(sheet(own) if own.suffix == ".css" else own.read_bytes(), media_type=FILES[path])


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a question that is not open: the texts of the page, and its status if it has one of its own."""

    texts: dict[str, Any]
    status: int | None = None


def told_of(approval: Approval | None, now: float) -> Told:
    """Say what became of a question."""

    def told(heading: str, *lines: str, about: str = "", mood: str = "", status: int | None = None) -> Told:
        return Told({"heading": heading, "lines": lines, "about": about, "mood": mood}, status)

    if approval is None:
        return told("This question is gone", "Nothing can be decided here any more.", status=410)
    about = approval.question.title
    if approval.decision is False:
        return told("Declined", "It is not done. You can close this page.", about=about)
    if approval.used is not None:
        lines = "The approval was used, and cannot be used again.", "kallyai-mcp audit shows what came of it."
        return told("Approved", *lines, about=about, mood="good")
    if approval.expires <= now:
        missed = "answered" if approval.decision is None else "used the approval"
        lines = f"Nobody {missed} in time, and nothing was done.", "The assistant has to ask again."
        return told("Too late", *lines, about=about, mood="warm", status=410)
    lines = (
        "It is done once the assistant runs the tool again; tell it to go on if it waits for you.",
        "You can close this page.",
    )
    return told("Approved", *lines, about=about, mood="good")


async def form_fields(request: Request) -> dict[str, str] | int:
    """Return the two fields of a form, or the status that refuses it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            return 413
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=4)
    except ValueError:
        return 400
    fields = dict(pairs)
    if len(fields) != len(pairs) or fields.keys() != {"token", "decision"} or fields["decision"] not in DECISIONS:
        return 400
    return fields


def _digest(secret: str) -> bytes:
    # Looked up by digest, so that how long a look-up takes tells nothing of a secret.
    return hashlib.sha256(secret.encode()).digest()


def _minutes(seconds: float) -> str:
    whole = max(1, math.ceil(seconds / 60))
    return "1 minute" if whole == 1 else f"{whole} minutes"
