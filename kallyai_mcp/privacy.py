"""Take what is personal or secret out of a text before it is logged or shown in an error."""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"(?i)\bbearer\s+[^\s\"',]+"
    r"|\bkallyai_sandbox_(?!at_demo\b)\w+"
    r"|\beyJ[\w-]{8,}(?:\.[\w-]+)*"
    r"|(?<=token=)[^\s&\"']+|(?<=code=)[^\s&\"']+"
    r"|(?<=_token\": \")[^\"]+|(?<=_token\":\")[^\"]+|(?<=_token': ')[^']+"
)
_EMAIL = re.compile(r"[\w.+-]+@(?:[\w-]+\.)+\w+")
_PHONE = re.compile(
    r"\+\d(?:[ ().-]{0,2}\d){6,}"  # international, however it is spaced
    r"|(?<![\w.-])\(?\d{2,4}\)?[ .-]\d{3,4}[ .-]?\d{3,4}(?![\w-])"  # in groups, which a date is not
    r"|(?<![\w.-])\d{8,15}(?![\w-])"
)


def mask(text: str) -> str:
    """Replace tokens, mail addresses and phone numbers by what kind of thing stood there."""
    text = _SECRET.sub("[secret]", text)
    text = _EMAIL.sub("[address]", text)
    return _PHONE.sub("[number]", text)
