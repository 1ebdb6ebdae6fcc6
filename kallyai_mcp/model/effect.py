"""What running a command does to the world."""

from enum import StrEnum


class Effect(StrEnum):
    """Declared for every command and never guessed from the HTTP verb: searches are POSTs, and one GET writes."""

    READ = "read"
    """Changes nothing. It may still cost credits."""
    WRITE = "write"
    """Adds or changes something that can be changed again."""
    DESTROY = "destructive"
    """Ends, removes or revokes something."""
