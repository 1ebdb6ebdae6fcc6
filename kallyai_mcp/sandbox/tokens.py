"""Tokens of the sandbox: issued in pairs, refreshed with rotation, expiring by `clock.wall`.

Each sign-in begins a family. A refresh token serves once; when it comes a second time somebody has a copy, and the
whole family ends (RFC 9700, section 4.14.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.model.sandbox_marks import ID_PREFIX, TOKEN_PREFIX
from kallyai_mcp.sandbox.clock import moment
from kallyai_mcp.sandbox.scopes import ALL_SCOPES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kallyai_mcp.sandbox.world import World

LIFETIME = 3600
"""Seconds for which an access token is good."""

DEMO_TOKEN = f"{TOKEN_PREFIX}at_demo"
"""An access token that every sandbox takes, with all scopes. It never expires."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a sign-in or a refresh yields; `expires_in` in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """What a valid access token allows."""

    scopes: frozenset[str]


def issue(world: World, scopes: Iterable[str] = ALL_SCOPES, *, expires_in: int = LIFETIME) -> Pair:
    """Issue a pair that begins a new family."""
    return _issue(world, tuple(scopes), expires_in, world.new_id("family"))


def lookup(world: World, access: str) -> Access | None:
    """Return what an access token allows; None if it is unknown, revoked or expired."""
    if access == DEMO_TOKEN:
        return Access(frozenset(ALL_SCOPES))
    token = world.get("access_token", access)
    if token is None or world.clock.wall() >= moment(token["expires_at"]):
        return None
    return Access(frozenset(token["scopes"]))


def refresh(world: World, refresh_token: str) -> Pair | None:
    """Exchange a refresh token for a new pair; None if it is unknown, revoked, or was exchanged before."""
    with world.transaction():
        token = world.get("refresh_token", refresh_token)
        if token is None:
            return None
        if token["used"]:
            _end(world, family=token["family"])
            return None
        world.save("refresh_token", token | {"used": True})
        return _issue(world, tuple(token["scopes"]), token["expires_in"], token["family"])


def revoke_all(world: World) -> None:
    """End every family. The demo token stays."""
    with world.transaction():
        _end(world)


def _issue(world: World, scopes: tuple[str, ...], expires_in: int, family: str) -> Pair:
    pair = Pair(_text(world, "at"), _text(world, "rt"), expires_in, scopes)
    common = {"family": family, "scopes": list(scopes)}
    expires_at = (world.clock.wall() + timedelta(seconds=expires_in)).isoformat()
    world.add("access_token", common | {"expires_at": expires_at}, id=pair.access_token)
    world.add("refresh_token", common | {"expires_in": expires_in, "used": False}, id=pair.refresh_token)
    return pair


def _text(world: World, kind: str) -> str:
    # Two identifiers, so that the text is as long as a token usually is.
    parts = (world.new_id("token").removeprefix(f"{ID_PREFIX}token_") for _ in range(2))
    return f"{TOKEN_PREFIX}{kind}_{''.join(parts)}"


def _end(world: World, **which: Any) -> None:
    for kind in ("access_token", "refresh_token"):
        for token in world.all(kind, **which):
            world.delete(kind, token["id"])
