"""Real tokenizers, which count what the server only estimates."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("o200k_base", "cl100k_base")
"""The present one of OpenAI, and the one before it, coarser for most scripts. Anthropic's are not public."""


def counted(text: str, name: str = NAMES[0]) -> int:
    """Return how many tokens a text is."""
    return len(_encoder(name)(text))


@cache
def _encoder(name: str) -> Callable[[str], list[int]]:
    with warnings.catch_warnings():
        # It reads its tables with a function that the standard library keeps for old code (importlib.resources).
        warnings.simplefilter("ignore", DeprecationWarning)
        import bpe_openai

    return bpe_openai.get_encoding(name).encode
