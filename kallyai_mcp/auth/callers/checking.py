"""How tokens are checked, by the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallyai_mcp.auth.callers.policy import Policy
from kallyai_mcp.auth.callers.provider import Provider
from kallyai_mcp.auth.http import Http
from kallyai_mcp.organisation import PLAIN_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kallyai_mcp.auth.callers.introspection import IntrospectedTokens
    from kallyai_mcp.auth.callers.signed import SignedTokens
    from kallyai_mcp.organisation import Organisation


def provider_of(told: Organisation) -> Provider:
    """Return the identity provider of the settings; nothing is asked yet."""
    return Provider(told.issuer or "", Http.direct())


def checker_of(told: Organisation, provider: Provider, resources: Iterable[str]) -> SignedTokens | IntrospectedTokens:
    """Return what checks tokens for these resources."""
    policy = Policy(provider.issuer, frozenset({*resources, *told.audiences}))
    if told.introspection_client_id and told.introspection_client_secret:
        from kallyai_mcp.auth.callers.introspection import IntrospectedTokens

        return IntrospectedTokens(provider, policy, (told.introspection_client_id, told.introspection_client_secret))
    from kallyai_mcp.auth.callers.signed import SignedTokens

    return SignedTokens(provider, policy, plain=told.token_type == PLAIN_TOKEN)
