"""Fill the templates. Everything put into one is escaped; text by strangers loses what could reorder or hide it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse

from kallyai_mcp.sandbox.pages.guard import COOKIE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment
    from starlette.responses import Response

FOLDER = Path(__file__).parent


class Pages:
    """The templates, compiled when first used."""

    def __init__(self) -> None:
        self._environment: Environment | None = None

    def answer(
        self,
        template: str,
        *,
        status: int = 200,
        cookie: str | None = None,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """Return a page.

        Args:
            template: File name in the folder of templates.
            status: HTTP status.
            cookie: What the form in the page is bound to.
            headers: Further headers.
            values: What the template shows.
        """
        response = HTMLResponse(self._templates().get_template(template).render(**values), status, dict(headers or {}))
        if cookie is not None:
            response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", path="/")
        return response

    def message(
        self, heading: str, *lines: str, status: int = 200, link: tuple[str, str] | None = None, **headers: str
    ) -> Response:
        """Return a page that only says something; `headers` are spelled with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.answer("message.html", status=status, headers=named, heading=heading, lines=lines, link=link)

    def _templates(self) -> Environment:
        if self._environment is None:
            from jinja2 import Environment, FileSystemLoader, StrictUndefined

            self._environment = Environment(
                loader=FileSystemLoader(FOLDER / "templates"),
                autoescape=True,
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
                finalize=_shown,
            )
        return self._environment


def _shown(value: Any) -> Any:
    from markupsafe import Markup

    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def clean(text: str) -> str:
    """Return text without control, format and private characters (among them those that set its direction)."""
    import unicodedata

    if text.isascii() and text.isprintable():
        return text
    return "".join(c for c in text if c in "\n\t" or c == "\u200d" or unicodedata.category(c)[0] != "C")
