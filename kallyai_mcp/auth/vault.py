"""The pair in force: the token file's, or one that could not be written, while the file stays as it was.

saved          the file is the truth; a file that disappeared means signed out
not saved      memory holds the pair until the file changes (somebody else's pair, or a sign-out) or can be written
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.auth.store import PlaceUnusable, UnreadableTokenFile
from kallyai_mcp.errors import SignInFailed, TransportError
from kallyai_mcp.model.sandbox_marks import is_sandbox_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.auth.clock import Clock
    from kallyai_mcp.auth.pair import TokenPair
    from kallyai_mcp.auth.store import Stamp, TokenStore

SAVE_AGAIN_AFTER = 30.0
PEER_LOOKS = 5
PEER_PAUSE = 0.2
JUST_WRITTEN = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Unsaved:
    """A pair in memory, and how the file was when it could not be written.

    Attributes:
        pair: What only this process has.
        stamp: The file's; None where there was none.
        seen: Whether the file could be looked at. If not, `used` tells whether it is still the old one.
        used: The refresh token in place of which the pair came.
    """

    pair: TokenPair
    stamp: Stamp | None
    seen: bool
    used: str | None


class Vault:
    """Keeps one account's pair. Every method that writes expects the caller to hold the file's lock."""

    def __init__(self, file: TokenStore, clock: Clock, unsaved: Callable[[], None] = lambda: None) -> None:
        self.file = file
        self._clock = clock
        self._tell_unsaved = unsaved
        self._unsaved: _Unsaved | None = None
        self._save_not_before = 0.0

    @property
    def has_unsaved(self) -> bool:
        """Whether a pair is in memory alone."""
        return self._unsaved is not None

    @property
    def wants_saving(self) -> bool:
        """Whether a pair waits for another try to write it, and the time for that has come."""
        return self._unsaved is not None and self._clock.monotonic() >= self._save_not_before

    def held(self) -> TokenPair | None:
        """The pair in force; None when nobody is signed in.

        Raises:
            UnreadableTokenFile: The file is refused.
        """
        unsaved = self._unsaved
        if unsaved is None:
            return self.file.read()
        try:
            if self._is_as_left(unsaved):
                return unsaved.pair
            there = self.file.read()
        except UnreadableTokenFile:
            # A disk that fails, or somebody's file half written on a full one, does not end what works in memory.
            return unsaved.pair
        self._unsaved = None
        return there

    async def current(self) -> TokenPair | None:
        """As `held`, with patience: the CLI writes the file in place, and narrows its mode only afterwards.

        Raises:
            UnreadableTokenFile: The file is refused, and was not written just now.
        """
        for _ in range(PEER_LOOKS):
            try:
                await self.file.prepare()
                return self.held()
            except PlaceUnusable:
                if self._unsaved is None:
                    raise
                return self._unsaved.pair
            except UnreadableTokenFile:
                stamp = self.file.stamp()
                if stamp is not None and abs(self._clock.now() - stamp.changed_ns / 1e9) > JUST_WRITTEN:
                    raise
            await self._clock.sleep(PEER_PAUSE / 2)
        return self.held()

    async def save(self, pair: TokenPair, used: str | None = None) -> bool:
        """Write a pair; where that fails, keep it in memory and say so in the log. Whether it was written.

        `used` is the refresh token that brought it.
        """
        try:
            with anyio.CancelScope(shield=True):  # a sign-in that is cut off here would be lost for good
                await self.file.write(pair)
        except OSError as error:
            self.keep_in_memory(pair, error.strerror or type(error).__name__, used)
        except UnreadableTokenFile as error:
            self.keep_in_memory(pair, error.message, used)
        else:
            self._unsaved = None
            return True
        return False

    def keep_in_memory(self, pair: TokenPair, reason: str, used: str | None = None) -> None:
        """Go on with a pair that is not in the file."""
        try:
            self._unsaved = _Unsaved(pair, self.file.stamp(), seen=True, used=used)
        except UnreadableTokenFile:
            self._unsaved = _Unsaved(pair, None, seen=False, used=used)
        self._save_not_before = self._clock.monotonic() + SAVE_AGAIN_AFTER
        _log.warning("New tokens could not be saved in %s (%s); only this process has them.", self.file.place, reason)
        self._tell_unsaved()

    async def save_again(self) -> None:
        """Try once more to write what is only in memory, if its lock is free."""
        self._save_not_before = self._clock.monotonic() + SAVE_AGAIN_AFTER
        try:
            async with self.file.locked(0):
                if self._unsaved is not None and self._is_as_left(self._unsaved):
                    await self.save(self._unsaved.pair, self._unsaved.used)
                else:
                    self.held()  # somebody else's is there, or nobody's: ours is given up
        except (TransportError, UnreadableTokenFile) as error:
            _log.debug("The token file still cannot be written: %s", error.message)

    def _is_as_left(self, unsaved: _Unsaved) -> bool:
        stamp = self.file.stamp()
        if unsaved.seen or stamp is None:
            return stamp == unsaved.stamp and unsaved.seen
        there = self.file.read()
        return there is not None and there.refresh_token == unsaved.used

    async def store_refreshed(self, used: TokenPair, new: TokenPair) -> TokenPair | None:
        """Save what a refresh brought; return the pair now in force.

        Nothing is written where the user signed out meanwhile (None), or where somebody wrote a newer pair unlocked.
        """
        try:
            unchanged = self._unsaved is not None and self._is_as_left(self._unsaved)
        except UnreadableTokenFile:
            unchanged = True
        if not unchanged:
            self._unsaved = None
            try:
                there = self.file.read()
            except UnreadableTokenFile:
                there = used
            if there is None:
                return None
            if there.refresh_token != used.refresh_token and there.usable(self._clock.now()):
                return there
        await self.save(new, used.refresh_token)
        return new

    async def peers_pair(self, used: TokenPair) -> TokenPair | None:
        """The pair of a program that refreshed without our lock and is about to write it; None if none appears."""
        for look in range(PEER_LOOKS + 1):
            if look:
                await self._clock.sleep(PEER_PAUSE)
            try:
                there = self.file.read()
            except UnreadableTokenFile:
                continue
            if (
                there is not None
                and there.access_token != used.access_token
                and there.refresh_token != used.refresh_token
                and there.usable(self._clock.now())
            ):
                self._unsaved = None
                return there
        return None

    def require_no_live_tokens(self, new: TokenPair) -> None:
        """Check that a sandbox's pair would not be written over live tokens.

        Raises:
            SignInFailed: It would.
        """
        if not is_sandbox_token(new.access_token):
            return
        try:
            there = self.file.read()
        except UnreadableTokenFile:
            return
        if there is not None and not is_sandbox_token(there.access_token):
            raise SignInFailed(
                f"{self.file.place} holds live tokens; those of a sandbox are not written over them.",
                next_step="Name another file with --token-file, or use --sandbox.",
            )

    async def remove(self) -> bool:
        """Forget the pair and remove the file. Whether there was a pair.

        Raises:
            UnreadableTokenFile: The file cannot be removed.
        """
        was_there = self._unsaved is not None
        self._unsaved = None
        with anyio.CancelScope(shield=True):
            was_there |= await self.file.erase()
        return was_there
