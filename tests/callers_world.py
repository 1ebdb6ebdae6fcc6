"""A provider of this process, for what a real one never does, and the pieces of forged tokens."""

from __future__ import annotations

import base64
import json
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx2
from joserfc import jwt
from joserfc.jwk import RSAKey
from provider_world import new_key

from kallyai_mcp.auth.callers.policy import Policy
from kallyai_mcp.auth.callers.provider import Provider
from kallyai_mcp.auth.callers.signed import SignedTokens
from kallyai_mcp.auth.http import Http

if TYPE_CHECKING:
    from collections.abc import Callable

RESOURCE = "https://mcp.example.com/mcp"


@cache
def key_of(kid: str) -> dict[str, Any]:
    return new_key(kid)


class FakeProvider:
    """A provider of this process, for what a real one never does. It counts what it is asked."""

    def __init__(self, issuer: str = "https://idp.example.com") -> None:
        self.issuer = issuer
        self.keys = [key_of("one")]
        self.asked: list[str] = []
        self.metadata: dict[str, Any] = {"issuer": issuer, "jwks_uri": f"{issuer}/keys"}
        self.answers: dict[str, Callable[[httpx2.Request], httpx2.Response]] = {}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path](request)
        if path == "/.well-known/openid-configuration":
            return httpx2.Response(200, json=self.metadata)
        if path == "/keys":
            return httpx2.Response(200, json={"keys": [RSAKey.import_key(key).as_dict() for key in self.keys]})
        return httpx2.Response(404)

    @property
    def http(self) -> Http:
        return Http(lambda: httpx2.MockTransport(self))

    def policy(self) -> Policy:
        return Policy(self.issuer, frozenset({RESOURCE}))

    def checker(self, **options: Any) -> SignedTokens:
        return SignedTokens(Provider(self.issuer, self.http), self.policy(), **options)

    def token(self, *, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
        now = int(time.time())
        facts = {
            "iss": self.issuer,
            "sub": "ann",
            "aud": RESOURCE,
            "exp": now + 60,
            "iat": now,
            "scope": "kallyai:read",
        }
        facts = {name: value for name, value in (facts | claims).items() if value is not None}
        head = {"alg": "RS256", "typ": "at+jwt", "kid": "one"} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, facts, key or RSAKey.import_key(self.keys[0]), [head["alg"]], default_type=None)


def encoded(value: dict[str, Any]) -> str:
    return base64_of(json.dumps(value).encode())


def base64_of(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
