"""How what belongs to the sandbox is told from what is live."""

TOKEN_PREFIX = "kallyai_sandbox_"  # noqa: S105 - a prefix, not a secret
"""Every token of a sandbox begins so, and no live one does."""

ID_PREFIX = "sbx_"
"""Every identifier a sandbox makes begins so."""

HEADER = "X-KallyAI-Sandbox"
"""Stands in every answer of a sandbox."""


def is_sandbox_token(token: str) -> bool:
    """Whether a token was issued by a sandbox."""
    return token.startswith(TOKEN_PREFIX)
