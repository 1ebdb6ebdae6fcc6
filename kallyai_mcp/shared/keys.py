"""The key ring: what is kept for people is sealed with the first of its keys, and opened with any of them.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits. What is sealed, for whom, and which version of it, is
authenticated with it: a row that was moved to another account, or put back later, does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from typing import NamedTuple

from kallyai_mcp.auth.store import PlaceUnusable
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.privacy import hide

KEY_BYTES = 32
NONCE_BYTES = 12
VARIABLE = "KALLYAI_VAULT_KEYS"
_REMEDY = f"Make one with: kallyai-mcp vault new-key. Put it into {VARIABLE}."


AGAIN = "Sign in anew with kallyai_login, and run that once more when the user has approved."


class VaultUnusable(PlaceUnusable):
    """The tokens of an account cannot be read or kept."""

    code = "vault_unusable"


class Sealed(NamedTuple):
    """What is kept of a secret.

    Attributes:
        key_id: Which key it was sealed with.
        text: Nonce and sealed bytes, in base64.
    """

    key_id: str
    text: str


class KeyRing:
    """Some keys, in the order of the setting.

    Args:
        keys: 32 bytes each; the first seals.
    """

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = {key_id(key): key for key in keys}
        self.current = key_id(keys[0])
        """Identifier of the key that seals."""

    @classmethod
    def read(cls, text: str) -> KeyRing:
        """Read a list of keys in base64, separated by commas or blanks.

        Raises:
            InvalidSettings: There is none, or one is not 32 bytes in base64.
        """
        keys: list[bytes] = []
        for number, word in enumerate(text.replace(",", " ").split(), start=1):
            try:
                key = base64.b64decode(word.replace("-", "+").replace("_", "/"), validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if len(key) != KEY_BYTES:
                raise InvalidSettings(f"Key {number} of {VARIABLE} is not 32 bytes in base64.", next_step=_REMEDY)
            hide(word, lasting=True)
            keys.append(key)
        if not keys:
            raise InvalidSettings(f"{VARIABLE} names no key.", next_step=_REMEDY)
        return cls(tuple(keys))

    def seal(self, kind: str, account: str, version: int, content: bytes) -> Sealed:
        """Seal something with the first key."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self._keys[self.current]).encrypt(nonce, content, _bound(kind, account, version, self.current))
        return Sealed(self.current, base64.b64encode(nonce + sealed).decode("ascii"))

    def open(self, kind: str, account: str, version: int, used: str, text: str) -> bytes:
        """Open what was sealed for this account, as this version.

        Args:
            kind: What it is.
            account: Whose it is.
            version: Which version of it.
            used: Identifier of the key that it was sealed with.
            text: What `seal` gave.

        Raises:
            VaultUnusable: Its key is not in the ring, or it was sealed for something else, or altered.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._keys.get(used)
        if key is None:
            raise VaultUnusable(
                f"What is kept of the sign-in was sealed with the key {used[:16]}, which is not in the key ring.",
                next_step=f"{AGAIN} Or have the operator put that key back into {VARIABLE} and run kallyai-mcp vault "
                "rotate.",
            )
        try:
            content = base64.b64decode(text, validate=True)
            return AESGCM(key).decrypt(
                content[:NONCE_BYTES], content[NONCE_BYTES:], _bound(kind, account, version, used)
            )
        except (InvalidTag, ValueError):
            raise VaultUnusable(
                "What is kept of the sign-in does not belong to this account, or was altered. It was not used.",
                next_step=f"{AGAIN} Have the operator look at who can write to the database.",
            ) from None


def key_id(key: bytes) -> str:
    """Return the short name of a key, from which it cannot be found."""
    return hashlib.sha256(b"kallyai-mcp key\n" + key).hexdigest()[:16]


def new_key() -> str:
    """Return a new random key, as the setting takes it."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode("ascii")


def _bound(kind: str, account: str, version: int, key: str) -> bytes:
    return json.dumps(["kallyai-mcp", kind, account, version, key]).encode()
