"""Make values that came from outside safe to pass on: encodable, finite, shallow, without invisible commands.

What a cut emoji, a broken number or a hostile text would do to a JSON line, a terminal or a model ends here.
"""

from __future__ import annotations

import math
import re
from typing import Any, cast

MAX_DEPTH = 64
"""Lists and objects deeper than this become null."""

_SAFE_INTEGER = 2**53
"""RFC 8259, section 6: integers from here on lose digits in readers that use doubles."""

_SURROGATE = re.compile("[\ud800-\udfff]")
# C0 and C1 controls and DEL except tab, line feed and carriage return; tag characters, which hide text from people.
_DROPPED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\U000e0000-\U000e007f]")


def clean_text(text: str) -> str:
    """Return the text with lone surrogates replaced by U+FFFD, and control and tag characters dropped."""
    if text.isprintable():
        return text
    return _DROPPED.sub("", _SURROGATE.sub("\ufffd", text))


def clean(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return a JSON value that any reader takes; cleaning it once more changes nothing.

    Texts and keys go through `clean_text`; infinities and NaN become null; integers of 2**53 and more become text.
    """
    kind = cast("type[object]", type(value))
    if kind is str:
        return clean_text(value)
    if kind is dict:
        if not depth:
            return None
        return {clean_text(key): clean(item, depth - 1) for key, item in cast("dict[str, Any]", value).items()}
    if kind is list:
        return [clean(item, depth - 1) for item in cast("list[Any]", value)] if depth else None
    if kind is int:
        return value if -_SAFE_INTEGER < value < _SAFE_INTEGER else _digits(value)
    if kind is float:
        return value if math.isfinite(value) else None
    return value


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # beyond sys.get_int_max_str_digits()
        return hex(number)
