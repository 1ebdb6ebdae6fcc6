"""Settings of the program: one table, read once from flags and environment into a frozen object.

Hosts configure servers through the environment, so every flag has a variable; a flag wins. The help texts and the
README are made from the table. Nothing is read at import.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kallyai_mcp import readers
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.organisation import ORGANISATION, PAIRS, Organisation
from kallyai_mcp.readers import is_loopback
from kallyai_mcp.safety import SAFETY, Safety
from kallyai_mcp.serving import SERVING, STDIO, Serving
from kallyai_mcp.setting import Setting
from kallyai_mcp.tool_settings import TOOL_SETTINGS, ToolSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "KALLYAI_"
"""What the names of all variables begin with. Other programs may have some that begin so, too."""

_RESEMBLING = 0.83
"""How alike two names are (`difflib.SequenceMatcher.ratio`) of which one is a misspelling of the other."""

LIVE_ORIGIN = "https://api.kallyai.com"
DEFAULT_TOKEN_FILE = "~/.kallyai_token.json"  # noqa: S105 - a path, not a secret
LOG_LEVELS = ("debug", "info", "warning", "error")
LANGUAGES = ("en", "es")
TOKEN_STORES = ("file", "keyring")
DEFAULT_PROFILE = "default"
CREDENTIAL_VARIABLES = (
    "KALLYAI_TELEGRAM_BOT_TOKEN",
    "KALLYAI_WHATSAPP_PHONE_NUMBER_ID",
    "KALLYAI_WHATSAPP_ACCESS_TOKEN",
    "KALLYAI_WHATSAPP_BUSINESS_ACCOUNT_ID",
)
"""Read for `channels connect` and `channels test`; never arguments, so that no model sees them."""


STATE_WITHOUT_HOME = "~/.local/state/kallyai-mcp"
"""Named where nobody has a home folder, as in some containers; nothing is found there, and nothing can be kept."""


def default_token_file() -> Path:
    """Return the token file of KallyAI's own command line."""
    return readers.path(DEFAULT_TOKEN_FILE)


GROUPS: dict[str, tuple[type, Sequence[Setting]]] = {
    "tools": (ToolSettings, TOOL_SETTINGS),
    "safety": (Safety, SAFETY),
    "serving": (Serving, SERVING),
    "organisation": (Organisation, ORGANISATION),
}
"""Settings that stand together in an attribute of their own: its class and its rows."""

