"""The vendor's command line, as far as the token file goes: it takes no lock, and refreshes after the end only."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

SKEW = 60


class SignedOut(Exception):
    """It would ask its user to sign in."""


def save(path: Path, answer: dict[str, Any], now: float) -> None:
    """Write in place, narrow the mode afterwards."""
    fields = {
        "access_token": answer["access_token"],
        "refresh_token": answer.get("refresh_token"),
        "expires_at": now + answer.get("expires_in", 3600) - SKEW,
    }
    path.write_text(json.dumps(fields))
    path.chmod(0o600)


def exchange(path: Path, origin: str) -> dict[str, Any]:
    """Refresh, without saving what came."""
    body = json.dumps({"refresh_token": json.loads(path.read_text())["refresh_token"]}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{origin}/v1/auth/refresh", body, headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=15) as response:  # noqa: S310 - loopback
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        error.close()
        raise SignedOut from None


def token(path: Path, origin: str) -> str:
    """Return the access token, refreshed if it has ended."""
    stored = json.loads(path.read_text())
    if stored["expires_at"] > time.time():
        return stored["access_token"]
    answer = exchange(path, origin)
    save(path, answer, time.time())
    return answer["access_token"]
