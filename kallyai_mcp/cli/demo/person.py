"""The person at the browser, and a look behind the scenes: the sandbox's pages and controls, on loopback only.

The page for signing in is used as a browser without JavaScript uses it: its form is read, filled in and sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

from kallyai_mcp.cli.demo.checks import Failed
from kallyai_mcp.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT = 30.0


@dataclass(slots=True)
class Page:
    """A page as a person sees it.

    Attributes:
        url: Its address.
        heading: Its first heading.
        code: The code that it shows, if any.
        action: Where its form is sent; None without a form.
        fields: What the form sends along, by name.
        buttons: The buttons that send it: name and value by their label.
    """

    url: str
    heading: str = ""
    code: str = ""
    action: str | None = None
    fields: dict[str, str] = field(default_factory=dict[str, str])
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._within: str | None = None
        self._button = ("", "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._page.action = urljoin(self._page.url, given.get("action", ""))
        elif tag == "input":
            self._page.fields[given.get("name", "")] = given.get("value", "")
        elif tag == "button":
            self._within, self._button = "button", (given.get("name", ""), given.get("value", ""))
        elif tag == "h1" or given.get("id") == "code":
            self._within = "heading" if tag == "h1" else "code"

    def handle_endtag(self, tag: str) -> None:
        self._within = None

    def handle_data(self, data: str) -> None:
        match self._within:
            case "heading":
                self._page.heading += data.strip()
            case "code":
                self._page.code += data.strip()
            case "button":
                self._page.buttons[data.strip()] = self._button
            case _:
                pass


class Person:
    """A browser with its cookies, and hands to use it."""

    def __init__(self) -> None:
        # Without proxies: what the demo opens is on this machine.
        self._browser = build_opener(ProxyHandler({}), HTTPCookieProcessor())

    def open(self, address: str) -> Page:
        """Open a page.

        Raises:
            Failed: It is not on this machine, or does not open.
        """
        return self._read(Request(address))  # noqa: S310 - _fetch refuses every other scheme and machine

    def press(self, page: Page, label: str, **typed: str) -> Page:
        """Fill in a page's form, press one of its buttons, and return the page that follows.

        Raises:
            Failed: The page has no such form, or does not take it.
        """
        if page.action is None or label not in page.buttons or not typed.keys() <= page.fields.keys():
            raise Failed(f"The page has a form with the button {label}.", f"the page {page.heading!r}")
        name, value = page.buttons[label]
        fields = page.fields | typed | ({name: value} if name else {})
        return self._read(Request(page.action, urlencode(fields).encode()))  # noqa: S310 - as above

    def control(self, address: str, order: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Use one of the sandbox's controls: read it, or give it an order."""
        body = None if order is None else json.dumps(order).encode()
        request = Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 - as above
        return json.loads(self._fetch(request))

    def _read(self, request: Request) -> Page:
        page = Page(request.full_url)
        _Reader(page).feed(self._fetch(request).decode())
        return page

    def _fetch(self, request: Request) -> bytes:
        parts = urlsplit(request.full_url)
        if parts.scheme != "http" or not is_loopback(parts.hostname):
            raise Failed("The address is on this machine.", f"{parts.scheme}://{parts.netloc}")
        try:
            with self._browser.open(request, timeout=_TIMEOUT) as answer:
                return answer.read()
        except HTTPError as error:
            with error:
                raise Failed(f"The page {parts.path} opens.", f"status {error.code}") from None
        except OSError as error:
            raise Failed(f"The page {parts.path} opens.", type(error).__name__) from None
