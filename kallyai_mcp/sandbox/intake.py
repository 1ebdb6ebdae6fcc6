"""From an HTTP request back to the arguments of a command, strictly: what the declaration does not know is refused.

The counterpart of the client's request building, written on its own so that the two check each other.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from kallyai_mcp.model.args import arg_of
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kallyai_mcp.model import Args, Command

_LANGUAGES = frozenset({"language", "call_language"})


def read_arguments(
    command: Command, path_values: Mapping[str, str], query: Iterable[tuple[str, str]], body: bytes, content_type: str
) -> Args:
    """Return the arguments that a request carries.

    Raises:
        Refusal: 400 for a body that is no JSON object; 422 for a field that is unknown, missing or wrong.
    """
    wires = {arg_of(command.args, n).wire or n: n for n in command.args.model_fields if n not in command.path_args}
    fields = command.args.model_fields
    given: dict[str, Any] = {n: _from_text(fields[n].annotation, text) for n, text in path_values.items()}
    wrong: dict[str, str] = {}
    pairs = list(query)
    if command.has_body:
        _refuse_unknown((key for key, _ in pairs), wrong)
        sent = _positions(_json_object(body, content_type), set(wires))
        _drop_credentials(command, given, sent, wrong)
    else:
        if body.strip() not in (b"", b"{}"):
            raise Refusal(status=400, message="This request takes no body.")
        sent = _query(command, wires, pairs, wrong)
    for position, value in sent.items():
        if position in wires:
            given[wires[position]] = value
        else:
            wrong.setdefault(position, "is not a field of this request")
    return _checked(command, given, wrong, {name: position for position, name in wires.items()})


def _json_object(body: bytes, content_type: str) -> dict[str, Any]:
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(status=400, message="The body must be sent as application/json.")
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(status=400, message="The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Refusal(status=400, message="The body must be a JSON object.")
    return cast("dict[str, Any]", value)


def _positions(body: dict[str, Any], known: set[str], outer: str = "") -> dict[str, Any]:
    """Return the body's values by dotted position, descending only where the declaration does."""
    found: dict[str, Any] = {}
    for key, value in body.items():
        # A key with a dot in it is no nesting, and must not pass for it.
        position = f"{outer}{key!r}" if "." in key else f"{outer}{key}"
        inner = f"{position}."
        if position not in known and any(name.startswith(inner) for name in known) and isinstance(value, dict):
            found |= _positions(cast("dict[str, Any]", value), known, inner)
        else:
            found[position] = value
    return found


def _drop_credentials(
    command: Command, path_values: Mapping[str, Any], sent: dict[str, Any], wrong: dict[str, str]
) -> None:
    # They must be there, and the sandbox does not keep them.
    if command.environment is None:
        return
    chosen = path_values.get(command.environment.argument, sent.get(command.environment.argument))
    for name in command.environment.fields.get(str(chosen), {}):
        value = sent.pop(name, None)
        if not isinstance(value, str) or not value:
            wrong[name] = "is required"


def _query(
    command: Command, wires: Mapping[str, str], pairs: list[tuple[str, str]], wrong: dict[str, str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, text in pairs:
        if key not in wires:
            _refuse_unknown([key], wrong)
        elif key in found:
            wrong[key] = "is given more than once"
        else:
            found[key] = _from_text(command.args.model_fields[wires[key]].annotation, text)
    return found


def _refuse_unknown(keys: Iterable[str], wrong: dict[str, str]) -> None:
    for key in keys:
        wrong[key] = "is not a parameter of this request"


def _from_text(annotation: Any, text: str) -> Any:
    # Booleans as true and false, numbers in decimal (conventions of the API); anything else stays text and is refused.
    if annotation is bool:
        return {"true": True, "false": False}.get(text, text)
    if annotation is int and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if annotation is float and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text):
        return float(text)
    return text


def _checked(command: Command, given: dict[str, Any], wrong: dict[str, str], positions: Mapping[str, str]) -> Args:
    try:
        args = command.args.model_validate(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            name = str(detail["loc"][0]) if detail["loc"] else ""
            wrong.setdefault(positions.get(name, name), detail["msg"])
        raise _refusal(wrong) from None
    if wrong:
        raise _refusal(wrong)
    return args


def _refusal(wrong: Mapping[str, str]) -> Refusal:
    details = {"fields": [{"field": field, "rule": rule} for field, rule in wrong.items()]}
    last = {field.rpartition(".")[2] for field in wrong}
    if "respondent_phone" in last:
        return Refusal("missing_phone_number", details=details)
    if last & _LANGUAGES:
        return Refusal("unsupported_language", details=details)
    shown = "; ".join(f"{field[:64]}: {rule}" for field, rule in wrong.items())
    return Refusal(status=422, message=f"A value was refused. {shown}", details=details)
