"""Text taken apart: folded to plain letters, then into words, Chinese characters and what has a form of its own.

Folding makes equal what people write for the same thing: capital and small letters, accents or none, full-width
signs, traditional and simplified characters.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

LONGEST = 1_000
"""Characters of a request that are looked at; what a person wants is said within them."""

HAN = "\u3400-\u9fff"
_COUNT = "[一二三四五六七八九十百千万两几0-9]"

_PART = re.compile(
    rf"""
    (?P<email_address>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
    |(?P<link>https?://\S+|www\.\S+)
    |(?P<phone_number>\+?\(?[0-9][0-9\s().-]{{5,}}[0-9])
    |(?P<time>[0-9]{{1,2}}[:.h][0-9]{{2}}(?:\s?[ap]m)?|[0-9]{{1,2}}\s?(?:am|pm|p\.m\.|a\.m\.|o'clock))
    |(?P<money>[$€£¥]\s?[0-9][0-9.,]*|[0-9][0-9.,]*\s?(?:€|\$|£|(?:euros?|dollars?|bucks|dolares|pesos)\b))
    |(?P<digits>[0-9]+)
    |(?P<word>[a-z]+(?:['-][a-z]+)*)
    |(?P<han>[{HAN}])
    |(?P<other>[^\W\d_]+|[\U0001f000-\U0001faff\u2600-\u27bf])
    """,
    re.VERBOSE,
)
_IN_CHINESE = re.compile(
    rf"""
    (?P<time>{_COUNT}+点(?:半|钟|{_COUNT}+分?)?)
    |(?P<money>{_COUNT}+(?:块|元)|(?:要|收|报价|开价)[一二三四五六七八九十百千万两0-9]{{2,6}}+(?![0-9点号个位月日年人名间份张]))
    |(?P<date>(?:周|星期|礼拜)[一二三四五六日天末]|{_COUNT}+(?:月|号(?!码)|日)|下个?(?:周|星期|礼拜|月)
        |明天|后天|今天|今晚|明早|明晚|昨天|昨晚|上午|下午)
    """,
    re.VERBOSE,
)
_NAME = re.compile(r"(?<=[\w,;:] )(?!I['\u2019])[A-ZÀ-Þ][\w'-]+")
_ADDRESSED = re.compile(r"([^\W\d_]+) ([A-ZÀ-Þ][\w'-]+)")
_ASKS = re.compile(r"[?¿]|吗|呢\b|什么|谁|哪|几点|多少|怎么|没有$|了没|是不是|有没有")
_OF_THE_USER = tuple(
    (re.compile(said), own)
    for said, own in (
        (r"\bon behalf of (?:the )?user\b|\bon (?:the )?user's behalf\b", "for me"),
        (r"\b(?:the )?user's\b", "my"),
        (r"\b(?:the )?user (?:would like|wants|wishes|needs|asks|asked)(?: me| you)?\b", "i want"),
        (r"\b(?:the )?user\b", "i"),
        (r"\b(?:el|la|al) usuari[oa] (?:quiere|desea|necesita|pide)\b", "quiero"),
        (r"\b(?:del usuario|de la usuaria)\b", "mio"),
        (r"\b(?:el|la|al) usuari[oa]\b", "yo"),
        ("用户(?:想要|希望|需要|要求|想|要)?", "我"),
    )
)
"""How an assistant speaks of the user, and what the user says of themselves."""


@dataclass(frozen=True, slots=True)
class Part:
    """One word, one Chinese character, or one thing with a form of its own.

    Attributes:
        text: As folded; what has a form of its own is its kind in brackets, such as `[time]`.
        kind: `word`, `han`, `other`, or the meaning of its form.
        meanings: Meanings that its form shows.
    """

    text: str
    kind: str
    meanings: tuple[str, ...] = ()


@cache
def _simplified() -> dict[int, int]:
    """Traditional characters and what they are simplified to (OpenCC's TSCharacters, the frequent ones of Big5)."""
    data: dict[str, str] = read_lexicon("traditional")
    return str.maketrans(data["traditional"], data["simplified"])


@cache
def small_words(use: str) -> frozenset[str]:
    """Return small words of all languages: those that `say little`, or those that `begin a question`."""
    data: dict[str, dict[str, str]] = read_lexicon("small_words")
    return frozenset(" ".join(data[use].values()).split())


def read_lexicon(name: str) -> Any:
    """Return one of the lexicon's files."""
    return json.loads(resources.files(__package__ or "").joinpath(f"lexicon/{name}.json").read_text(encoding="utf-8"))


def fold(text: str) -> str:
    """Return a text in plain small letters and simplified characters, cut to what is looked at."""
    plain = unicodedata.normalize("NFKC", text[:LONGEST]).casefold().replace("\u2019", "'")
    letters = unicodedata.normalize("NFD", plain.translate(_simplified()))
    return "".join(letter for letter in letters if not unicodedata.combining(letter) and letter != "\ufe0f")


def own_words(folded: str) -> str:
    """Return a folded text that speaks of the user as the user would say it."""
    for said, own in _OF_THE_USER:
        folded = said.sub(own, folded)
    return folded


def names_in(text: str) -> set[str]:
    """Return the words that look like names, folded: they begin with a capital letter inside a sentence."""
    return {fold(name) for name in _NAME.findall(text[:LONGEST])}


def addressed_in(text: str) -> set[str]:
    """Return the words that look like names of people, folded: names after a word such as `tell` or `has`."""
    before = small_words("come before a person")
    return {fold(name) for word, name in _ADDRESSED.findall(text[:LONGEST]) if fold(word) in before}


def take_apart(folded: str) -> list[Part]:
    """Return the parts of a folded text, in order."""
    shown: dict[int, str] = {match.start(): match.lastgroup or "" for match in _IN_CHINESE.finditer(folded)}
    parts: list[Part] = []
    for match in _PART.finditer(folded):
        kind = match.lastgroup or ""
        if kind in {"word", "han", "other"}:
            meaning = shown.get(match.start())
            parts.append(Part(match.group(), kind, (meaning,) if meaning else ()))
        else:
            parts.append(Part(f"[{kind}]", kind, (kind,)))
    return parts


def asks(folded: str, parts: list[Part]) -> bool:
    """Whether a text is a question, by its signs or its first word."""
    return _ASKS.search(folded) is not None or (bool(parts) and parts[0].text in small_words("begin a question"))
