"""Pages on which a person of the organisation links their account, and approves what their host cannot ask.

Whoever opens one signs in at the identity provider first, and sees what is theirs: an address that was passed on shows
nothing. What decides is the form of a page, sent from our own origin with a token that is good for once, on whichever
replica; opening an address changes nothing.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from kallyai_mcp.auth.callers.principal import Principal
from kallyai_mcp.errors import KallyError
from kallyai_mcp.model import Consent
from kallyai_mcp.server.approval_page import DECISIONS, FILES, FOLDER, FORM, HEADERS, file, form_fields, told_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from kallyai_mcp.auth.callers.pages_client import PagesClient
    from kallyai_mcp.model.records import Question, Stopped
    from kallyai_mcp.server.consent import Consents
    from kallyai_mcp.server.organisation.cookies import Cookies
    from kallyai_mcp.server.states import Outstanding

CALLBACK = "/people/callback"
SIGNED_IN_FOR = 900
SIGNING_IN_FOR = 600
"""Seconds for which a browser keeps who has signed in, and a sign-in under way."""

RESUME = "/people/resume"

_TO = re.compile(r"/(?:link|approve)/[A-Za-z0-9_-]{1,64}|/people/resume", re.ASCII)


class Visitor(Protocol):
    """What is one person's own."""

    async def link(self, name: str) -> tuple[str, str] | None:
        """Return the service's page for the link of this name, and its code; None where they have begun none such."""
        ...

    async def consents(self) -> Consents:
        """Return what they are asked."""
        ...

    async def stopped(self) -> Stopped | None:
        """Return the stop that holds for their acts, if one does."""
        ...

    async def resume(self) -> None:
        """Allow their acts again."""
        ...

    @property
    def states(self) -> Outstanding:
        """Which of their forms can still be sent."""
        ...


