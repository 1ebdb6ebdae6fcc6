"""What seals the states of runs that wait, and cookies: keys made of those of the vault, the same on every replica."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from mcp.server.request_state import AESGCMRequestStateCodec

if TYPE_CHECKING:
    from mcp.server.request_state import RequestStateCodec

STATES = b"kallyai-mcp request state"
COOKIES = b"kallyai-mcp cookies"


def codec_of(vault_keys: str, purpose: bytes = STATES) -> RequestStateCodec:
    """Return a codec for a key ring as the setting writes it: the first key seals, each of them opens.

    A key for one purpose says nothing about another's (RFC 5869), and none has to be set and rotated besides.
    """
    words = vault_keys.replace(",", " ").split()
    keys = [base64.b64decode(word.replace("-", "+").replace("_", "/")) for word in words]
    return AESGCMRequestStateCodec([HKDF(SHA256(), 32, None, purpose).derive(key) for key in keys])
