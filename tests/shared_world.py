"""What the tests of what replicas share have in common."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.auth.session import Session
from kallyai_mcp.settings import Settings
from kallyai_mcp.shared import KeyRing, account_of

if TYPE_CHECKING:
    from pathlib import Path

    from kallyai_mcp.shared import Shared

OLD = base64.b64encode(b"o" * 32).decode()
NEW = base64.b64encode(b"n" * 32).decode()
ANN = account_of("https://id.example.org", "ann")
BOB = account_of("https://id.example.org", "bob")


def ring(*keys: str) -> KeyRing:
    return KeyRing.read(",".join(keys or (OLD,)))


def a_pair(name: str = "0", *, seconds: float = 3000.0) -> TokenPair:
    return TokenPair(f"at-{name}", f"rt-{name}", int(time.time() + seconds), written_at=time.time())


def session(shared: Shared, account: str, folder: Path, **changes: Any) -> Session:
    given: dict[str, Any] = {"state_dir": folder, "display": False} | changes
    settings = Settings(**given)
    return Session(settings, file=shared.tokens(account), jitter=lambda: 0.0)
