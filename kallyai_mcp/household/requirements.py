"""What an organisation's server cannot do without. All that is missing is named at once, before anything is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.readers import is_loopback

if TYPE_CHECKING:
    from kallyai_mcp.settings import Settings


def require_whole(settings: Settings) -> None:
    """Check that the settings make up a server for many people.

    Raises:
        InvalidSettings: Something is missing, or contradicts it; all of that is named.
    """
    told = settings.organisation
    stored = settings.database_url or told.embedded_storage
    missing = [
        f"{name} ({what})"
        for name, value, what in (
            ("KALLYAI_PUBLIC_URL", told.public_url, "the origin at which people reach it"),
            ("KALLYAI_ISSUER", told.issuer, "the identity provider"),
            ("KALLYAI_DATABASE_URL", stored, "PostgreSQL; or KALLYAI_EMBEDDED_STORAGE=1, for one replica"),
            ("KALLYAI_VAULT_KEYS", settings.vault_keys, "what the tokens of people are sealed with"),
        )
        if not value
    ]
    wrong: list[str] = []
    if settings.database_url and told.embedded_storage:
        wrong.append("KALLYAI_DATABASE_URL and KALLYAI_EMBEDDED_STORAGE contradict each other: remove one.")
    if settings.access_token is not None:
        wrong.append("KALLYAI_ACCESS_TOKEN is one account's token, and people have their own: remove it.")
    if settings.client_id is not None:
        wrong.append(
            "KALLYAI_CLIENT_ID signs in by a browser on this machine: remove it; accounts are linked by codes."
        )
    if told.read_scope == told.act_scope:
        wrong.append("KALLYAI_READ_SCOPE and KALLYAI_ACT_SCOPE must differ, else reading would allow acting.")
    if settings.sandbox and not is_loopback(urlsplit(told.public_url or "http://localhost").hostname):
        wrong.append("An embedded sandbox is for this machine: people elsewhere could not open its pages.")
    if missing or wrong:
        facts = [f"It lacks {', '.join(missing)}."] if missing else []
        raise InvalidSettings(
            " ".join(("The server cannot be shared by an organisation as it is set.", *facts, *wrong)),
            next_step="docs/deploy.md shows all of it together. A key for the vault: kallyai-mcp vault new-key.",
        )
