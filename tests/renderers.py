"""What two renderers make of a text: one for Markdown, by the CommonMark specification, and one for HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

LAYOUT = frozenset(
    "b blockquote br code div em h1 h2 h3 h4 h5 h6 hr i li ol p pre q small span strong sub sup u ul".split()  # noqa: SIM905 - a list of words
)
"""Tags that neither fetch nor hide."""


@dataclass
class Page:
    """What of a text is not shown as it stands.

    Attributes:
        acts: Images, tags, comments and definitions.
        shown: The text that a person reads.
    """

    acts: list[str] = field(default_factory=list[str])
    shown: str = ""


def as_markdown(text: str) -> Page:
    """Return what CommonMark makes of it, raw HTML included."""
    page, env = Page(), dict[str, Any]()
    _walk(MarkdownIt("commonmark").parse(text, env), page)
    page.acts += [f"definition of {name}" for name in env.get("references", {})]
    return page


def _walk(tokens: list[Token], page: Page) -> None:
    for token in tokens:
        if token.type == "image":
            page.acts.append(f"image {token.attrs}")
        elif token.type in {"html_inline", "html_block"}:
            inner = as_html(token.content)
            page.acts += inner.acts
            page.shown += inner.shown
        elif token.type in {"text", "code_inline", "code_block", "fence"}:
            page.shown += token.content
        elif token.type in {"softbreak", "hardbreak"}:
            page.shown += "\n"
        if token.children:
            _walk(token.children, page)


def as_html(text: str) -> Page:
    """Return what a reader of HTML makes of it."""
    page = Page()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            is_address = ":" in tag or "@" in tag
            harmful = [name for name, value in attrs if name in {"hidden", "popover"} or (value and "?" not in name)]
            if (tag not in LAYOUT and not is_address) or (attrs and not is_address) or harmful:
                page.acts.append(f"<{tag} {attrs}>")

        def handle_comment(self, data: str) -> None:
            page.acts.append(f"comment {data}")

        def handle_decl(self, decl: str) -> None:
            page.acts.append(f"declaration {decl}")

        def unknown_decl(self, data: str) -> None:
            page.acts.append(f"declaration {data}")

        def handle_pi(self, data: str) -> None:
            page.acts.append(f"instruction {data}")

        def handle_data(self, data: str) -> None:
            page.shown += data

    reader = Reader(convert_charrefs=True)
    reader.feed(text)
    reader.close()
    return page
