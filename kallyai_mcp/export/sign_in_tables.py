"""The generated parts of the page about signing in: its settings, and what to do about each of its errors."""

from __future__ import annotations

from kallyai_mcp.errors import OWN_CODES
from kallyai_mcp.export.tables import settings_rows, table
from kallyai_mcp.model.codes import CODES, STATUS_FALLBACKS

SETTINGS_SHOWN = (
    "api_url",
    "token_file",
    "profile",
    "store",
    "access_token",
    "no_browser",
    "client_id",
    "client_secret",
    "device_authorization_url",
    "token_url",
    "state_dir",
    "proxy",
)
"""Settings that decide how one signs in, by name."""

REMEDIES = {
    "invalid_settings": "Correct the flag or variable that the message names. A registered client needs its id and its "
    "secret; a fixed token hides every profile.",
    "token_origin_mismatch": "Sign in at this service, or take another profile or token file for the sandbox.",
    "token_file_unusable": "Do what the message says: give the file to its owner with mode 0600, sign in again to "
    "replace a damaged one, or name another with `--token-file`.",
    "keyring_unusable": "Install the extra `keyring`, unlock the keyring, or use `--token-store file`.",
    "token_file_busy": "Try again. If it stays so, end the program that holds the lock beside the token file.",
    "sign_in_required": "Run `kallyai-mcp login`, or have the assistant run kallyai_login. `kallyai-mcp status` shows "
    "which profile and service are meant.",
    "sign_in_pending": "Open the address, agree there, and run the tool again.",
    "sign_in_denied": "Start again if that was a mistake; agree on the page only to what you began yourself.",
    "sign_in_expired": "Start again, and finish on the page in time. With the browser on another machine: "
    "`kallyai-mcp login --paste`.",
    "sign_in_failed": "Read the message. If the tokens could not be saved, name another place with `--token-file`; if "
    "the client is refused, check `KALLYAI_CLIENT_ID` and its secret; else start again.",
    "sign_in_too_soon": "Wait for the time that the answer names, then start again.",
    "refresh_failed": "Try again in a moment; nobody was signed out. If it stays so, sign in again.",
    "port_unavailable": "End other sign-ins that wait for a browser; one of the ports 8740 to 8759 must be free.",
}
"""What to do about our own codes around signing in; the page has no row without one."""

STATUSES = (401, 403)


def signing_in_sections() -> dict[str, str]:
    """Return the generated parts of the page by name."""
    return {"sign-in settings": settings(), "sign-in errors": errors()}


def settings() -> str:
    """Return the table of the settings involved, in the order of the page."""
    return table(("Flag", "Variable", "Default", "Meaning"), settings_rows(SETTINGS_SHOWN))


def errors() -> str:
    """Return the troubleshooting table: our own codes first, then those with which the API refuses access."""
    own = [(f"`{code}`", OWN_CODES[code], remedy) for code, remedy in REMEDIES.items() if code in OWN_CODES]
    api = [
        (f"`{code.code}`", f"{code.meaning} (status {code.http_status})", code.next_step)
        for code in (*CODES.values(), *STATUS_FALLBACKS.values())
        if code.http_status in STATUSES
    ]
    return table(("Code", "What it means", "What to do"), [*own, *api])
