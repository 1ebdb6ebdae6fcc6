"""How much a test does: a bounded share in CI, all of it by `make test-full`."""

import os

FULL = os.environ.get("KALLYAI_TESTS") == "full"


def share(bounded: int, everything: int) -> int:
    """Return how many examples, rounds or kills there are to be."""
    return everything if FULL else bounded
