"""The generated parts of a document: what stands between a marker that names a part and the next end marker.

<!-- generated: settings -->
...
<!-- end -->
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kallyai_mcp.errors import KallyError

if TYPE_CHECKING:
    from collections.abc import Mapping

_END = "<!-- end -->"


class MissingMarker(KallyError):
    """A document has no marked place for a generated part."""

    code = "missing_marker"

    def __init__(self, document: str, marker: str) -> None:
        super().__init__(
            f"{document} has no line {marker}",
            next_step=f"Put the line {marker} where the generated part belongs, and {_END} on the line after it.",
        )


def fill(document: str, text: str, sections: Mapping[str, str]) -> str:
    """Return the text of a document with its generated parts replaced and all else left alone.

    Args:
        document: Its path, for the error.
        text: What it holds.
        sections: The generated parts by name.

    Raises:
        MissingMarker: A part has no place; nothing is replaced.
    """
    for name, part in sections.items():
        begin = f"<!-- generated: {name} -->"
        place = re.compile(rf"^{re.escape(begin)}\n(.*?)^{re.escape(_END)}$", re.DOTALL | re.MULTILINE)
        found = place.search(text)
        if found is None:
            raise MissingMarker(document, _END if re.search(f"^{re.escape(begin)}$", text, re.MULTILINE) else begin)
        if "<!-- generated:" in found[1]:
            raise MissingMarker(document, _END)
        text = f"{text[: found.start()]}{begin}\n\n{part.strip()}\n\n{_END}{text[found.end() :]}"
    return text
