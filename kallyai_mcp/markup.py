"""Take from markup in a text its power to fetch, to hide or to run; the words and the addresses stay to be read.

A host may show a text as Markdown or as HTML. An image is then fetched though nobody has agreed to it, and its address
can carry away what was read before; a comment hides from people what a model still reads. Nothing is removed here: what
would act is written so that no renderer takes it for markup (CommonMark 0.31; HTML Standard, 13.2.5).
"""

from __future__ import annotations

import re

_IMAGE = re.compile(r"(?<!!)(!++)\[(?:([^\[\]\n]{0,500})\]\(([^()\[\]<>\n]{1,2500})\))?")
"""An image of Markdown: all of it where it is a simple one, else its beginning."""

_DEFINITION = re.compile(
    r"(?:^|(?<=[\n\r]))((?:[ \t>*+-]|[0-9]{1,9}[.)]){0,40}\[(?:[^\[\]\\]|\\.){1,999}\])(?=:)", re.DOTALL
)
"""The definition of a link or an image, which no renderer shows: in its title or its name it hides words."""

_TAG = re.compile("<(?=[A-Za-z/!?])")
"""The beginning of what HTML takes for a tag, a comment or a declaration."""

_PLAIN = re.compile(
    "</?(?:b|blockquote|br|code|div|em|h[1-6]|hr|i|li|ol|p|pre|q|small|span|strong|sub|sup|u|ul) {0,4}/?>",
    re.IGNORECASE,
)
"""Tags that lay text out and, without attributes, do nothing else."""

_LINK = re.compile(
    r"<(?:https?|mailto):[^\s<>\"'`=?]{1,2000}(?:\?[^\s<>\"'`]{0,2000})?>"
    r"|<[A-Za-z0-9.!#$%&*+?^_{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}>",
    re.IGNORECASE,
)
"""An address in angle brackets, in a form in which HTML finds no attribute with a value."""

_HIDES = re.compile("/(?:hidden|popover)(?=[/>])", re.IGNORECASE)
"""Attributes that need no value."""

_ACTS = re.compile(
    "<(?:applet|audio|base|body|button|details|dialog|embed|form|frame|frameset|head|html|iframe|image|img|input|link"
    "|math|meta|noembed|noframes|noscript|object|picture|plaintext|portal|script|select|source|style|svg|template"
    "|textarea|title|track|video|xmp)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
"""Tags that act even where their end stands in another text that they are shown with."""


def defused(text: str) -> str:
    """Return the text with all markup disarmed that fetches, hides or runs; a second time changes nothing.

    `![words](address)` becomes `[image: words (address)]`; any other beginning of an image, a tag, a comment or the
    definition of a link gets a blank within. Links, addresses in angle brackets and tags such as `<b>` stay.
    """
    if "![" in text:
        text = _IMAGE.sub(_image, text)
    if "]:" in text:
        text = _DEFINITION.sub(r"\1 ", text)
    if "<" not in text:
        return text
    last_end, last_value = text.rfind(">"), text.rfind("=")

    def tag(found: re.Match[str]) -> str:
        start = found.start()
        return "<" if _is_harmless(text, start, ends=start < last_end, has_value=start < last_value) else "< "

    return _TAG.sub(tag, text)


def _image(found: re.Match[str]) -> str:
    marks, words, address = found.groups()
    if address is None:
        return f"{marks} ["
    before = f"{marks[1:]} " if len(marks) > 1 else ""
    return f"{before}[image: {words} ({address})]"


def _is_harmless(text: str, start: int, *, ends: bool, has_value: bool) -> bool:
    """Whether what begins like a tag is text, a plain tag or a link.

    Args:
        text: All of it.
        start: Where the angle bracket is.
        ends: Whether a tag that begins here could end in this text.
        has_value: Whether it could have an attribute with a value.
    """
    if text[start + 1] in "!?":
        return False
    if ends:
        if _PLAIN.match(text, start):
            return True
        link = _LINK.match(text, start)
        return link is not None and not _HIDES.search(link[0])
    return not has_value and not _ACTS.match(text, start)
