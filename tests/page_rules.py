"""Read a page and say what is wrong with it: structure, labels, and what it loads. Rules of HTML and of WCAG 2.2."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr", "img"}
_HEADING = re.compile(r"h([1-6])")


class Page(HTMLParser):
    """The elements of a page in order, with their text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.unclosed: list[int] = []
        self.problems: list[str] = []
        self.feed(source)
        self.close()
        if self.unclosed:
            self.problems.append(f"{self.elements[self.unclosed[-1]][0]} is not closed")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append("")
        if tag not in VOID:
            self.unclosed.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        if not self.unclosed or self.elements[self.unclosed[-1]][0] != tag:
            self.problems.append(f"</{tag}> closes nothing")
        else:
            self.unclosed.pop()

    def handle_data(self, data: str) -> None:
        for index in self.unclosed:
            self.texts[index] += data

    def all(self, *tags: str) -> list[tuple[dict[str, str], str]]:
        """Return attributes and text of the elements with these tags."""
        pairs = zip(self.elements, self.texts, strict=True)
        return [(attrs, " ".join(text.split())) for (tag, attrs), text in pairs if tag in tags]


def problems_of(source: str) -> list[str]:
    """Return every rule that a page breaks."""
    page = Page(source)
    return [*page.problems, *_structure(page), *_names(page), *_references(page), *_loads(page)]


def _structure(page: Page) -> list[str]:
    wrong: list[str] = []
    if [attrs.get("lang") for attrs, _ in page.all("html")] != ["en"]:
        wrong.append("the language is not declared")
    wrong += [f"there is not exactly one {tag}" for tag in ("title", "main", "h1") if len(page.all(tag)) != 1]
    if not page.all("title")[0][1]:
        wrong.append("the title is empty")
    levels = [int(found[1]) for tag, _ in page.elements if (found := _HEADING.fullmatch(tag))]
    if any(level > before + 1 for before, level in zip([0, *levels], levels, strict=False)):
        wrong.append(f"headings skip a level: {levels}")
    viewport = [attrs["content"] for attrs, _ in page.all("meta") if attrs.get("name") == "viewport"]
    if viewport != ["width=device-width, initial-scale=1"]:
        wrong.append("the page cannot be zoomed")
    return wrong


def _names(page: Page) -> list[str]:
    labels = {attrs["for"]: text for attrs, text in page.all("label")}
    fields = [attrs for attrs, _ in page.all("input", "select", "textarea") if attrs.get("type") != "hidden"]
    wrong = [f"{attrs.get('name')} has no label" for attrs in fields if not labels.get(attrs.get("id", ""))]
    spoken = page.all("button", "a", "summary", "h1", "h2", "h3", "th")
    wrong += ["a control or heading has no text" for attrs, text in spoken if not (text or attrs.get("aria-label"))]
    sections = page.all("section", "nav", "audio", "meter")
    named = ("aria-label", "aria-labelledby")
    wrong += ["a region has no name" for attrs, _ in sections if not any(attrs.get(name) for name in named)]
    return wrong


def _references(page: Page) -> list[str]:
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    wrong = ["an id comes twice"] if len(ids) != len(set(ids)) else []
    for _, attrs in page.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            wrong += [f"{name} leads nowhere: {id_}" for id_ in attrs.get(name, "").split() if id_ not in ids]
    return wrong


def _loads(page: Page) -> list[str]:
    wrong: list[str] = []
    for tag, attrs in page.elements:
        wrong += [f"{tag} has {name}" for name in attrs if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            if name in attrs and not re.match(r"(/(?!/)|#)", attrs[name]):
                wrong.append(f"{tag} leads away: {attrs[name]}")
        if tag == "style" or (tag == "script" and "src" not in attrs):
            wrong.append(f"{tag} within the page")
    return wrong
