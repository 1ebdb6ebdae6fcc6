"""Take out of a text what a reader would not see: controls, terminal codes, marks that reorder or hide.

Joiners that a script or an emoji needs stay where they have an effect (Unicode Standard, 23.2; UTS 51, 2.3), one in a
place, so that no message can be spelled with them. Every other kind of line break becomes a line feed.
"""

from __future__ import annotations

import re
import unicodedata

# ECMA-48, 5.4 and 5.6: control sequences, control strings up to their terminator on the same line, other escapes.
_TERMINAL = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\n\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b[ -/]*[0-~]"
)
_BREAK = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# What is not seen (Default_Ignorable_Code_Point of Unicode) or only acts: controls but tab and line feed, formats but
# the signs that enclose Arabic or Indic digits, fillers, selectors, tags, and half characters.
_CONTROL = "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"
_UNSEEN = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_JOINER = "\u180b-\u180f\u200c\u200d\ufe0e\ufe0f"
_DROPPED = re.compile(f"[{_UNSEEN}]")
_CONTROLS = re.compile(f"[{_CONTROL}]")
_JOINERS = re.compile(f"[{_JOINER}]+")
_ANY = re.compile(f"[{_CONTROL}{_UNSEEN}{_JOINER}\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029\u2800]")

_EMOJI = re.compile(
    "[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_KEYCAP = "\u20e3"
# Scripts whose letters join: Arabic, Syriac, N'Ko, Mandaic, Manichaean, Adlam.
_JOINING = re.compile(
    "[\u0620-\u065f\u066e-\u06d3\u06d5-\u06dc\u06df-\u06e8\u06ea-\u06ef\u06fa-\u074f\u0750-\u077f\u07ca-\u07f5"
    "\u0840-\u0858\u0860-\u089f\u08a0-\u08e1\u08e3-\u08ff\ufb50-\ufdcf\ufdf0-\ufdfc\ufe70-\ufefc"
    "\U00010ac0-\U00010ae4\U0001e900-\U0001e94b]"
)
# Scripts of Indic descent, from Devanagari to Sinhala, Tibetan to Khmer, and those beyond the basic plane.
_INDIC = re.compile(
    "[\u0900-\u0dff\u0f00-\u109f\u1700-\u17ff\u1900-\u1aff\u1b00-\u1c4f\ua800-\ua8ff\ua930-\uaaff\uabc0-\uabff"
    "\U00011000-\U00011fff]"
)
_MONGOLIAN = re.compile("[\u1820-\u18aa]")
_VIRAMA = 9
"""Canonical combining class of the sign that joins two consonants of an Indic script."""


def neutral(text: str) -> str:
    """Return the text without anything that is not seen; it is whole UTF-8, and a second time changes nothing."""
    if _ANY.search(text) is None:
        return text
    return _joined(_CONTROLS.sub("", _TERMINAL.sub("", _BREAK.sub("\n", _DROPPED.sub("", text)))))


def shown(text: str) -> str:
    """Return the same, but with what a terminal code carries, for a person who must see all that would be sent."""
    return neutral(_CONTROLS.sub("", text))


def unseen(text: str) -> int:
    """Return how many characters `shown` leaves out."""
    return len(_BREAK.sub("\n", text)) - len(shown(text))


def _joined(text: str) -> str:
    return _JOINERS.sub(_kept, text.replace("\u2800", " "))  # the blank of Braille


def _kept(run: re.Match[str]) -> str:
    """What of a run of joiners and selectors has an effect between its neighbours."""
    marks = run[0]
    before = run.string[run.start() - 1 : run.start()]
    after = run.string[run.end() : run.end() + 1]
    if _EMOJI.match(before) or (after == _KEYCAP and before in tuple("0123456789#*")):
        selector = marks[0] if marks[0] in "\ufe0e\ufe0f" else ""
        return selector + ("\u200d" if "\u200d" in marks and _EMOJI.match(after) else "")
    mark = marks[0]
    if mark in "\u200c\u200d":
        if _INDIC.match(before):
            return mark if unicodedata.combining(before) == _VIRAMA or _INDIC.match(after) else ""
        if _JOINING.match(before):
            return mark if mark == "\u200d" or _JOINING.match(after) else ""
    elif "\u180b" <= mark <= "\u180f" and _MONGOLIAN.match(before):
        return mark
    return ""