SETTINGS = (
    Setting(
        "api_url",
        "KALLYAI_API_URL",
        "Origin of the API. Plain http only for this machine.",
        readers.origin,
        "--api-url",
        LIVE_ORIGIN,
    ),
    Setting(
        "token_file",
        "KALLYAI_TOKEN_FILE",
        "Where the tokens are kept, shared with the KallyAI command line.",
        readers.path,
        "--token-file",
        DEFAULT_TOKEN_FILE,
    ),
    Setting(
        "profile",
        "KALLYAI_PROFILE",
        "Name of the account to work with; each has tokens of its own, in a file beside the default one.",
        readers.profile,
        "--profile",
        DEFAULT_PROFILE,
    ),
    Setting(
        "store",
        "KALLYAI_TOKEN_STORE",
        "Where tokens are kept: file, or keyring (the system's; needs the extra of that name).",
        readers.one_of(*TOKEN_STORES),
        "--token-store",
        "file",
    ),
    Setting(
        "access_token",
        "KALLYAI_ACCESS_TOKEN",
        "A fixed access token, for containers and CI. It is never refreshed and never written to disk.",
        readers.word,
    ),
    Setting(
        "sandbox",
        "KALLYAI_SANDBOX",
        "Work with a KallyAI embedded in this process; nothing leaves the machine.",
        readers.switch,
        "--sandbox",
        "off",
    ),
    Setting(
        "sandbox_data",
        "KALLYAI_SANDBOX_DATA",
        "File in which the sandbox keeps its world; without it, in memory.",
        readers.path,
        "--sandbox-data",
    ),
    Setting(
        "state_dir",
        "KALLYAI_STATE_DIR",
        "Folder for this program's own state.",
        readers.path,
        "--state-dir",
        "the platform's state folder",
    ),
    Setting(
        "language",
        "KALLYAI_LANGUAGE",
        "Language of calls when none is given: en or es.",
        readers.one_of(*LANGUAGES),
        "--language",
        "en",
    ),
    Setting(
        "timezone",
        "KALLYAI_TIMEZONE",
        "IANA time zone of calls when none is given.",
        readers.zone,
        "--timezone",
        "this machine's",
    ),
    Setting(
        "answer_within",
        "KALLYAI_ANSWER_WITHIN",
        "Seconds within which a tool answers; less than the host waits. What takes longer goes on, see kallyai_wait.",
        readers.seconds,
        "--answer-within",
        "45",
    ),
    Setting(
        "log_level",
        "KALLYAI_LOG_LEVEL",
        "debug, info, warning or error; the log goes to stderr.",
        readers.one_of(*LOG_LEVELS),
        "--log-level",
        "warning",
    ),
    Setting(
        "proxy",
        "KALLYAI_PROXY",
        "HTTP proxy for requests to the API. Other proxy variables are ignored.",
        readers.endpoint,
        "--proxy",
    ),
    Setting(
        "device_authorization_url",
        "KALLYAI_DEVICE_AUTHORIZATION_URL",
        "Device authorization endpoint (RFC 8628), where the API does not announce it.",
        readers.endpoint,
    ),
    Setting(
        "token_url",
        "KALLYAI_TOKEN_URL",
        "Token endpoint for the device flow, where the API does not announce it.",
        readers.endpoint,
    ),
    Setting(
        "client_id",
        "KALLYAI_CLIENT_ID",
        "OAuth client registered with KallyAI: sign in by authorization code as that client. Needs its secret, too.",
        readers.word,
    ),
    Setting(
        "client_secret",
        "KALLYAI_CLIENT_SECRET",
        "Secret of that client.",
        readers.word,
    ),
    Setting(
        "no_browser",
        "KALLYAI_NO_BROWSER",
        "Never open a browser; show the address instead.",
        readers.switch,
        "--no-browser",
        "off",
    ),
    Setting(
        "database_url",
        "KALLYAI_DATABASE_URL",
        "PostgreSQL of the servers of an organisation: postgresql://user:password@host:5432/name.",
        readers.database,
    ),
    Setting(
        "vault_keys",
        "KALLYAI_VAULT_KEYS",
        "Keys that people's tokens are sealed with, 32 bytes in base64 each; the first seals, all of them open.",
        str,
    ),
    *(setting for _, rows in GROUPS.values() for setting in rows),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the program was told. See `SETTINGS` for the meaning of each."""

    api_url: str = LIVE_ORIGIN
    token_file: Path = field(default_factory=lambda: default_token_file())
    profile: str = DEFAULT_PROFILE
    store: str = "file"
    access_token: str | None = field(default=None, repr=False)
    sandbox: bool = False
    sandbox_data: Path | None = None
    state_dir: Path | None = None
    language: str = "en"
    timezone: str | None = None
    answer_within: float = 45.0
    log_level: str = "warning"
    proxy: str | None = field(default=None, repr=False)
    device_authorization_url: str | None = None
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    no_browser: bool = False
    database_url: str | None = field(default=None, repr=False)
    vault_keys: str | None = field(default=None, repr=False)
    safety: Safety = field(default_factory=Safety)
    """What an agent may do, and who agrees to it."""
    tools: ToolSettings = field(default_factory=ToolSettings)
    """Which tools there are."""
    serving: Serving = field(default_factory=Serving)
    """How hosts reach the server."""
    organisation: Organisation = field(default_factory=Organisation)
    """Who may use it, where many people do."""
    credentials: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    display: bool = True
    """Whether a person could see a browser that this process opens."""

    @classmethod
    def read(cls, environment: Mapping[str, str], flags: Mapping[str, str | bool | None] | None = None) -> Settings:
        """Read the settings; a flag wins over its variable, an empty variable counts as not set.

        Raises:
            InvalidSettings: A value that cannot be used, or a variable whose name is misspelt; names it.
        """
        _require_no_misspelling(environment)
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
        _require_whole_client(values)
        if values.get("many_people") and STDIO in values.get("transport", ()):
            raise InvalidSettings(
                "An organisation is served over HTTP, and the transport is set to stdio, which serves one host.",
                next_step="Remove --transport (KALLYAI_TRANSPORT) or set it to http; or remove --organisation "
                "(KALLYAI_ORGANISATION) to serve the host that starts the program.",
            )
        groups = {
            name: kind(**{one.name: values.pop(one.name) for one in rows if one.name in values})
            for name, (kind, rows) in GROUPS.items()
        }
        credentials = {name: environment[name] for name in CREDENTIAL_VARIABLES if environment.get(name)}
        return cls(**values, **groups, credentials=credentials, display=_has_display(environment))

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


def _require_no_misspelling(environment: Mapping[str, str]) -> None:
    """Refuse a name that all but is a setting's: a limit that is misspelt would be no limit, and nobody would know."""
    for name in unknown_variables(environment):
        if (near := _nearest(name)) is not None:
            raise InvalidSettings(
                f"The variable {name[:64]!a} is no setting.",
                next_step=f"If {near} is meant, correct it; otherwise remove it.",
            )


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that have a value and are named as settings are, without being one.

    Where a service of Kubernetes is called so, that sets variables, too; their values tell them.
    """
    known = _known_variables()
    return [
        name
        for name, value in environment.items()
        if value and name.startswith(PREFIX) and name not in known and not value.startswith(("tcp://", "udp://"))
    ]


@cache
def _known_variables() -> frozenset[str]:
    return frozenset({*(setting.variable for setting in SETTINGS), *CREDENTIAL_VARIABLES})


def _nearest(name: str) -> str | None:
    """Return the variable that is meant by a name that is none; None where it resembles none."""
    import difflib

    known = sorted(variable.removeprefix(PREFIX) for variable in _known_variables())
    near = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=_RESEMBLING)
    return f"{PREFIX}{near[0]}" if near else None


def _require_whole_client(values: Mapping[str, Any]) -> None:
    given = {setting.variable for setting in SETTINGS if setting.name in values}
    for pair in (("KALLYAI_CLIENT_ID", "KALLYAI_CLIENT_SECRET"), *PAIRS):
        if len(half := given & set(pair)) == 1:
            there, missing = half.pop(), (set(pair) - given).pop()
            without = "to sign in without a registered client" if pair not in PAIRS else "to do without this client"
            raise InvalidSettings(
                f"{there} is set and {missing} is not.",
                next_step=f"Set {missing}, too, or remove {there} {without}.",
            )


def _machine_zone() -> str | None:
    from tzlocal import get_localzone_name

    try:
        name = get_localzone_name()
    except (OSError, ValueError, LookupError):
        return None
    try:
        return readers.zone(name) if name else None
    except ValueError:
        return None


def _has_display(environment: Mapping[str, str]) -> bool:
    if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        return False
    if os.name == "nt" or os.uname().sysname == "Darwin":
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


_CLASSES = (Settings, *(kind for kind, _ in GROUPS.values()))
assert {s.name for s in SETTINGS} <= {f.name for one in _CLASSES for f in fields(one)}  # noqa: S101 - the two lists are one table
