"""From checked arguments to the request that the API documents. No input or output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kallyai_mcp.errors import InvalidArguments, InvalidSettings, Problem
from kallyai_mcp.model.args import arg_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.model.args import Args
    from kallyai_mcp.model.command import Command, EnvironmentBody


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a request takes from the server's settings.

    Attributes:
        language: Language of calls.
        timezone: IANA zone of calls.
        credentials: Values of the environment variables that commands declare.
    """

    language: str = "en"
    timezone: str = "America/New_York"
    credentials: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request as the API documents it.

    Attributes:
        method: HTTP method.
        path: Percent-encoded path.
        query: Keys and values, in the order of the declaration.
        body: JSON object; None sends no body.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: dict[str, Any] | None = None


def build_request(command: Command, args: Args, defaults: Defaults) -> ApiRequest:
    """Place the arguments of one run in the request of its command.

    Given values are sent, false, 0 and empty lists included; what was not given is not, unless it has a default.

    Raises:
        InvalidArguments: A path value could leave its segment.
        InvalidSettings: An environment variable that the command needs is not set.
    """
    values = _values(command, args, defaults)
    path = command.path
    for name in command.path_args:
        path = path.replace(f"{{{name}}}", _segment(command, name, str(values.pop(name))))
    placed = [(arg_of(command.args, name).wire or name, value) for name, value in values.items()]
    if not command.has_body:
        return ApiRequest(command.method or "", path, tuple((key, _query_text(value)) for key, value in placed))
    body: dict[str, Any] = {}
    for position, value in placed:
        _put(body, position.split("."), value)
    if command.environment is not None:
        body |= _credentials(command.environment, getattr(args, command.environment.argument), defaults)
    return ApiRequest(command.method or "", path, (), body)


def _values(command: Command, args: Args, defaults: Defaults) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field_ in command.args.model_fields.items():
        spec = arg_of(command.args, name)
        if name in args.model_fields_set:
            values[name] = getattr(args, name)
        elif spec.setting is not None:
            values[name] = getattr(defaults, spec.setting)
        elif spec.same_as is not None:
            values[name] = values[spec.same_as]
        elif not field_.is_required() and field_.default is not None:
            values[name] = field_.default
    return values


def _segment(command: Command, name: str, value: str) -> str:
    # The types of the declaration refuse these already; a path is worth a second lock.
    if value in {"", ".", ".."} or not value.isprintable():
        raise InvalidArguments(
            command.tool, [Problem(name, "must be an identifier of at least one visible character.")]
        )
    return quote(value, safe="")


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _put(body: dict[str, Any], position: list[str], value: Any) -> None:
    *outer, last = position
    for key in outer:
        body = body.setdefault(key, {})
    body[last] = value


def _credentials(environment: EnvironmentBody, chosen: str, defaults: Defaults) -> dict[str, str]:
    needed = environment.fields[chosen]
    missing = [variable for variable in needed.values() if not defaults.credentials.get(variable)]
    if missing:
        raise InvalidSettings(
            f"The credentials for {chosen} are not in the server's environment. Nothing was sent.",
            next_step=f"Ask the user to set {', '.join(missing)} in the MCP server's configuration and restart it. "
            "They are never passed as arguments, so that no model sees them.",
            code="missing_setting",
        )
    return {key: defaults.credentials[variable] for key, variable in needed.items()}