class PeoplePages:
    """The pages.

    Args:
        origin: Of this server, as people reach it.
        client: Signs people in.
        cookies: What their browsers keep.
        visitor: Gives what is a person's own.
        clock: Unix seconds.
    """

    def __init__(
        self,
        origin: str,
        client: PagesClient,
        cookies: Cookies,
        visitor: Callable[[Principal], Awaitable[Visitor]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._origin = origin
        self._client = client
        self._cookies = cookies
        self._visitor = visitor
        self._clock = clock
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        cast("dict[str, Any]", self._templates.globals)["foot"] = f"This page is served by kallyai-mcp at {origin}."

    # What the server is told

    def link_page(self, name: str) -> str:
        """Return the address of the page of a link."""
        return f"{self._origin}/link/{name}"

    @property
    def resume_page(self) -> str:
        """Where a person goes on who has stopped all their acts."""
        return f"{self._origin}{RESUME}"

    async def address(self, approval: str) -> str:
        """Return the address of the page of an approval."""
        return f"{self._origin}/approve/{approval}"

    def advice(self, address: str | None) -> str | None:
        """Return what is to be done with it."""
        return (
            f"Show the user this address, word for word: {address} There they sign in with their organisation, see all "
            "of it, and approve or decline. Then run the same tool again with the same arguments. Nothing that you "
            "write can approve it."
        )

    async def close(self) -> None:
        """Nothing is held."""

    # What browsers are shown

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return [
            Route("/link/{name}", self._guarded(self._link), methods=["GET"]),
            Route("/approve/{name}", self._guarded(self._approve), methods=["GET", "POST"]),
            Route(RESUME, self._guarded(self._resume), methods=["GET", "POST"]),
            Route("/people/again", self._dressed(self._again), methods=["GET"]),
            Route(CALLBACK, self._dressed(self._come_back), methods=["GET"]),
            *(Route(path, self._dressed(self._file), methods=["GET"]) for path in FILES),
        ]

    def _dressed(self, show: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def shown(request: Request) -> Response:
            try:
                response = await show(request)
            except KallyError as error:
                response = self._say("This cannot be done now", error.message, error.next_step, status=503)
            for name, value in HEADERS.items():
                if name != "Connection":
                    response.headers[name] = value
            return response

        return shown

    def _guarded(
        self, show: Callable[[Request, Visitor, dict[str, Any]], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Have whoever opens a page sign in first."""

        async def shown(request: Request) -> Response:
            known = self._cookies.take(request, "person")
            if known is not None:
                visitor = await self._visitor(Principal(known["issuer"], known["subject"]))
                return await show(request, visitor, known)
            if request.method != "GET" or not _TO.fullmatch(request.url.path):
                return self._say("Sign in first", "Nothing was decided: open the address again.", status=403)
            return await self._sign_in(request.url.path, again=False)

        return self._dressed(shown)

    async def _sign_in(self, to: str, *, again: bool) -> Response:
        begun = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        response = RedirectResponse(await self._client.address(**begun, again=again), 302)
        self._cookies.put(response, "sign-in", begun | {"to": to}, SIGNING_IN_FOR)
        return response

    async def _again(self, request: Request) -> Response:
        to = request.query_params.get("to", "")
        if not _TO.fullmatch(to):
            return self._say("There is no such page", "The address is incomplete.", status=404)
        response = await self._sign_in(to, again=True)
        self._cookies.drop(response, "person")
        return response

    async def _come_back(self, request: Request) -> Response:
        begun = self._cookies.take(request, "sign-in")
        if begun is None:
            return self._say(
                "No sign-in is under way", "Open the address again, as your assistant has shown it.", status=403
            )
        to = begun.pop("to")
        try:
            caller = await self._client.finish(dict(request.query_params), **begun)
        except KallyError as error:
            response = self._say("You are not signed in", error.message, error.next_step, status=403)
        else:
            response = RedirectResponse(to, 303)
            principal = caller.principal
            facts = {"issuer": principal.issuer, "subject": principal.subject, "name": caller.name}
            self._cookies.put(response, "person", facts, SIGNED_IN_FOR)
        self._cookies.drop(response, "sign-in")
        return response

    async def _link(self, request: Request, visitor: Visitor, known: dict[str, Any]) -> Response:
        found = await visitor.link(request.path_params["name"])
        if found is None:
            return self._not_yours(request, known)
        address, code = found
        return self._fill("link.html", address=address, code=code, name=known["name"], origin=self._origin)

    async def _approve(self, request: Request, visitor: Visitor, known: dict[str, Any]) -> Response:
        consents, identifier = await visitor.consents(), request.path_params["name"]
        approval = await consents.find(identifier)
        if approval is None:
            return self._not_yours(request, known)
        is_over = approval.decision is not None or approval.expires <= self._clock()
        if request.method == "GET":
            if is_over:
                return self._tell(approval)
            token = secrets.token_urlsafe(32)
            await visitor.states.give(_form(identifier, approval.question, token))
            return self._fill(
                "question.html",
                question=approval.question,
                action=f"/approve/{identifier}",
                token=token,
                until=datetime.fromtimestamp(approval.expires, UTC),
                left=f"{max(1, math.ceil((approval.expires - self._clock()) / 60))} min",
            )
        if (refusal := self._stranger(request)) is not None:
            return refusal
        fields = await form_fields(request)
        if isinstance(fields, int):
            return self._say("The form cannot be read", "Nothing was decided.", status=fields)
        if is_over:
            return self._tell(approval, status=409)
        if not await visitor.states.use(_form(identifier, approval.question, fields["token"])):
            return self._outdated()
        agreed, text = DECISIONS[fields["decision"]], approval.question.text()
        try:
            decided = await consents.decide(identifier, agreed=agreed, how=Consent.PAGE, shown=text)
        except KallyError:
            approval = await consents.find(identifier)
            if approval is None or (approval.decision is None and approval.expires > self._clock()):
                if approval is not None and approval.question.text() != text:
                    return self._outdated()
                raise
            return self._tell(approval, status=409)
        return self._tell(decided)

    def _outdated(self) -> Response:
        return self._say(
            "This form is not valid any more",
            "It was sent before, or the question has changed since. Nothing was decided: load the page again.",
            status=403,
        )

    async def _resume(self, request: Request, visitor: Visitor, known: dict[str, Any]) -> Response:
        stop = await visitor.stopped()
        if stop is None:
            return self._say("Nothing is stopped", "Your assistants may act, each time with your consent.", status=200)
        if stop.of_all:
            return self._say(
                "The operator has stopped all acts",
                "Nothing is phoned, sent or spent in anybody's name. Only the operator of this server can go on.",
                status=200,
            )
        if request.method == "GET":
            token = secrets.token_urlsafe(32)
            await visitor.states.give(f"resume:{token}")
            return self._fill("resume.html", token=token, name=known["name"], action=RESUME)
        if (refusal := self._stranger(request)) is not None:
            return refusal
        fields = await form_fields(request)
        if isinstance(fields, int):
            return self._say("The form cannot be read", "Nothing was changed.", status=fields)
        if not await visitor.states.use(f"resume:{fields['token']}"):
            return self._say("This form is not valid any more", "Nothing was changed: load the page again.", status=403)
        if DECISIONS[fields["decision"]]:
            await visitor.resume()
            return self._say("Resumed", "Your assistants may act again, each time with your consent.", status=200)
        return self._say("Still stopped", "Nothing was changed.", status=200)

    def _stranger(self, request: Request) -> Response | None:
        headers = request.headers
        if headers.getlist("origin") != [self._origin] or set(headers.getlist("sec-fetch-site")) - {"same-origin"}:
            return self._say("Not from this page", "Nothing was decided: another page sent the form.", status=403)
        if [value.lower() for value in headers.getlist("content-type")] != [FORM]:
            return self._say("The form cannot be read", "Nothing was decided.", status=415)
        return None

    def _not_yours(self, request: Request, known: dict[str, Any]) -> Response:
        """Say the same of what is somebody else's, what is over, and what never was."""
        return self._fill("not_yours.html", 404, name=known["name"], again=f"/people/again?to={request.url.path}")

    def _tell(self, approval: Any, *, status: int = 200) -> Response:
        told = told_of(approval, self._clock())
        return self._fill("message.html", told.status or status, **told.texts)

    async def _file(self, request: Request) -> Response:
        return file(request.url.path)

    def _say(self, heading: str, *lines: str, status: int) -> Response:
        return self._fill("message.html", status, heading=heading, lines=lines, about="", mood="")

    def _fill(self, template: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(**values), status)


def _form(identifier: str, question: Question, token: str) -> str:
    """Return what is remembered of a form: for which question it is good, in which wording."""
    shown = hashlib.sha256(question.text().encode()).hexdigest()
    return f"form:{identifier}:{shown}:{token}"
