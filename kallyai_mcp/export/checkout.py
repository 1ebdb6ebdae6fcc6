"""The generated files of a source checkout: what they should hold, how they differ, and writing them."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kallyai_mcp import catalog
from kallyai_mcp.errors import KallyError
from kallyai_mcp.export.documents import fill
from kallyai_mcp.export.tokens import index_entries
from kallyai_mcp.exposure import dump
from kallyai_mcp.model import tool_definition

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LONGEST_DIFF = 24
"""Lines of a difference that are shown; the rest is only counted."""


class NotACheckout(KallyError):
    """The generated files have no place, since the program runs from an installed package."""

    code = "not_a_checkout"


@dataclass(frozen=True, slots=True)
class Change:
    """A generated file that is not as it should be.

    Attributes:
        path: Relative to the checkout, with slashes.
        before: What it holds; None if it does not exist.
        after: What it should hold; None if it should not exist.
    """

    path: str
    before: str | None
    after: str | None

    def diff(self) -> str:
        """Return a unified diff, cut short."""
        lines = list(
            difflib.unified_diff(
                (self.before or "").splitlines(),
                (self.after or "").splitlines(),
                self.path if self.before is not None else "/dev/null",
                self.path if self.after is not None else "/dev/null",
                n=1,
                lineterm="",
            )
        )
        if len(lines) > _LONGEST_DIFF:
            lines[_LONGEST_DIFF:] = [f"... and {len(lines) - _LONGEST_DIFF} lines more"]
        return "\n".join(lines)


def find_checkout(package: Path) -> Path:
    """Return the root of the checkout that holds the package's folder.

    Raises:
        NotACheckout: The package is installed.
    """
    root = package.resolve().parent
    if (root / "pyproject.toml").is_file() and (root / "README.md").is_file():
        return root
    raise NotACheckout(
        "This needs a source checkout of kallyai-mcp; an installed package has nothing to generate.",
        next_step="Run python -m kallyai_mcp.export in a clone of the repository.",
    )


def changes(
    root: Path, documents: Mapping[str, Mapping[str, str]], whole: Mapping[str, str] | None = None
) -> list[Change]:
    """Compare the generated files of a checkout with what they should hold.

    Args:
        root: The checkout.
        documents: Paths of the documents with generated parts, and these by name.
        whole: Paths of further generated files, and what they hold.

    Raises:
        MissingMarker: A document has no place for one of its parts.
    """
    after: dict[str, str | None] = {
        path: fill(path, _read(root / path) or "", sections) for path, sections in documents.items()
    }
    after |= whole or {}
    # Whatever else lies in the folder was written for a tool that is gone.
    after |= {f"tool_schemas/{path.name}": None for path in (root / "tool_schemas").glob("*.json")}
    after |= {
        f"tool_schemas/{command.tool}.json": json.dumps(tool_definition(command), indent=2, ensure_ascii=False) + "\n"
        for command in catalog.all_commands()
    }
    after["kallyai_mcp/exposure/index.json"] = dump(index_entries())
    found = [Change(path, _read(root / path), text) for path, text in sorted(after.items())]
    return [change for change in found if change.before != change.after]


def write(root: Path, found: list[Change]) -> None:
    """Make the changes."""
    for change in found:
        path = root / change.path
        if change.after is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(change.after.encode())


def _read(path: Path) -> str | None:
    # Bytes, so that a line ending of another system shows as a difference.
    return path.read_bytes().decode() if path.is_file() else None
