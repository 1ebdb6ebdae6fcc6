"""What ends the demo: a claim that does not hold."""

from __future__ import annotations


class Failed(Exception):
    """A check of the demo failed.

    Attributes:
        expected: What was to hold, a sentence.
        came: What was there instead.
    """

    def __init__(self, expected: str, came: object) -> None:
        super().__init__(f"Expected: {expected} This came instead: {came}")
        self.expected = expected
        self.came = str(came)
