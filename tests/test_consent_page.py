"""The page decides by its own form alone; whatever else is sent to it changes nothing."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from consent_pages import FORM, House, pages_of
from consent_world import ALLOWED, IN_TIME, QUESTION, TOOL, Book
from full import FULL
from page_rules import problems_of
from sandbox_browser import hidden_fields

from kallyai_mcp.errors import KallyError
from kallyai_mcp.model import Consent
from kallyai_mcp.model.records import Question
from kallyai_mcp.server.approval_page import LARGEST_FORM, MOST_FORMS, MOST_PAGES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    with anyio.fail_after(IN_TIME * 4):
        async with pages_of() as made:
            yield made


def test_the_address_is_on_loopback_and_cannot_be_guessed() -> None:
    async def addresses() -> set[str]:
        found: set[str] = set()
        async with pages_of() as house:
            for number in range(20):
                address = await house.pages.address(f"approval{number}")
                assert address is not None
                assert re.fullmatch(r"http://127\.0\.0\.1:\d{2,5}/approve/[A-Za-z0-9_-]{43}", address)
                assert await house.pages.address(f"approval{number}") == address
                found.add(address)
        return found

    assert len(anyio.run(addresses)) == 20


async def test_the_page_shows_all_of_the_question(house: House) -> None:
    page = await house.send()
    assert page.status == 200
    assert page.heading == QUESTION.title
    shown = [QUESTION.tool, *QUESTION.warnings, *(part for fact in QUESTION.facts for part in fact)]
    places = [page.text.find(text.replace("'", "&#39;")) for text in shown]
    assert -1 not in places
    assert places[1] == min(places[1:])  # warnings before facts
    assert "<button" in page.text
    assert "15 minutes left" in page.text


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x>', "{{ 123 * 457 }}", "</dd></form><form>"]
)
async def test_words_of_others_are_shown_as_words(text: str) -> None:
    question = Question(text, TOOL, ((text, text),), (text,))
    async with pages_of(question) as house:
        page = (await house.send()).text
    assert problems_of(page) == []
    assert (page.count("<form"), page.count("<script"), page.count("<img")) == (1, 0, 0)
    assert "56211" not in page


async def test_every_page_keeps_the_rules_of_html_and_of_the_house(house: House) -> None:
    token = await house.token()
    replies = [
        await house.send(),
        await house.send(path="/elsewhere"),
        await house.send("DELETE"),
        await house.send(headers=[("Host", "evil.example")]),
        await house.press("approve", "x"),
        await house.press("approve", token),
        await house.press("approve", token),
        await house.send(),
    ]
    assert [reply.status for reply in replies] == [200, 404, 405, 421, 403, 200, 409, 200]
    for reply in replies:
        assert problems_of(reply.text) == []
        headers = {name: value for name, value in reply.headers.items() if name not in {"content-length", "allow"}}
        assert headers == {
            "content-type": "text/html; charset=utf-8",
            "cache-control": "no-store",
            "connection": "close",
            "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
        }


@pytest.mark.parametrize(
    ("decision", "agreed", "heading"), [("approve", True, "Approved"), ("decline", False, "Declined")]
)
async def test_the_form_decides_and_says_so(house: House, decision: str, agreed: bool, heading: str) -> None:
    reply = await house.press(decision, await house.token())
    assert (reply.status, reply.heading) == (200, heading)
    assert (house.approval.decision, house.approval.consent) == (agreed, Consent.PAGE)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("query", ["", "?decision=approve", "?token={token}&decision=approve"])
@pytest.mark.parametrize(
    "more", [(), (("Sec-Purpose", "prefetch"),), (("Purpose", "prefetch"),), (("X-HTTP-Method-Override", "POST"),)]
)
async def test_looking_decides_nothing(
    house: House, method: str, query: str, more: tuple[tuple[str, str], ...]
) -> None:
    path = house.path + query.format(token=await house.token())
    headers = [("Host", house.host), ("Origin", house.origin), ("Content-Type", FORM), *more]
    reply = await house.send(method, path, headers, b"token=x&decision=approve")
    assert reply.status == 200
    assert house.approval.decision is None


OWN = "own"
HOSTS = (
    OWN,
    "localhost:{port}",
    "127.0.0.1",
    "127.0.0.1:{port}.evil.example",
    "evil.example:{port}",
    "[::1]:{port}",
    "",
)
ORIGINS = (
    OWN,
    "",
    "null",
    "http://localhost:{port}",
    "http://127.0.0.1",
    "https://127.0.0.1:{port}",
    "http://evil.example",
)
METHODS = ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
TYPES = (FORM, "", "text/plain", "multipart/form-data; boundary=x", "application/json", f"{FORM}-evil", f"{FORM}; a=b")
SITES = ("same-origin", "", "cross-site", "same-site", "none") if FULL else ("same-origin", "cross-site")
TOKENS = ("good", "wrong", "empty", "other page", "secret") if FULL else ("good", "other page")


async def test_of_all_that_can_be_sent_one_thing_decides(house: House) -> None:
    """All hosts by origins, methods, content types, fetch sites and tokens."""
    port = house.host.rpartition(":")[2]
    other = house.book.open(TOOL, "other", QUESTION)
    other_address = await house.pages.address(other.id)
    assert other_address is not None
    other_page = await house.send(path=other_address.removeprefix(house.origin))
    tokens = {
        "good": await house.token(),
        "wrong": "x" * 43,
        "empty": "",
        "other page": hidden_fields(other_page.text)["token"],
        "secret": house.path.rpartition("/")[2],
    }
    decided: list[tuple[str, ...]] = []
    for cell in product(HOSTS, ORIGINS, METHODS, TYPES, SITES, TOKENS):
        host, origin, method, kind, site, token = cell
        given = (
            ("Host", house.host if host == OWN else host.format(port=port)),
            ("Origin", house.origin if origin == OWN else origin.format(port=port)),
            ("Content-Type", kind),
            ("Sec-Fetch-Site", site),
        )
        body = f"token={tokens[token]}&decision=approve".encode()
        reply = await house.send(method, headers=[(name, value) for name, value in given if value], body=body)
        if house.approval.decision is not None:
            decided.append(cell)
            assert reply.status == 200
            house.book.change(house.id, decision=None, consent=Consent.NONE)
            tokens["good"] = await house.token()
        elif method in {"GET", "HEAD"} and host == OWN:
            assert reply.status == 200, cell
            tokens["good"] = hidden_fields(reply.text)["token"]  # the last one is good for certain
        else:
            assert 400 <= reply.status < 500, cell
    allowed = {site for site in SITES if site in {"same-origin", ""}}
    assert decided == [(OWN, OWN, "POST", FORM, site, "good") for site in SITES if site in allowed]
    assert house.book.approvals[other.id].decision is None


@pytest.mark.parametrize("double", ["Host", "Origin", "Content-Type", "Sec-Fetch-Site"])
@pytest.mark.parametrize("order", [1, -1])
async def test_a_header_that_comes_twice_is_not_believed(house: House, double: str, order: int) -> None:
    good = {"Host": house.host, "Origin": house.origin, "Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}
    bad = {"Host": "evil.example", "Origin": "null", "Content-Type": "text/plain", "Sec-Fetch-Site": "cross-site"}
    twice = [(double, good[double]), (double, bad[double])][::order]
    headers = [(name, value) for name, value in good.items() if name != double] + twice
    body = f"token={await house.token()}&decision=approve".encode()
    assert (await house.send("POST", headers=headers, body=body)).status in {403, 415, 421}
    assert house.approval.decision is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"token={token}", 400),
        (b"decision=approve", 400),
        (b"token={token}&decision=", 400),
        (b"token={token}&decision=Approve", 400),
        (b"token={token}&decision=approve&decision=decline", 400),
        (b"token={token}&token={token}&decision=approve", 400),
        (b"token={token}&decision=approve&more=1", 400),
        (b"token={token}&decision=approve\xff", 400),
        (b"token={token}&decision=approve%ff", 400),
        (b"token={token}%00&decision=approve", 403),
        (b"token={token}%ff&decision=approve", 403),
        (b"token={token}&decision=approve" + b" " * LARGEST_FORM, 413),
    ],
)
async def test_a_form_that_is_not_ours_decides_nothing(house: House, body: bytes, status: int) -> None:
    token = (await house.token()).encode()
    headers = [("Host", house.host), ("Origin", house.origin), ("Content-Type", FORM)]
    reply = await house.send("POST", headers=headers, body=body.replace(b"{token}", token))
    assert reply.status == status
    assert house.approval.decision is None
    assert (await house.press("approve", token.decode())).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/approve", "/approve/", "/approve/x", "{path}/", "{path}x", "//{path}", "/approve/../{path}"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_other_path_is_unknown(house: House, path: str, method: str) -> None:
    headers = [("Host", house.host), ("Origin", house.origin), ("Content-Type", FORM)]
    reply = await house.send(method, path.format(path=house.path), headers, b"decision=approve")
    assert reply.status == 404


async def test_a_form_sent_twice_is_told_what_became_of_the_first(house: House) -> None:
    token = await house.token()
    assert (await house.press("decline", token)).heading == "Declined"
    again = await house.press("approve", token)
    assert (again.status, again.heading) == (409, "Declined")
    assert (await house.send()).heading == "Declined"
    assert house.approval.decision is False


async def test_of_two_forms_sent_at_once_one_decides(house: House) -> None:
    token = await house.token()
    statuses: list[int] = []

    async def press() -> None:
        statuses.append((await house.press("approve", token)).status)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(press)
    assert sorted(statuses) == [200] + [409] * 9


async def test_a_page_loaded_more_than_once_can_be_answered_in_any_window(house: House) -> None:
    first, second = await house.token(), await house.token()
    assert first != second
    assert (await house.press("approve", first)).status == 200
    assert (await house.press("decline", second)).status == 409
    assert house.approval.decision is True


async def test_forms_do_not_pile_up(house: House) -> None:
    tokens = [await house.token() for _ in range(MOST_FORMS + 1)]
    assert (await house.press("approve", tokens[0])).status == 403
    assert (await house.press("approve", tokens[1])).status == 200


async def test_pages_do_not_pile_up(house: House) -> None:
    for number in range(MOST_PAGES):
        await house.pages.address(f"more{number}")
    assert (await house.send()).status == 404


@pytest.mark.parametrize("decision", ["approve", "decline"])
async def test_a_question_that_ended_is_not_decided(
    house: House, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    token = await house.token()
    monkeypatch.delattr(Book, "decide")
    house.book.ahead = ALLOWED
    shown, pressed = await house.send(), await house.press(decision, token)
    assert [(reply.status, reply.heading) for reply in (shown, pressed)] == [(410, "Too late")] * 2
    assert house.approval.decision is None


@pytest.mark.parametrize(
    ("values", "heading", "words"),
    [
        ({"decision": True}, "Approved", "once the assistant runs the tool again"),
        ({"decision": False}, "Declined", "It is not done."),
        ({"decision": True, "used": 1.0}, "Approved", "cannot be used again"),
        ({"decision": True, "expires": 1.0}, "Too late", "used the approval in time"),
        ({"expires": 1.0}, "Too late", "answered in time"),
    ],
    ids=str,
)
async def test_what_was_decided_elsewhere_is_told(
    house: House, values: dict[str, object], heading: str, words: str
) -> None:
    token = await house.token()
    house.book.change(house.id, **values)
    before = house.approval
    for reply in (await house.send(), await house.press("approve", token)):
        assert reply.heading == heading
        assert words in reply.text
        assert "<form" not in reply.text
    assert house.approval == before


async def test_a_question_that_is_gone_is_told(house: House) -> None:
    del house.book.approvals[house.id]
    assert (await house.send()).heading == "This question is gone"


async def test_what_is_approved_is_what_was_shown(house: House) -> None:
    token = await house.token()
    house.book.change(house.id, question=Question("Send a mail", TOOL, (("Reaches", "somebody else"),)))
    reply = await house.press("approve", token)
    assert (reply.status, reply.heading) == (409, "The question has changed")
    assert (await house.press("approve", token)).status == 403
    assert house.approval.decision is None
    assert (await house.press("approve", await house.token())).status == 200


async def test_a_question_that_changes_while_the_answer_is_kept_is_not_decided(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, decide = await house.token(), house.book.decide

    async def late(approval: str, **said: Any) -> Any:
        house.book.change(approval, question=Question("Send a mail", TOOL, (("Reaches", "somebody else"),)))
        return await decide(approval, **said)

    monkeypatch.setattr(house.book, "decide", late)
    reply = await house.press("approve", token)
    assert (reply.status, reply.heading) == (409, "The question has changed")
    assert house.approval.decision is None


async def test_a_book_that_cannot_be_read_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **more: object) -> None:
        del more
        raise KallyError("The journal is in use.", next_step="Try again.", code="journal_unusable")

    token = await house.token()
    monkeypatch.setattr(Book, "decide", fail)
    pressed = await house.press("approve", token)
    monkeypatch.setattr(Book, "find", fail)
    shown = await house.send()
    assert [reply.status for reply in (pressed, shown)] == [503, 503]
    assert "The journal is in use." in shown.text


async def test_the_decision_that_was_faster_counts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    decide = Book.decide

    async def late(book: Book, approval: str, *, agreed: bool, how: Consent, shown: str) -> object:
        await decide(book, approval, agreed=not agreed, how=Consent.TERMINAL)
        return await decide(book, approval, agreed=agreed, how=how, shown=shown)

    token = await house.token()
    monkeypatch.setattr(Book, "decide", late)
    reply = await house.press("approve", token)
    assert (reply.status, reply.heading) == (409, "Declined")
    assert house.approval.consent is Consent.TERMINAL


@pytest.mark.parametrize(("path", "kind"), [("/style.css", "text/css; charset=utf-8"), ("/icon.svg", "image/svg+xml")])
async def test_what_the_page_loads_is_there(house: House, path: str, kind: str) -> None:
    reply = await house.send(path=path)
    assert (reply.status, reply.headers["content-type"]) == (200, kind)
    assert (await house.send("POST", path, [("Host", house.host), ("Origin", house.origin)])).status == 405
