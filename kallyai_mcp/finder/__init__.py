"""Finding commands by what a person wants, in English, Spanish and Chinese."""

from kallyai_mcp.finder.finder import Finder, Found

__all__ = ["Finder", "Found"]
