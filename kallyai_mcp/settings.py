"""Settings of the program: one table, read once from flags and environment into a frozen object.

Hosts configure servers through the environment, so every flag has a variable; a flag wins. The help texts and the
README are made from the table. Nothing is read at import.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kallyai_mcp.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIVE_ORIGIN = "https://api.kallyai.com"
DEFAULT_TOKEN_FILE = "~/.kallyai_token.json"  # noqa: S105 - a path, not a secret
LOG_LEVELS = ("debug", "info", "warning", "error")
LANGUAGES = ("en", "es")
CREDENTIAL_VARIABLES = (
    "KALLYAI_TELEGRAM_BOT_TOKEN",
    "KALLYAI_WHATSAPP_PHONE_NUMBER_ID",
    "KALLYAI_WHATSAPP_ACCESS_TOKEN",
    "KALLYAI_WHATSAPP_BUSINESS_ACCOUNT_ID",
)
"""Read for `channels connect` and `channels test`; never arguments, so that no model sees them."""


_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII)
"""A host name in ASCII; others are given in the form of RFC 5891, `xn--…`."""


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address reaches only this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _origin(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a web address") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("must begin with https:// and name a host")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must use https; plain http is for this machine only")
    if parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must be an origin only: scheme, host and port")
    if ":" not in parts.hostname and not _HOST.fullmatch(parts.hostname):
        raise ValueError("must name a host by letters, digits, dots and dashes")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def _endpoint(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("is not a web address") from None
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be one word of visible ASCII characters")
    _origin(f"{parts.scheme}://{parts.netloc}")
    return text


def _switch(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError("must be 1 or 0")


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)  # nobody has a home folder here, as in some containers; a file under it is just not found


STATE_WITHOUT_HOME = "~/.local/state/kallyai-mcp"
"""Named where nobody has a home folder, as in some containers; nothing is found there, and nothing can be kept."""


def default_token_file() -> Path:
    """Return the token file of KallyAI's own command line."""
    return _path(DEFAULT_TOKEN_FILE)


