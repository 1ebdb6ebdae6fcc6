"""`python -m kallyai_mcp.export`.

A composition root, as every `__main__` is: the one place where the exporter meets the sandbox.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import kallyai_mcp
from kallyai_mcp.errors import KallyError
from kallyai_mcp.export import changes, find_checkout, write
from kallyai_mcp.export.registry import hosts, links, server_json
from kallyai_mcp.export.sandbox_tables import SandboxFacts, guide_sections, numbers_and_phrases
from kallyai_mcp.export.sign_in_tables import signing_in_sections
from kallyai_mcp.export.tables import sections
from kallyai_mcp.sandbox import control
from kallyai_mcp.sandbox.faults import AFTER, INSTEAD, SETTINGS, Switches
from kallyai_mcp.sandbox.numbers import NUMBERS, PHRASES
from kallyai_mcp.sandbox.triggers import TRIGGERS
from kallyai_mcp.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None, package: Path | None = None) -> int:
    """Write or check the generated files.

    Args:
        arguments: The command line; the process's own if None.
        package: Folder of the package whose checkout is meant; the running one if None.

    Returns:
        0 if all is as it should be, 1 if `--check` found differences, 2 if it cannot be done.
    """
    parser = argparse.ArgumentParser("python -m kallyai_mcp.export", description="Write the generated files.")
    parser.add_argument("--check", action="store_true", help="write nothing, show differences, exit 1 if there are any")
    check: bool = parser.parse_args(arguments).check
    try:
        root = find_checkout(package or Path(kallyai_mcp.__file__).parent)
        found = changes(root, documents(sandbox_facts()), {"server.json": server_json()})
    except KallyError as error:
        sys.stderr.write(f"{error.message}\n{error.next_step}\n")
        return 2
    if not check:
        write(root, found)
    for change in found:
        sys.stdout.write(change.diff() + "\n" if check else f"{change.path}\n")
    if check and found:
        sys.stderr.write("Generated files differ from the declarations: run python -m kallyai_mcp.export\n")
        return 1
    return 0


def documents(facts: SandboxFacts) -> dict[str, dict[str, str]]:
    """Return the documents with generated parts by path, and these by name."""
    numbers = numbers_and_phrases(facts.numbers, facts.phrases)
    return {
        "README.md": {**sections(), "sandbox numbers": numbers, "hosts": hosts(), "one-click links": links()},
        "docs/sandbox.md": guide_sections(facts),
        "docs/signing-in.md": signing_in_sections(),
    }


def sandbox_facts() -> SandboxFacts:
    """Return what the sandbox lists about itself."""
    world = World(areas=())
    controls = [
        (f"{method} {route.path}", route.endpoint.__doc__ or "")
        for route in control.routes(world, Switches())
        for method in sorted(set(route.methods or ()) - {"HEAD"})
    ]
    world.close()
    return SandboxFacts(NUMBERS, PHRASES, TRIGGERS, INSTEAD | AFTER, SETTINGS, controls)


if __name__ == "__main__":
    sys.exit(main())
