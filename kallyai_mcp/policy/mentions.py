"""Find numbers that a text in everyday words names, and orders to phone an emergency service.

It looks for numbers in international form. That it finds none says nothing: a number can be spelled in words, split or
encoded, which is why acts that hand on free words are never judged by this alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from kallyai_mcp.policy import numbers
from kallyai_mcp.policy.spelling import normalise, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

_BREAK = r"[\s.\-/()_\[\]\u2022\u00b7]{0,4}"
_SPAN = re.compile(
    rf"(?:tel:[\s/]*|\+|(?<![\w+.,:/\-])(?:00|011)(?={_BREAK}[1-9])){_BREAK}[0-9](?:{_BREAK}[0-9]){{1,18}}",
    re.IGNORECASE,
)
_GROUP = re.compile(r"[0-9]+")
_CERTAIN = 9
"""So many digits after a plus, under no country code, are a number all the same."""

_VERB = (
    r"call|dial|phone|ring|text|telephone|contact|alert|notify|"  # English
    r"llam(?:a|ar|ad|e|en|es)|marc(?:a|ar|ad)|marqu(?:e|en)|telefone(?:a|ar|e)|avis(?:a|ar|e)|"  # Spanish
    r"ruf(?:e|en|t)?|anrufen|w(?:ä|ae)hl(?:e|en|t)?|"  # German
    r"appel(?:le|er|ez)|compos(?:e|er|ez)|"  # French
    r"chiam(?:a|are|ate|i)|compon(?:i|ete)|"  # Italian
    r"lig(?:a|ar|ue)|chame|disque|disca"  # Portuguese
)
_BETWEEN = (
    r"(?:[\s:,\"'(]+(?:the|to|a|an|on|up|at|out|number|emergency|emergencies|police|services?|for|help|me|us|please|"
    r"al|a|el|la|los|las|número|numero|policía|policia|emergencias|por|favor|die|den|der|das|bei|an|nummer|notruf|le|au|"
    r"du|il|lo|o|para|número)){0,5}[\s:,\"'(]+"
)
_MAIN = (
    r"9[\s.\-]?1[\s.\-]?1|1[\s.\-]?1[\s.\-]?2|9[\s.\-]?9[\s.\-]?9|nine[\s\-]one[\s\-]one|nine[\s\-]eleven|"
    r"one[\s\-]one[\s\-]two|nine[\s\-]nine[\s\-]nine|triple[\s\-](?:nine|zero|oh)|nueve[\s\-]once|"
    r"nueve[\s\-]uno[\s\-]uno|novecientos once|uno[\s\-]uno[\s\-]dos|ciento doce|(?:eins[\s\-]?){2}zwei"
)
_NEGATED = re.compile(
    r"(?:\bnot|n't|\bnever|\bwithout|\bno|\bnunca|\bnicht|\bkeine?n?|\bne|\bnon|\bnão)\s+(?:\w+\s+)?$", re.IGNORECASE
)
_ORDER = re.compile(
    rf"\b(?:{_VERB}){_BETWEEN}(?:(?:(?:\+|00)[\s.\-]?[0-9]{{1,3}}[\s.\-]?)?(?P<main>{_MAIN})(?![.\-/]?\d|\s\d{{3}}|\w)|(?P<local>[0-9]{{2,3}})(?=\s*(?:$|[.,;!?)\n]))(?![.,]\d))",
    re.IGNORECASE,
)


_SPELLED = "112"
"""Stands for an emergency number that is spelled in words."""


def mentioned(text: str) -> Iterator[str]:
    """Yield the numbers that a text names, and the emergency numbers that it orders to phone."""
    flat = plain(text)
    yield from embedded(flat)
    for order in _ORDER.finditer(flat):
        if _NEGATED.search(flat, max(0, order.start() - 40), order.start()):
            continue
        digits = re.sub(r"[^0-9]", "", order["main"] or order["local"]) or _SPELLED
        # Two digits are rather an age or a number of people.
        if order["main"] or (len(digits) > 2 and numbers.is_emergency(digits)):
            yield digits


def is_emergency_in_words(text: str) -> bool:
    """Whether a text, which has gone through `plain`, is nothing but an emergency number, also spelled in words."""
    return re.fullmatch(_MAIN, text.strip(), re.IGNORECASE) is not None


def embedded(text: str) -> Iterator[str]:
    """Yield the numbers in international form that stand in a text, which has gone through `plain`."""
    for span in _SPAN.finditer(_unquoted(text)):
        if (found := _longest(span[0])) is not None:
            yield found


def _unquoted(text: str) -> str:
    return unquote(text) if "%2b" in text.lower() else text


def _longest(span: str) -> str | None:
    """Return the number in a span of digits to which some may belong that follow it; None where there is none."""
    is_certain = "+" in span or span[:3].lower() == "tel"
    for group in reversed(list(_GROUP.finditer(span))):
        number = normalise(span[: group.end()])
        fault = numbers.fault(number)
        if fault is None or fault is numbers.TOLL or fault is numbers.NETWORK:
            return number
        # "+15" is rather a number of people.
        if fault is numbers.EMERGENCY and (number.lstrip("+") in numbers.EVERYWHERE or len(number) > 4):
            return number if is_certain else None
        if fault is numbers.UNASSIGNED and is_certain and len(number) > _CERTAIN:
            return number
    return None