def _one_of(*values: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return text.lower()

    return read


def _zone(text: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be the name of an IANA time zone, such as America/New_York") from None
    return text


def _token(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be one word of visible ASCII characters")
    return text


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Attributes:
        name: Attribute of `Settings`.
        variable: Environment variable.
        help: What it means, for `--help` and the README.
        read: Turns text into the value; a ValueError says what is wrong with it.
        flag: Option of the command line; None where a value must not stand in a process list, or is rarely needed.
        default: What the table shows as the default.
    """

    name: str
    variable: str
    help: str
    read: Callable[[str], Any]
    flag: str | None = None
    default: str = ""

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        return self.read is _switch


SETTINGS = (
    Setting(
        "api_url",
        "KALLYAI_API_URL",
        "Origin of the API. Plain http only for this machine.",
        _origin,
        "--api-url",
        LIVE_ORIGIN,
    ),
    Setting(
        "token_file",
        "KALLYAI_TOKEN_FILE",
        "Where the tokens are kept, shared with the KallyAI command line.",
        _path,
        "--token-file",
        DEFAULT_TOKEN_FILE,
    ),
    Setting(
        "access_token",
        "KALLYAI_ACCESS_TOKEN",
        "A fixed access token, for containers and CI. It is never refreshed and never written to disk.",
        _token,
    ),
    Setting(
        "sandbox",
        "KALLYAI_SANDBOX",
        "Work with a KallyAI embedded in this process; nothing leaves the machine.",
        _switch,
        "--sandbox",
        "off",
    ),
    Setting(
        "sandbox_data",
        "KALLYAI_SANDBOX_DATA",
        "File in which the sandbox keeps its world; without it, in memory.",
        _path,
        "--sandbox-data",
    ),
    Setting(
        "state_dir",
        "KALLYAI_STATE_DIR",
        "Folder for this program's own state.",
        _path,
        "--state-dir",
        "the platform's state folder",
    ),
    Setting(
        "language",
        "KALLYAI_LANGUAGE",
        "Language of calls when none is given: en or es.",
        _one_of(*LANGUAGES),
        "--language",
        "en",
    ),
    Setting(
        "timezone",
        "KALLYAI_TIMEZONE",
        "IANA time zone of calls when none is given.",
        _zone,
        "--timezone",
        "this machine's",
    ),
    Setting(
        "log_level",
        "KALLYAI_LOG_LEVEL",
        "debug, info, warning or error; the log goes to stderr.",
        _one_of(*LOG_LEVELS),
        "--log-level",
        "warning",
    ),
    Setting(
        "proxy",
        "KALLYAI_PROXY",
        "HTTP proxy for requests to the API. Other proxy variables are ignored.",
        _endpoint,
        "--proxy",
    ),
    Setting(
        "device_authorization_url",
        "KALLYAI_DEVICE_AUTHORIZATION_URL",
        "Device authorization endpoint (RFC 8628), where the API does not announce it.",
        _endpoint,
    ),
    Setting(
        "token_url",
        "KALLYAI_TOKEN_URL",
        "Token endpoint for the device flow, where the API does not announce it.",
        _endpoint,
    ),
    Setting(
        "no_browser",
        "KALLYAI_NO_BROWSER",
        "Never open a browser; show the address instead.",
        _switch,
        "--no-browser",
        "off",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the program was told. See `SETTINGS` for the meaning of each."""

    api_url: str = LIVE_ORIGIN
    token_file: Path = field(default_factory=lambda: default_token_file())
    access_token: str | None = field(default=None, repr=False)
    sandbox: bool = False
    sandbox_data: Path | None = None
    state_dir: Path | None = None
    language: str = "en"
    timezone: str | None = None
    log_level: str = "warning"
    proxy: str | None = field(default=None, repr=False)
    device_authorization_url: str | None = None
    token_url: str | None = None
    no_browser: bool = False
    credentials: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    display: bool = True
    """Whether a person could see a browser that this process opens."""

    @classmethod
    def read(cls, environment: Mapping[str, str], flags: Mapping[str, str | bool | None] | None = None) -> Settings:
        """Read the settings; a flag wins over its variable, an empty variable counts as not set.

        Raises:
            InvalidSettings: A value that cannot be used; names the flag or variable.
        """
        given = flags or {}
        values: dict[str, Any] = {}
        for setting in SETTINGS:
            flag = given.get(setting.name)
            text, source = (
                (flag, setting.flag)
                if flag not in (None, False)
                else (environment.get(setting.variable), setting.variable)
            )
            if text is True:
                values[setting.name] = True
            elif text:
                try:
                    values[setting.name] = setting.read(str(text).strip())
                except ValueError as error:
                    raise InvalidSettings(
                        f"{source} {error}.", next_step=f"Correct or remove {source}. {setting.help}"
                    ) from None
        credentials = {name: environment[name] for name in CREDENTIAL_VARIABLES if environment.get(name)}
        return cls(**values, credentials=credentials, display=_has_display(environment))

    @property
    def zone(self) -> str:
        """The IANA zone of calls: as set, else this machine's, else America/New_York."""
        return self.timezone or _machine_zone() or "America/New_York"

    @property
    def state_folder(self) -> Path:
        """Where this program keeps its own state: as set, else the platform's folder for it."""
        if self.state_dir is not None:
            return self.state_dir
        from platformdirs import user_state_path

        try:
            return user_state_path("kallyai-mcp", appauthor=False)
        except RuntimeError:
            return Path(STATE_WITHOUT_HOME)

    @property
    def is_live(self) -> bool:
        """Whether requests leave this machine."""
        return not self.sandbox and not is_loopback(urlsplit(self.api_url).hostname)


def _machine_zone() -> str | None:
    from tzlocal import get_localzone_name

    try:
        name = get_localzone_name()
    except (OSError, ValueError, LookupError):
        return None
    try:
        return _zone(name) if name else None
    except ValueError:
        return None


def _has_display(environment: Mapping[str, str]) -> bool:
    if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        return False
    if os.name == "nt" or os.uname().sysname == "Darwin":
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


assert {s.name for s in SETTINGS} <= {f.name for f in fields(Settings)}  # noqa: S101 - the two lists are one table
