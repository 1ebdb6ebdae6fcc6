"""Settings of a server that many people share: their identity provider, and what its tokens must say."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kallyai_mcp import readers
from kallyai_mcp.setting import Setting

if TYPE_CHECKING:
    from collections.abc import Callable

ACCESS_TOKEN = "at+jwt"  # noqa: S105 - the name of a type
PLAIN_TOKEN = "jwt"  # noqa: S105 - the name of a type


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """What was set. See `ORGANISATION` for the meaning of each."""

    many_people: bool = False
    public_url: str | None = None
    issuer: str | None = None
    embedded_storage: bool = False
    audiences: tuple[str, ...] = ()
    token_type: str = ACCESS_TOKEN
    read_scope: str = "kallyai:read"
    act_scope: str = "kallyai:act"
    introspection_client_id: str | None = None
    introspection_client_secret: str | None = field(default=None, repr=False)
    pages_client_id: str | None = None
    pages_client_secret: str | None = field(default=None, repr=False)
    max_people: int = 2000
    max_runs_per_minute: int = 120


_DEFAULTS = Organisation()


def _setting(
    name: str,
    variable: str,
    help: str,  # noqa: A002 - the attribute's name
    read: Callable[[str], object],
    *,
    flag: bool = True,
    default: str | None = None,
) -> Setting:
    shown = getattr(_DEFAULTS, name)
    if default is None:
        default = "" if shown in ((), None, False) else str(shown)
    dashed = variable.removeprefix("KALLYAI_").lower().replace("_", "-")
    return Setting(name, variable, help, read, f"--{dashed}" if flag else None, default)


def _issuer(text: str) -> str:
    parts = urlsplit(readers.endpoint(text))
    if parts.query or parts.fragment:
        raise ValueError("must be an address without a query")  # RFC 8414, 2
    return text


def _listed(read: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    def listed(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(read(part.strip()) for part in text.split(",") if part.strip()))
        if not found:
            raise ValueError("must name at least one")
        return found

    return listed


def _at_least_one(text: str) -> int:
    number = readers.count(text)
    if not number:
        raise ValueError("must be a whole number of at least 1")
    return number


def _scope(text: str) -> str:
    # RFC 6749, 3.3
    if not readers.word(text) or set(text) & {'"', "\\"}:
        raise ValueError("must be one scope, without quotes and backslashes")
    return text


ORGANISATION = (
    _setting(
        "many_people",
        "KALLYAI_ORGANISATION",
        "Serve many people over HTTP, each known by a token of the organisation's identity provider and with a KallyAI "
        "account of their own.",
        readers.switch,
        default="off",
    ),
    _setting(
        "public_url",
        "KALLYAI_PUBLIC_URL",
        "Origin at which people reach this server, such as https://mcp.example.com; tokens are issued for /mcp there.",
        readers.origin,
    ),
    _setting(
        "issuer",
        "KALLYAI_ISSUER",
        "Issuer of the identity provider, exactly as its tokens name it.",
        _issuer,
    ),
    _setting(
        "embedded_storage",
        "KALLYAI_EMBEDDED_STORAGE",
        "Keep what people share in a file of the state folder, for one replica, in place of PostgreSQL.",
        readers.switch,
        default="off",
    ),
    _setting(
        "audiences",
        "KALLYAI_AUDIENCE",
        "Further audiences that a token may be issued for, comma-separated, where the provider has names of its own.",
        _listed(readers.word),
    ),
    _setting(
        "token_type",
        "KALLYAI_TOKEN_TYPE",
        "at+jwt: tokens must say that they are access tokens (RFC 9068). jwt: those that do not say so are taken, too.",
        readers.one_of(ACCESS_TOKEN, PLAIN_TOKEN),
    ),
    _setting("read_scope", "KALLYAI_READ_SCOPE", "Scope that a token needs for tools that only read.", _scope),
    _setting(
        "act_scope",
        "KALLYAI_ACT_SCOPE",
        "Scope that a token needs for all other tools; it allows reading, too.",
        _scope,
    ),
    _setting(
        "introspection_client_id",
        "KALLYAI_INTROSPECTION_CLIENT_ID",
        "Client of this server at the provider: tokens are then checked by asking it (RFC 7662). Needs its secret.",
        readers.word,
        flag=False,
    ),
    _setting(
        "introspection_client_secret",
        "KALLYAI_INTROSPECTION_CLIENT_SECRET",
        "Secret of that client.",
        readers.word,
        flag=False,
    ),
    _setting(
        "pages_client_id",
        "KALLYAI_PAGES_CLIENT_ID",
        "Client of this server's own pages at the provider, for linking accounts and for approvals where a host cannot "
        "ask. Needs its secret, too.",
        readers.word,
        flag=False,
    ),
    _setting(
        "pages_client_secret",
        "KALLYAI_PAGES_CLIENT_SECRET",
        "Secret of that client.",
        readers.word,
        flag=False,
    ),
    _setting(
        "max_people",
        "KALLYAI_MAX_PEOPLE",
        "People whose parts are kept in memory at once; whoever was idle the longest makes room.",
        _at_least_one,
    ),
    _setting(
        "max_runs_per_minute",
        "KALLYAI_MAX_RUNS_PER_MINUTE",
        "Most tools that one person may run within a minute, on all replicas together.",
        _at_least_one,
    ),
)
"""The rows of the table."""

PAIRS = (
    ("KALLYAI_INTROSPECTION_CLIENT_ID", "KALLYAI_INTROSPECTION_CLIENT_SECRET"),
    ("KALLYAI_PAGES_CLIENT_ID", "KALLYAI_PAGES_CLIENT_SECRET"),
)
"""Variables that are set together or not at all."""

assert {setting.name for setting in ORGANISATION} == {field.name for field in fields(Organisation)}  # noqa: S101 - one table
