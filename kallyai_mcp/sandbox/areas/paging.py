"""Parts of long lists."""

from __future__ import annotations

from typing import Any, TypeVar

ItemT = TypeVar("ItemT")
DEFAULT_LIMIT = 50


def page(items: list[ItemT], args: Any) -> list[ItemT]:
    """Return the part of a list that the arguments `limit` and `offset` ask for, where the command has them."""
    start = getattr(args, "offset", None) or 0
    return items[start : start + (getattr(args, "limit", None) or DEFAULT_LIMIT)]


def without(document: dict[str, Any], *hidden: str) -> dict[str, Any]:
    """Return a document without the fields that only the sandbox needs."""
    return {name: value for name, value in document.items() if name not in hidden}
