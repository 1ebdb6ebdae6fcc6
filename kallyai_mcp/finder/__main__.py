"""`python -m kallyai_mcp.finder` writes the index anew, after the words have changed."""

from __future__ import annotations

import sys
from pathlib import Path

from kallyai_mcp.catalog import all_commands
from kallyai_mcp.finder.index import FILE, Index
from kallyai_mcp.finder.lexicon import written_meanings
from kallyai_mcp.finder.words import missing, written_words


def main() -> int:
    """Write `index.json` beside this file.

    Returns:
        0 if it was written, 1 if words are missing.
    """
    wanting = missing(all_commands(), written_words(), written_meanings())
    if wanting:
        sys.stderr.write("\n".join([*wanting, ""]))
        return 1
    Path(__file__).with_name(FILE).write_text(Index.build().dump(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
