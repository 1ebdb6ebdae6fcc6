"""How many tokens a text may be for a model, rather too many than too few, without a tokenizer.

Tokenizers differ, and those of most models are not public. What they have in common is that a character is at most as
many tokens as it has bytes in UTF-8, and that what is written every day is fewer. So everyday characters count as many
as the public tokenizers make of them where they follow one another by chance (o200k, a natural text being half of that)
or in natural text (cl100k, older and coarser), and all others count their bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from functools import cache, lru_cache

LIMIT = 25_000
"""Tokens that an answer may have in all. Claude Code cuts off what is beyond it, as long as nobody sets another limit
(its documentation, `MAX_MCP_OUTPUT_TOKENS`). Counted are text, structured content and files together, though a host
shows a model one of the first two."""

MOST = 4
"""Tokens of a character at most: bytes of UTF-8."""

_LETTER, _BLANK, _OTHER = 0.6, 0.45, 1.0
"""Of ASCII: small letters, blanks, and each of the rest."""

_LETTERS = bytes(range(ord("a"), ord("z") + 1))
_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_JOINTS = (b'":"', b'","', b'":', b',"')
"""What stands between two texts of JSON; each is one token."""

_RANGES = (
    (0x386, 0x3CE, 1.65),  # Greek
    (0x410, 0x45F, 1.65),  # Cyrillic
    (0x5D0, 0x5EA, 1.65),  # Hebrew
    (0x620, 0x652, 1.65),  # Arabic
    (0x900, 0x97F, 1.8),  # Devanagari
    (0xE01, 0xE5B, 1.6),  # Thai
    (0x2010, 0x2027, 1.6),  # dashes, quotation marks, ellipsis
    (0x3000, 0x30FF, 1.5),  # punctuation of Chinese and Japanese, Kana
    (0xFF01, 0xFF5E, 2.0),  # the same width as these
    (0x1F000, 0x1FAFF, 3.0),  # emoji
)
"""Everyday characters: the first, the last, tokens of each."""

_STARTS = [first for first, _, _ in _RANGES]

_EVERYDAY = (
    ("gb2312", 0xB0, 0xD7, 1.7),  # level 1: simplified Chinese
    ("big5", 0xA4, 0xC6, 1.7),  # level 1: traditional Chinese
    ("euc_jp", 0xB0, 0xCF, 1.7),  # level 1: Kanji
    ("euc_kr", 0xB0, 0xC8, 2.0),  # syllables of KS X 1001
)
"""Blocks of national standards that hold what is written every day: codec, first and last lead byte, tokens of each."""


def tokens(*texts: str) -> float:
    """Return how many tokens texts are at most."""
    return sum(map(_tokens, texts))


def _tokens(text: str) -> float:
    if text.isascii():
        return _of_ascii(text.encode())
    others = [(letter, count) for letter, count in Counter(text).items() if letter >= "\x80"]
    stand_ins = sum(count for _, count in others) * _OTHER  # each stands as a question mark among the rest
    return _of_ascii(text.encode("ascii", "replace")) - stand_ins + sum(_weight(one) * count for one, count in others)


def _of_ascii(text: bytes) -> float:
    for joint in _JOINTS:
        text = text.replace(joint, b'"')
    letters = len(text) - len(text.translate(None, _LETTERS))
    blanks = text.count(b" ") - text.translate(_ALIKE).count(b" 0")  # before a digit it is a token of its own
    return letters * _LETTER + blanks * _BLANK + (len(text) - letters - blanks) * _OTHER


@lru_cache(maxsize=16_384)
def _weight(character: str) -> float:
    number = ord(character)
    if (place := bisect_right(_STARTS, number) - 1) >= 0 and number <= _RANGES[place][1]:
        return _RANGES[place][2]
    if 0x4E00 <= number <= 0x9FFF or 0xAC00 <= number <= 0xD7A3:
        return everyday().get(character, 3.0)
    return 2.0 if number < 0x800 else 3.0 if number < 0x10000 else float(MOST)


@cache
def everyday() -> dict[str, float]:
    """Return the Chinese and Korean characters that are written every day, and the tokens of each."""
    found: dict[str, float] = {}
    for codec, first, last, weight in _EVERYDAY:
        for lead in range(first, last + 1):
            for trail in (*range(0x40, 0x7F), *range(0xA1, 0xFF)):
                found[bytes((lead, trail)).decode(codec, "ignore")] = weight
    return found
