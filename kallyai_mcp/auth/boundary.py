"""Which side a token belongs to: what a sandbox issued goes to sandboxes only, what is live never does."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kallyai_mcp.errors import InvalidSettings, SignInRequired
from kallyai_mcp.model.sandbox_marks import is_sandbox_token
from kallyai_mcp.settings import DEFAULT_PROFILE, Settings, default_token_file, is_loopback

if TYPE_CHECKING:
    from pathlib import Path

SIGN_IN = "Sign in: kallyai_login from here, or kallyai-mcp login in a terminal."


def is_sandbox(settings: Settings) -> bool:
    """Whether the API of these settings is a sandbox: the embedded one, or one that left its mark on this machine.

    A sandbox on port N makes the file `sandboxes/N` in the state folder.
    """
    if settings.sandbox:
        return True
    mark = _mark(settings.api_url, settings.state_dir)
    return mark is not None and mark.exists()


@cache
def _mark(origin: str, state_dir: Path | None) -> Path | None:
    parts = urlsplit(origin)
    if not is_loopback(parts.hostname):
        return None
    return Settings(state_dir=state_dir).state_folder / "sandboxes" / str(parts.port)


def token_path(settings: Settings) -> Path:
    """Where the tokens are kept: as set; else for a sandbox a file of its own, and otherwise the CLI's.

    A token file set to the shared default counts as not set, so that a sandbox never overwrites live tokens. A profile
    has a file beside that of the default one, its name before the suffix: .kallyai_token.work.json.
    """
    path = settings.token_file
    if path == default_token_file() and is_sandbox(settings):
        path = settings.state_folder / "sandbox-token.json"
    if settings.profile == DEFAULT_PROFILE:
        return path
    # With a suffix always: "tokens.lock" would be the lock of "tokens".
    return path.with_name(f"{path.stem}.{settings.profile}{path.suffix or '.json'}")


def require_same_side(settings: Settings, token: str, *, source: str) -> None:
    """Check that a token may be sent to the API of these settings.

    Args:
        settings: Names the API.
        token: An access or refresh token.
        source: Where it came from, for the text: "KALLYAI_ACCESS_TOKEN", or the file's path.

    Raises:
        InvalidSettings: The token of the environment is on the wrong side.
        SignInRequired: The token of the file is on the wrong side.
    """
    if is_sandbox_token(token) and not is_loopback(urlsplit(settings.api_url).hostname):
        fact = f"The token in {source} was issued by a sandbox and is not sent to {settings.api_url}."
    elif is_sandbox(settings) and not is_sandbox_token(token):
        fact = f"The token in {source} was not issued by a sandbox and is not sent to the one at {settings.api_url}."
    else:
        return
    if source == "KALLYAI_ACCESS_TOKEN":
        raise InvalidSettings(fact, next_step="Remove KALLYAI_ACCESS_TOKEN, or set a token of this service.")
    raise SignInRequired(fact, next_step=f"{SIGN_IN} Use another --token-file to keep the tokens that are there.")
