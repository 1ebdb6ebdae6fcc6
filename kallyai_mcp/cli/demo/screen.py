"""The demo on the terminal: headings, what the agent runs, what comes back, and which checks held.

At most 80 columns; coloured where the terminal can, plain in a pipe and where NO_COLOR is set.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
from rich.text import Text

from kallyai_mcp.cli.output import console
from kallyai_mcp.cli.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from kallyai_mcp.cli.demo.checks import Failed

WIDTH = 80
_PLAIN = str.maketrans({"─": "-", "→": ">", "←": "<", "✓": "+", "✗": "x", "·": "-", "…": "."})
_LONGEST_VALUE = 400


class Screen:
    """Prints the demo.

    Args:
        stream: Where it is shown.
        pace: Seconds of a pause.
    """

    def __init__(self, stream: TextIO, pace: float) -> None:
        self._console = console(stream)
        self._console.width = min(self._console.width, WIDTH)
        self._pace = pace
        self._has_glyphs = _can_show("".join(map(chr, _PLAIN)), stream.encoding)

    async def pause(self, beats: float = 1) -> None:
        """Give people time to read."""
        await anyio.sleep(beats * self._pace)

    def title(self, text: str, below: str) -> None:
        """Begin."""
        self._line(0, Text(text, "bold"))
        self._line(0, Text(below))

    def heading(self, text: str) -> None:
        """Begin a step."""
        self.blank()
        rule = "─" * max(0, self._console.width - len(text) - 4)
        self._line(0, Text.assemble(("── ", "cyan"), (text, "bold cyan"), (f" {rule}", "cyan")))

    def narrate(self, text: str) -> None:
        """Say what happens and why."""
        self._line(0, Text(visible(text)))

    def runs(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """Show what the agent does."""
        self.blank()
        self._line(2, Text.assemble(("→ ", "bold blue"), (tool, "bold")))
        for name, value in arguments.items():
            shown = json.dumps(value, ensure_ascii=False)[:_LONGEST_VALUE]
            self._line(6, Text.assemble((f"{name}: ", "dim"), visible(shown)), hanging=2)

    def types(self, command: str) -> None:
        """Show a command line."""
        self.blank()
        self._line(2, Text.assemble(("$ ", "bold blue"), (command, "bold")))

    def answers(self, text: str, *, style: str = "") -> None:
        """Show what came back, in one paragraph."""
        self._line(2, Text.assemble(("← ", "bold magenta"), (visible(text), style)), hanging=2)

    def fact(self, name: str, value: object, *, style: str = "", width: int = 10) -> None:
        """Show one named value of what came back."""
        self._line(6, Text.assemble((f"{name:<{width}} ", "dim"), (visible(str(value)), style)), hanging=width + 1)

    def item(self, text: str, *, style: str = "") -> None:
        """Show one of several things."""
        self._line(6, Text(visible(text), style), hanging=2)

    def says(self, time: str, speaker: str, text: str, *, ours: bool) -> None:
        """Show a line of a talk."""
        lead = f"{speaker:<8} "
        spoken = Text.assemble((f"{time}  ", "dim"), (lead, "cyan" if ours else "yellow"), visible(text))
        self._line(6, spoken, hanging=len(time) + 2 + len(lead))

    def goes_on(self, text: str) -> None:
        """Show that something takes its time."""
        self._line(6, Text(f"… {visible(text)}", "dim"))

    def person(self, text: str) -> None:
        """Show what a person does."""
        self._line(2, Text.assemble(("· ", "bold yellow"), visible(text)), hanging=2)

    def passed(self, text: str) -> None:
        """Show a check that held."""
        self._line(2, Text.assemble(("✓ ", "bold green"), (visible(text), "green")), hanging=2)

    def failed(self, failure: Failed) -> None:
        """Show the check that did not hold."""
        self.blank()
        self._line(
            2, Text.assemble(("✗ ", "bold red"), (f"Expected: {visible(failure.expected)}", "bold red")), hanging=2
        )
        self._line(4, Text(f"This came instead: {visible(failure.came)}"))
        self._line(4, Text("The demo ends here."))

    def copy(self, text: str) -> None:
        """Show what is to be copied: as it is, however wide."""
        self._console.print(Text(text, "bold"), soft_wrap=True)

    def blank(self) -> None:
        """Leave a line empty."""
        self._console.print()

    def _line(self, indent: int, text: Text, *, hanging: int = 0) -> None:
        # Wrapped by hand: what rich indents, it also fills up with blanks to the right.
        if not self._has_glyphs:
            text.plain = text.plain.translate(_PLAIN)
        room = max(20, self._console.width - indent)
        lines = text.wrap(self._console, room)
        first, rest = lines[0], lines[1:]
        if rest and hanging:
            left = text[len(first) :]
            left.plain = left.plain.lstrip()
            rest = left.wrap(self._console, room - hanging)
        for number, line in enumerate([first, *rest]):
            line.rstrip()
            self._console.print(Text(" " * (indent + (hanging if number else 0))) + line, soft_wrap=True)


def _can_show(glyphs: str, encoding: str | None) -> bool:
    try:
        glyphs.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
