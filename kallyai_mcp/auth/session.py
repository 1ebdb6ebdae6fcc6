"""Access tokens for the API client: read from the file, refreshed ahead of their end, once for everybody who waits.

    run ── token() ── fresh? ──────────────────────────────► the file's token, for one stat
                        │ due
                        ▼
             one task of this process (gate) ─► one process (file lock) ─► read again: a peer's newer pair? adopt it
                                                                            else one refresh, saved before anything else

Endpoint, body and rotation are the API's facts ("refresh"). The file is never removed because of an error, and never
written again after somebody removed it.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.auth.boundary import SIGN_IN, require_same_side, token_path
from kallyai_mcp.auth.claims import TokenFacts, read_facts
from kallyai_mcp.auth.clock import SystemClock
from kallyai_mcp.auth.http import Http, oauth_error
from kallyai_mcp.auth.keyring_store import KeyringStore
from kallyai_mcp.auth.lock import LOCK_WAIT
from kallyai_mcp.auth.pair import pair_from_answer
from kallyai_mcp.auth.store import UnreadableTokenFile
from kallyai_mcp.auth.token_file import TokenFile
from kallyai_mcp.auth.vault import Vault
from kallyai_mcp.errors import KallyError, SignInRequired, TransportError
from kallyai_mcp.privacy import hide

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kallyai_mcp.auth.clock import Clock
    from kallyai_mcp.auth.pair import TokenPair
    from kallyai_mcp.auth.store import TokenStore
    from kallyai_mcp.settings import Settings

REFRESH_PATH = "/v1/auth/refresh"
AHEAD = 600.0
JITTER = 60.0
PAUSE_AFTER_FAILURE = 60.0
FIXED_SOURCE = "KALLYAI_ACCESS_TOKEN"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """What is known about the sign-in without asking the service.

    Attributes:
        authenticated: A token is there that is valid, or that can be refreshed.
        source: "environment", "token file", "keyring", or None.
        expires_at: Unix seconds at which the access token ends; None where nobody knows.
        path: The token file, whether or not it exists; None with a token from the environment.
        problem: Why the tokens that are there cannot be used.
    """

    authenticated: bool
    source: str | None
    expires_at: float | None
    path: Path | None
    problem: KallyError | None = None


class Session:
    """The tokens of one account.

    Args:
        settings: API, token file, fixed token.
        http: How the service is reached.
        clock: Wall and monotonic time.
        file: Where the tokens are kept; as the settings say by default.
        jitter: A number from 0 to 1, so that several processes do not refresh in the same second.
        unsaved: Called when new tokens could not be saved, so that only this process has them.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        http: Http | None = None,
        clock: Clock | None = None,
        file: TokenStore | None = None,
        jitter: Callable[[], float] = random.random,
        unsaved: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.http = http or Http.for_settings(settings)
        self.file: TokenStore = file or store_of(settings, self.clock)
        self._vault = Vault(self.file, self.clock, unsaved)
        for secret in (settings.access_token, settings.client_secret, *settings.credentials.values()):
            if secret:
                hide(secret, lasting=True)
        self._ahead = AHEAD + JITTER * jitter()
        self._gate = anyio.Lock()
        self._attempts = 0
        self._failure: KallyError | None = None
        self._ahead_not_before = 0.0
        self._rejected: str | None = None
        self._latest: TokenPair | None = None
        """What the last refresh of this process brought."""
        self._granted: tuple[str, str] | None = None

    async def token(self) -> str | None:
        """A valid access token, refreshed if that is due; None when nobody is signed in.

        Raises:
            SignInRequired: There were tokens, and the service takes them no longer.
            TransportError: The token has ended and the refresh brought no usable answer.
            InvalidSettings: The token file is refused, or the fixed token is on the wrong side.
        """
        if self.settings.access_token:
            require_same_side(self.settings, self.settings.access_token, source=FIXED_SOURCE)
            return self.settings.access_token
        if self._vault.wants_saving and not self._gate.locked():
            async with self._gate:
                await self._vault.save_again()
        pair = await self._vault.current()
        if pair is None:
            return None
        if not self._is_due(pair):
            return self._checked(pair)
        if pair.usable(self.clock.now()) and (self._gate.locked() or self.clock.monotonic() < self._ahead_not_before):
            return self._checked(pair)
        return await self._token_when_due(pair)

    async def renew(self, refused: str) -> str | None:
        """Another token than the one which the API refused with 401; None when the user must sign in again.

        A refused token costs one refresh at most, however many runs carried it.

        Raises:
            TransportError: The refresh brought no usable answer, so whether the sign-in is over is not known.
            InvalidSettings: The token file is refused.
        """
        if self.settings.access_token:
            return None
        try:
            renewed = await self._renewed(refused, wait=LOCK_WAIT)
        except SignInRequired:
            return None
        return None if renewed is None else self._checked(renewed)

    @property
    def has_unsaved(self) -> bool:
        """Whether there are tokens that only this process has: they could not be saved yet."""
        return self._vault.has_unsaved

    async def save(self) -> None:
        """Try once more to save what only this process has."""
        async with self._gate:
            await self._vault.save_again()

    def status(self) -> AccountStatus:
        """What the environment and the token file say, without network."""
        if self.settings.access_token:
            try:
                require_same_side(self.settings, self.settings.access_token, source=FIXED_SOURCE)
            except KallyError as problem:
                return AccountStatus(False, "environment", None, None, problem)
            return AccountStatus(True, "environment", None, None)
        try:
            pair = self._vault.held()
            if pair is None:
                return AccountStatus(False, None, None, self.file.path)
            self._checked(pair)
        except KallyError as problem:
            return AccountStatus(False, self.file.kind, None, self.file.path, problem)
        renewable = pair.refresh_token is not None and pair.refresh_token != self._rejected
        valid = pair.usable(self.clock.now()) or renewable
        return AccountStatus(valid, self.file.kind, pair.expires_at, self.file.path)

    def facts(self) -> TokenFacts:
        """What the access token at hand says about itself, and what the service said with it; without network."""
        token = self.settings.access_token
        if token is None:
            try:
                pair = self._vault.held()
            except KallyError:
                pair = None
            token = None if pair is None else pair.access_token
        if token is None:
            return TokenFacts()
        granted = self._granted[1] if self._granted is not None and self._granted[0] == token else None
        return read_facts(token, granted)

    async def require_savable(self) -> None:
        """Check, before anybody is asked to sign in, that the tokens could be kept.

        Raises:
            TransportError: Another process holds the lock for too long.
            InvalidSettings: They could not.
        """
        async with self.file.locked():
            self.file.require_replaceable()

    async def adopt(self, pair: TokenPair) -> bool:
        """Take the tokens of a new sign-in. Whether they could be saved; if not, this process works with them.

        Raises:
            SignInRequired: They belong to the other side.
            SignInFailed: Live tokens stand in the file, and these are a sandbox's.
        """
        self._checked(pair)
        self._rejected = None
        self._note_scope(pair)
        async with self._gate:
            try:
                async with self.file.locked():
                    self._vault.require_no_live_tokens(pair)
                    return await self._vault.save(pair)
            except (TransportError, UnreadableTokenFile) as error:
                self._vault.keep_in_memory(pair, error.message)
                return False

    async def forget(self) -> bool:
        """Remove the token file. Whether there was one.

        Raises:
            TransportError: Somebody else has held the tokens all the time ("token_file_busy"); they are still there.
            InvalidSettings: It cannot be removed.
        """
        async with self._gate:
            try:
                async with self.file.locked():
                    return await self._vault.remove()
            except (TransportError, UnreadableTokenFile) as error:
                if not self.file.erases_unlocked:
                    raise
                # Safe without the lock: whoever refreshes looks, before saving, whether the file is there.
                _log.info("Removing the token file without its lock: %s", error.message)
                return await self._vault.remove()

    def _note_scope(self, pair: TokenPair) -> None:
        if pair.scope is not None:
            self._granted = (pair.access_token, pair.scope)
        elif self._granted is not None:
            self._granted = (pair.access_token, self._granted[1])  # a refresh changes no scope unless it says so

    def _checked(self, pair: TokenPair) -> str:
        source = self.file.place
        require_same_side(self.settings, pair.access_token, source=source)
        if pair.refresh_token:
            require_same_side(self.settings, pair.refresh_token, source=source)
        return pair.access_token

    def _is_due(self, pair: TokenPair) -> bool:
        # A token may be meant to live for less than the usual lead; then half of its life is the lead.
        # Of our own pair the moment is known; of others the file's time tells it, by the clock of whoever keeps files.
        own = self._latest is not None and self._latest.access_token == pair.access_token
        written_at = self._latest.written_at if own and self._latest is not None else pair.written_at
        lead = min(self._ahead, max(0.0, (pair.expires_at - written_at) / 2))
        return self.clock.now() >= pair.expires_at - lead

    async def _token_when_due(self, pair: TokenPair) -> str | None:
        try:
            # Ahead of time a held lock means that a peer is at it; nobody need wait for that.
            renewed = await self._renewed(None, wait=0.0 if pair.usable(self.clock.now()) else LOCK_WAIT)
        except KallyError as error:
            if not pair.usable(self.clock.now()):
                raise
            self._ahead_not_before = self.clock.monotonic() + PAUSE_AFTER_FAILURE
            _log.info("Refreshing ahead of time failed, the present token is still valid: %s", error.error_code)
            return self._checked(pair)
        return None if renewed is None else self._checked(renewed)

    async def _renewed(self, refused: str | None, *, wait: float) -> TokenPair | None:
        """Refresh once for all who wait here; those who waited for a failed attempt share its error."""
        attempts = self._attempts
        async with self._gate:
            if self._attempts != attempts and self._failure is not None:
                raise self._failure
            pair = await self._vault.current()
            if pair is None or self._will_do(pair, refused):
                return pair
            if self._attempts != attempts and self._latest is not None and refused != pair.access_token:
                latest = self._latest
                if latest.access_token == pair.access_token and pair.usable(self.clock.now()):
                    return pair  # came while waiting here, and is due again already: nobody refreshes it at once
            self._failure = None
            try:
                async with self.file.locked(wait):
                    # From here a cancelled run must not lose the new pair; the deadline is that of the exchange.
                    with anyio.CancelScope(shield=True):
                        return await self._refresh(refused)
            except KallyError as error:
                # A try ahead of time, which waits for no lock, says nothing about one that must succeed.
                self._failure = error if wait else None
                raise
            finally:
                self._attempts += 1

    def _will_do(self, pair: TokenPair, refused: str | None) -> bool:
        if refused is not None:
            return pair.access_token != refused and pair.usable(self.clock.now())
        return not self._is_due(pair)

    async def _refresh(self, refused: str | None) -> TokenPair | None:
        pair = await self._vault.current()
        if pair is None or self._will_do(pair, refused):
            return pair
        if pair.refresh_token is None:
            raise self._over("has ended, and the service gave no refresh token with it")
        if pair.refresh_token == self._rejected:
            raise self._over("has ended")
        self._checked(pair)
        asked_at = self.clock.now()
        url = self.settings.api_url + REFRESH_PATH
        async with self.http.answered("POST", url, json={"refresh_token": pair.refresh_token}) as answer:
            if answer.status == 200:
                # Nothing but the save from here on, which is not cut off: what is lost now is lost for good.
                try:
                    new = pair_from_answer(answer.body, asked_at=asked_at, previous_refresh_token=pair.refresh_token)
                except ValueError:
                    raise _odd_answer(answer.status) from None
                self._checked(new)
                self._note_scope(new)
                self._latest = await self._vault.store_refreshed(pair, new)
                return self._latest
        if answer.status not in {400, 401} and oauth_error(answer.body) != "invalid_grant":
            raise _odd_answer(answer.status)
        newer = await self._vault.peers_pair(pair)
        if newer is None:
            self._rejected = pair.refresh_token
            raise self._over("has ended: the service refused to refresh it")
        return newer

    def _over(self, fact: str) -> SignInRequired:
        return SignInRequired(f"The sign-in in {self.file.place} {fact}.", next_step=SIGN_IN)


def store_of(settings: Settings, clock: Clock) -> TokenStore:
    """Where the settings have the tokens kept."""
    if settings.store == "keyring":
        return KeyringStore.of(settings, clock)
    return TokenFile(token_path(settings), clock)


def _odd_answer(status: int) -> TransportError:
    return TransportError(
        f"The service could not refresh the sign-in (status {status}).",
        code="refresh_failed",
        next_step=f"Try again in a moment. If it stays so: {SIGN_IN}",
        retryable=True,
    )
